"""What a gate asks of each treatment, each as one score in [0, 1] a case, so that all are decided alike.

A win rate is a mean of such scores already. A paired difference d on a scale of width R is R (2 m - 1) with m
the mean of (1 + d / R) / 2. Missing cases are 0 where they are counted against the treatment, and 1 where
they are counted for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.gate_rule import AxisRule, CheckRule, ConflictRule, GateRule
from promptarena.errors import DataError
from promptarena.evaluation.case_frame import CaseFrame, independent_cases
from promptarena.evaluation.check_rates import CheckResults
from promptarena.evaluation.pairs import JudgedPair
from promptarena.evaluation.recorded import MISSING, NOT_APPLICABLE
from promptarena.evaluation.scores import AxisScores
from promptarena.stats.clustered_mean import clustered_mean

__all__ = ["Condition", "Unit", "contrast_of", "list_conditions"]

Scores = NDArray[np.float64]
Unit = Literal["share", "points", "levels", "level"]
"""A share; a difference of shares; a difference of levels; a mean level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One thing asked of one treatment: the mean of its scores is surely above the threshold."""

    name: str
    """`win_rate`, `axis: NAME` or `check: NAME`."""
    variant: str
    control: str
    scores: Scores
    """Shape (cases,), in [0, 1]; NaN where a case does not count or is missing."""
    worst: Scores
    """The same with the missing counted against the treatment; NaN only where a case does not count."""
    best: Scores
    """The same with the missing counted for it."""
    asked: float
    """The threshold, in the condition's own unit."""
    unit: Unit
    low: float = 0.0
    """What a mean score of 0 is in that unit."""
    high: float = 1.0
    """What a mean score of 1 is."""
    kept: float = 1.0
    """How much of the control's score or rate is subtracted: less than 1 for a margin in %, 0 for a floor."""
    outputs: bool = True
    """Whether what is missing is outputs, rather than outcomes of a judge."""

    def in_units(self, score: float) -> float:
        """From a mean score to the condition's own unit."""
        return self.low + (self.high - self.low) * score

    def bounds_in_units(self, low: float, high: float, estimate: float) -> tuple[float, float]:
        """Bounds of the mean score in that unit, never leaving the estimate out.

        All that is missing may be sure to lie on one side of what is known; bounds without the estimate would
        be right, and read as wrong.
        """
        return self.in_units(min(low, estimate)), self.in_units(max(high, estimate))

    @property
    def null(self) -> float:
        """The threshold as a mean score."""
        return (self.asked - self.low) / (self.high - self.low)

    def deviation(self, frame: CaseFrame) -> float | None:
        """Standard deviation of one independent case, in the condition's unit; None where it is not known."""
        known = np.flatnonzero(~np.isnan(self.scores))
        clusters = frame.cluster_of(known)
        if len(np.unique(clusters)) < 2:
            return None
        error = clustered_mean(self.scores[known], clusters, frame.weight_of(known)).variance
        return float(np.sqrt(error * independent_cases(frame, known))) * (self.high - self.low)

    @property
    def missing(self) -> int:
        """Cases that count and have no score."""
        return int((np.isnan(self.scores) & ~np.isnan(self.worst)).sum())


def list_conditions(
    rule: GateRule,
    treatments: Sequence[str],
    control: str,
    pairs: Mapping[str, JudgedPair],
    axes: Sequence[AxisScores],
    checks: Mapping[str, CheckResults],
    conflicts: ConflictRule,
) -> list[Condition]:
    """Everything that a gate asks, treatment by treatment.

    Args:
        rule: what is asked.
        treatments: names, in order.
        control: its name.
        pairs: each treatment against the control; empty without a judge.
        axes: scores by axis; empty without a rubric.
        checks: results by check and variant.
        conflicts: what a conflict counts for.

    Raises:
        DataError: the rule names an axis that was not scored, or asks for a relative margin on a scale that
            goes below zero.
    """
    return [
        condition
        for treatment in treatments
        for condition in (
            *_win_rate(rule, treatment, control, pairs, conflicts),
            *_axes(rule, treatment, control, axes),
            *_checks(rule, treatment, control, checks),
        )
    ]


