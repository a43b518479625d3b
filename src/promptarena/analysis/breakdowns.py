"""The same comparison among parts of the units: by cohort day, and by segment with evidence of harm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from promptarena.analysis import wording
from promptarena.analysis.comparisons import compare
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import ArmPair, arm_pair
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.metric import Better, Metric, MetricKind
from promptarena.definitions.readout import DailyEffect, SegmentEffect
from promptarena.stats.segments import (
    Interaction,
    SegmentTest,
    interaction,
    mix_finding,
    rate_interaction,
    segment_tests,
)

__all__ = ["daily_effects", "segment_effects", "segment_findings"]

Segment: TypeAlias = tuple[str, str, str]
"""Dimension, value, treatment."""


def daily_effects(
    plan: AnalysisPlan, cube: Cube, metric: Metric, treatments: Sequence[str]
) -> tuple[DailyEffect, ...]:
    """Effects among units first seen on each day; none where the cube has no days."""
    return tuple(
        _daily(plan, cube, metric, treatment, day.isoformat())
        for treatment in treatments
        for day in cube.days or ()
    )


def segment_effects(
    plan: AnalysisPlan, cube: Cube, metric: Metric, treatments: Sequence[str]
) -> tuple[SegmentEffect, ...]:
    """Effects of a metric by segment value; of the primary also whether they are worse than the margin.

    p-values of harm are one family over all values, dimensions and treatments (Benjamini and Hochberg).
    """
    pairs = _segment_pairs(plan, cube, metric, treatments)
    tested = _harm_tests(plan, metric, pairs) if metric.name == plan.primary.metric else {}
    margins = {rule.name: str(rule.margin) for rule in plan.segments}
    return tuple(
        SegmentEffect(
            segment=dimension,
            value=value,
            variant=treatment,
            comparison=compare(pair, metric, plan.design.alpha),
            harm_p_value=test.harm_p_value if test else None,
            harm_p_adjusted=test.harm_p_adjusted if test else None,
            margin=margins[dimension] if test else None,
        )
        for (dimension, value, treatment), pair in pairs.items()
        for test in [tested.get((dimension, value, treatment))]
    )


def segment_findings(
    plan: AnalysisPlan, cube: Cube, metric: Metric, treatments: Sequence[str]
) -> tuple[str, ...]:
    """What the segments say of a metric together: effects that differ, and reversals by mixing."""
    pairs = _segment_pairs(plan, cube, metric, treatments)
    return tuple(
        finding
        for rule in plan.segments
        for treatment in treatments
        for finding in _findings(
            [pair for (name, _, variant), pair in pairs.items() if (name, variant) == (rule.name, treatment)],
            metric,
            rule.name,
            treatment,
            plan.design.alpha,
        )
    )


def _segment_pairs(
    plan: AnalysisPlan, cube: Cube, metric: Metric, treatments: Sequence[str]
) -> dict[Segment, ArmPair]:
    return {
        (rule.name, value, treatment): arm_pair(
            cube, metric, plan.control, treatment, where=(rule.name, value)
        )
        for rule in plan.segments
        for value in cube.segments.get(rule.name, ())
        for treatment in treatments
    }


def _harm_tests(
    plan: AnalysisPlan, metric: Metric, pairs: Mapping[Segment, ArmPair]
) -> dict[Segment, SegmentTest]:
    margins = {rule.name: (rule.margin.value, rule.margin.relative) for rule in plan.segments}
    return segment_tests(
        {key: pair.effect for key, pair in pairs.items() if pair.effect is not None},
        {key: margins[key[0]] for key in pairs},
        higher_is_better=metric.better is Better.HIGHER,
        rates={key: (pair.rates, pair.weights) for key, pair in pairs.items() if pair.rates is not None},
    )


def _findings(
    pairs: Sequence[ArmPair], metric: Metric, dimension: str, treatment: str, alpha: float
) -> Iterator[str]:
    difference = _interaction(pairs)
    if difference is not None and difference.p_value < alpha:
        yield (
            f"the effect of {treatment} on {metric.name} differs between values of {dimension}"
            f" (interaction {wording.p_value(difference.p_value)}): one number does not fit them all"
        )
    effects = [pair.effect for pair in pairs if pair.effect is not None]
    # Only units weigh values together as the metric does; a ratio's own weights are its denominators.
    if metric.kind is MetricKind.RATIO or len(effects) < 2:
        return
    mix = mix_finding(effects, higher_is_better=metric.better is Better.HIGHER)
    if mix.is_reversal:
        inside = mix.within
        reach = ""
        if inside.variance > 0:
            low, high = (wording.difference(metric, limit) for limit in inside.interval(alpha))
            reach = (
                f" Within segments (Mantel and Haenszel's average) it is"
                f" {wording.difference(metric, inside.difference)}, {1 - alpha:.0%} interval {low} to {high}."
            )
        told = mix.sentence(partial(wording.value, metric), partial(wording.difference, metric))
        yield f"{dimension}: {told}{reach}"


def _interaction(pairs: Sequence[ArmPair]) -> Interaction | None:
    """Of rates as rates are tested; of the rest from the effects whose error is known."""
    if all(pair.rates is not None for pair in pairs if pair.effect is not None):
        return rate_interaction([(pair.rates, pair.weights) for pair in pairs if pair.rates is not None])
    effects = [pair.effect for pair in pairs if pair.effect is not None and pair.effect.variance > 0]
    return interaction(effects) if len(effects) >= 2 else None


def _daily(plan: AnalysisPlan, cube: Cube, metric: Metric, treatment: str, day: str) -> DailyEffect:
    pair = arm_pair(cube, metric, plan.control, treatment, where=("day", day))
    comparison = compare(pair, metric, plan.design.alpha)
    return DailyEffect(
        day=day,
        variant=treatment,
        difference=comparison.difference,
        interval=comparison.interval,
        control_value=comparison.control_value,
        variant_value=comparison.variant_value,
        n_control=comparison.n_control,
        n_variant=comparison.n_variant,
    )
