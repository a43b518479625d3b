"""The same comparison among parts of the units: by cohort day, and by segment with evidence of harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from promptarena.analysis.comparisons import compare
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import ArmPair, arm_pair
from promptarena.analysis.hypotheses import contrast
from promptarena.definitions.analysis_plan import AnalysisPlan, SegmentRule
from promptarena.definitions.metric import Metric
from promptarena.definitions.readout import DailyEffect, SegmentEffect
from promptarena.stats.multiplicity import benjamini_hochberg

__all__ = ["daily_effects", "segment_effects"]

_LEAST_TESTED: Final = 30
"""Observed units a variant below which a segment value is shown, not tested: its tail is not normal."""


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
    """Effects of a metric by segment value, with one-sided p-values of being worse than the segment's margin.

    p-values are adjusted by Benjamini and Hochberg over all values, dimensions and treatments together.
    """
    effects = [
        _segment(plan, cube, metric, treatment, rule, value)
        for rule in plan.segments
        for value in cube.segments.get(rule.name, ())
        for treatment in treatments
    ]
    tested = [i for i, effect in enumerate(effects) if effect.harm_p_value is not None]
    adjusted = benjamini_hochberg([effects[i].harm_p_value or 0.0 for i in tested])
    for i, p in zip(tested, adjusted, strict=True):
        effects[i] = replace(effects[i], harm_p_adjusted=float(p))
    return tuple(effects)


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


def _segment(
    plan: AnalysisPlan, cube: Cube, metric: Metric, treatment: str, rule: SegmentRule, value: str
) -> SegmentEffect:
    pair = arm_pair(cube, metric, plan.control, treatment, where=(rule.name, value))
    return SegmentEffect(
        segment=rule.name,
        value=value,
        variant=treatment,
        comparison=compare(pair, metric, plan.design.alpha),
        harm_p_value=_harm_p_value(pair, metric, rule),
        harm_p_adjusted=None,
    )


def _harm_p_value(pair: ArmPair, metric: Metric, rule: SegmentRule) -> float | None:
    if pair.effect is None or min(pair.n_control, pair.n_treatment) < _LEAST_TESTED:
        return None
    try:
        return contrast(pair.effect, metric, rule.margin).harm_p_value()
    except ValueError:  # no variance, or a relative margin of a control that is zero
        return None
