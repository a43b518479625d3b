"""The same comparison among parts of the units: by cohort day, and by segment with evidence of harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from promptarena.analysis import wording
from promptarena.analysis.comparisons import compare
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import ArmPair, arm_pair
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.metric import Better, Metric, MetricKind
from promptarena.definitions.readout import DailyEffect, SegmentEffect
from promptarena.stats.effects import Effect
from promptarena.stats.segments import SegmentTest, interaction, mix_finding, segment_tests

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
    return tuple(
        SegmentEffect(
            segment=dimension,
            value=value,
            variant=treatment,
            comparison=compare(pair, metric, plan.design.alpha),
            harm_p_value=test.harm_p_value if test else None,
            harm_p_adjusted=test.harm_p_adjusted if test else None,
        )
        for (dimension, value, treatment), pair in pairs.items()
        for test in [tested.get((dimension, value, treatment))]
    )


def segment_findings(plan: AnalysisPlan, cube: Cube, treatments: Sequence[str]) -> list[str]:
    """What the segments say of the primary together: effects that differ, and reversals by mixing."""
    metric = plan.metric(plan.primary.metric)
    pairs = _segment_pairs(plan, cube, metric, treatments)
    findings = []
    for rule in plan.segments:
        for treatment in treatments:
            effects = [
                pair.effect
                for (dimension, _, variant), pair in pairs.items()
                if (dimension, variant) == (rule.name, treatment)
                and pair.effect is not None
                and pair.effect.variance > 0
            ]
            if len(effects) >= 2:
                findings += _findings(effects, metric, rule.name, treatment, plan.design.alpha)
    return findings


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
    )


def _findings(
    effects: Sequence[Effect], metric: Metric, dimension: str, treatment: str, alpha: float
) -> list[str]:
    findings = []
    difference = interaction(effects)
    if difference.p_value < alpha:
        findings.append(
            f"the effect of {treatment} on {metric.name} differs between values of {dimension}"
            f" (interaction {wording.p_value(difference.p_value)})"
        )
    # Only units weigh values together as the metric does; a ratio's own weights are its denominators.
    if metric.kind is not MetricKind.RATIO:
        mix = mix_finding(effects, higher_is_better=metric.better is Better.HIGHER)
        if mix.is_reversal:
            findings.append(f"{dimension}: {mix.sentence()}")
    return findings


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