def _win_rate(
    rule: GateRule,
    treatment: str,
    control: str,
    pairs: Mapping[str, JudgedPair],
    conflicts: ConflictRule,
) -> Iterator[Condition]:
    if rule.win_rate is None:
        return
    pair = pairs[treatment]
    scores = pair.outcomes(conflicts)
    missing = np.isnan(scores) & ~pair.dropped(conflicts)
    yield Condition(
        name="win_rate",
        variant=treatment,
        control=control,
        scores=scores,
        worst=np.where(missing, 0.0, scores),
        best=np.where(missing, 1.0, scores),
        asked=rule.win_rate.above,
        unit="share",
        outputs=False,
    )


def _axes(rule: GateRule, treatment: str, control: str, axes: Sequence[AxisScores]) -> Iterator[Condition]:
    known = [each.axis for each in axes]
    for name in rule.axes:
        if name not in known and (name != "all" or not known):
            told = ", ".join(f"`{each}`" for each in known) or "none"
            raise DataError(
                f"The gate asks for the axis `{name}`, which was not scored; scored axes: {told}.",
                hint="Name one of these under `gate.axes`, or score it.",
            )
    for scores in axes:
        asked = rule.axes.get(scores.axis, rule.axes.get("all"))
        if asked is not None:
            yield _axis(asked, scores, treatment, control)


def contrast_of(rule: AxisRule | CheckRule) -> tuple[float, float]:
    """What part of the control is subtracted, and more than what the rest is to be.

    A margin in % is one contrast with a part of the control, not a margin from a control that is then taken
    as known; a floor asks nothing of the control.
    """
    if rule.min is not None:
        return 0.0, rule.min
    if rule.margin is None:
        return 1.0, rule.above or 0.0
    return (1 - rule.margin.value, 0.0) if rule.margin.relative else (1.0, -rule.margin.value)


def _axis(rule: AxisRule, scores: AxisScores, treatment: str, control: str) -> Condition:
    low, high = scores.low, scores.high
    if rule.margin is not None and rule.margin.relative and low < 0:
        raise DataError(
            f"The axis `{scores.axis}` has levels below 0, of which a margin in % means nothing.",
            hint="Write the margin in levels, such as 0.1.",
        )
    kept, asked = contrast_of(rule)
    one, other = scores.means(treatment), scores.means(control)
    # A control's score that is not asked for cannot be missing either.
    other = np.zeros_like(other) if kept == 0 else other
    ends = (low - kept * high, high - kept * low)
    return Condition(
        name=f"axis: {scores.axis}",
        variant=treatment,
        control=control,
        scores=_share(one - kept * other, ends),
        worst=_share(_filled(one, low) - kept * _filled(other, high), ends),
        best=_share(_filled(one, high) - kept * _filled(other, low), ends),
        asked=asked,
        unit="level" if rule.min is not None else "levels",
        low=ends[0],
        high=ends[1],
        kept=kept,
        outputs=False,
    )


def _filled(scores: Scores, missing: float) -> Scores:
    return np.where(np.isnan(scores), missing, scores)


def _share(values: Scores, ends: tuple[float, float]) -> Scores:
    # Rounding must leave nothing outside [0, 1].
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0)


def _checks(
    rule: GateRule, treatment: str, control: str, checks: Mapping[str, CheckResults]
) -> Iterator[Condition]:
    for name, results in checks.items():
        if asked := rule.checks.get(name, rule.checks.get("all")):
            yield _check(name, asked, treatment, control, results)


def _check(name: str, rule: CheckRule, treatment: str, control: str, results: CheckResults) -> Condition:
    kept, asked = contrast_of(rule)
    one, other = results[treatment].astype(np.float64), results[control].astype(np.float64)
    counts = (one != NOT_APPLICABLE) & (other != NOT_APPLICABLE)
    worst, best = ((_passes(one, fill), _passes(other, 1 - fill)) for fill in (0.0, 1.0))
    known = (_passes(one, np.nan), _passes(other, np.nan))
    scores = [
        np.where(counts, pair[0] if kept == 0 else _share(pair[0] - kept * pair[1], (-kept, 1.0)), np.nan)
        for pair in (known, worst, best)
    ]
    return Condition(
        name=f"check: {name}",
        variant=treatment,
        control=control,
        scores=scores[0],
        worst=scores[1],
        best=scores[2],
        asked=asked,
        unit="points" if rule.min is None else "share",
        low=-kept,
        kept=kept,
    )


def _passes(codes: Scores, missing: float) -> Scores:
    return np.where(codes == MISSING, missing, codes)
