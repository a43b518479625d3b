"""May the change meet users? Pass, fail or inconclusive, at a declared error; invalid where nothing follows.

A condition passes where its one-sided lower bound is above the threshold, with everything that is missing
counted against the treatment; it fails where the upper bound is below, with everything that is missing
counted for it; else the cases do not tell. So a judge that was down makes a gate inconclusive, never passed
and never failed. All treatments must pass all conditions, which needs no correction for their number: a
gate that passes too often would have to err in its weakest condition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import Gate, GateCondition, GateStatus
from promptarena.definitions.gate_rule import ConflictRule
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.conditions import Condition
from promptarena.evaluation.gate_words import condition_text
from promptarena.evaluation.pairs import JudgedPair
from promptarena.stats.bounded_mean import bounded_mean_bounds

__all__ = ["decide_condition", "decide_gate", "gate_of", "judge_conditions"]

Scores = NDArray[np.float64]

MOST_MISSING: Final = 0.5
"""Where more of the cases than this have no outcome, the rest are no sample of the dataset."""
MOST_DECIDED_BY_POSITION: Final = 0.5
"""Where surely more of the cases than this have a winner by display position, the judge reads positions."""
EVEN_DISPLAY: Final = 0.5
"""The share of first places that is fair; where a variant surely has more, or surely less, a judge that reads
positions would decide."""

_ORDER: Final = (GateStatus.INVALID, GateStatus.FAIL, GateStatus.INCONCLUSIVE, GateStatus.PASS)


def decide_gate(
    conditions: Sequence[Condition],
    pairs: Mapping[str, JudgedPair],
    frame: CaseFrame,
    conflicts: ConflictRule,
    alpha: float,
) -> Gate:
    """Decide, once all cases are in.

    Args:
        conditions: what is asked, from `list_conditions`.
        pairs: each treatment against the control; empty without a judge.
        frame: the cases' clusters and weights.
        conflicts: what a conflict counts for.
        alpha: one-sided error of each condition.
    """
    decided: list[GateCondition] = []
    for condition in conditions:
        decided.append(decide_condition(condition, frame, alpha))
        if condition.name == "win_rate" and decided[-1].value is not None:
            pair = pairs[condition.variant]
            decided += judge_conditions(condition, pair, frame, conflicts, alpha)
    return gate_of(decided, alpha)


def gate_of(conditions: Sequence[GateCondition], alpha: float) -> Gate:
    """The gate that conditions make: as good as its worst, which is told first."""
    ordered = sorted(conditions, key=lambda condition: _ORDER.index(condition.status))
    return Gate(
        status=ordered[0].status,
        reasons=tuple(condition.text for condition in ordered),
        alpha=alpha,
        conditions=tuple(conditions),
    )


def decide_condition(condition: Condition, frame: CaseFrame, alpha: float) -> GateCondition:
    """One condition, by bounds that hold for the number of cases that there are."""
    counting = np.flatnonzero(~np.isnan(condition.worst))
    known = np.flatnonzero(~np.isnan(condition.scores))
    value = low = high = None
    if not len(known):
        status = GateStatus.INVALID
    else:
        estimate = float(np.average(condition.scores[known], weights=frame.weight_of(known)))
        value = condition.in_units(estimate)
        clusters = None if frame.clusters is None else frame.clusters[counting]
        weights = frame.weight_of(counting)
        worst, best = condition.worst[counting], condition.best[counting]
        low, high = bounded_mean_bounds(worst, clusters, weights, alpha=alpha)
        if condition.missing:
            high = bounded_mean_bounds(best, clusters, weights, alpha=alpha)[1]
        low, high = condition.bounds_in_units(low, high, estimate)
        status = _status(low, high, condition.asked)
        if condition.missing > MOST_MISSING * len(counting):
            status = GateStatus.INVALID
    return GateCondition(
        name=condition.name,
        variant=condition.variant,
        status=status,
        text=condition_text(condition, status, value, low, high, len(known), alpha),
        value=value,
        low=low,
        high=high,
        threshold=condition.asked,
        deviation=condition.deviation(frame),
    )


def judge_conditions(
    condition: Condition, pair: JudgedPair, frame: CaseFrame, conflicts: ConflictRule, alpha: float
) -> list[GateCondition]:
    """Conditions only where they are broken: the display order, not the answers, may have decided."""
    return [
        *_position(condition.variant, pair, frame, alpha),
        *_display(condition.variant, condition.control, pair.shares_first(conflicts), frame, alpha),
    ]


def _position(treatment: str, pair: JudgedPair, frame: CaseFrame, alpha: float) -> list[GateCondition]:
    """The display order, not the answer, decides most cases."""
    both = pair.both
    if not both.any():
        return []
    by_position = both & (np.abs(pair.shown_first - pair.shown_second) == 1)
    shares = by_position[both].astype(np.float64)
    if float(shares.mean()) <= MOST_DECIDED_BY_POSITION:
        return []
    low, high = bounded_mean_bounds(shares, frame.cluster_of(np.nonzero(both)[0]), alpha=alpha)
    if low <= MOST_DECIDED_BY_POSITION:
        return []
    text = (
        f"The judge decides by display position: in {int(by_position.sum()):,} of {int(both.sum()):,} cases "
        f"the two orders name different winners (lower bound {low:.1%}); its verdicts say nothing of "
        f"{treatment}."
    )
    return [_broken(treatment, text, float(shares.mean()), low, high, MOST_DECIDED_BY_POSITION)]


def _display(
    treatment: str, control: str, all_shares: Scores, frame: CaseFrame, alpha: float
) -> list[GateCondition]:
    """Who was shown first tells who is who.

    The bounds are those of the win rate, so a judge that names whatever is shown first can neither pass a
    gate at 0.5 or above nor fail one at 0.5 or below.
    """
    known = np.flatnonzero(~np.isnan(all_shares))
    shares = all_shares[known]
    if (shares == EVEN_DISPLAY).all():
        return []
    clusters = None if frame.clusters is None else frame.clusters[known]
    low, high = bounded_mean_bounds(shares, clusters, frame.weight_of(known), alpha=alpha)
    value = float(np.average(shares, weights=frame.weight_of(known)))
    if low <= EVEN_DISPLAY <= high and 0 < value < 1:
        return []
    ahead, behind = (treatment, control) if value > EVEN_DISPLAY else (control, treatment)
    alone = int((shares == float(value > EVEN_DISPLAY)).sum())
    other = int((shares == float(value < EVEN_DISPLAY)).sum())
    text = (
        f"Display order is confounded with the variant: of {len(shares):,} cases {alone:,} showed only "
        f"{ahead} first and {other:,} only {behind}, so a preference for that position would look the same. "
        "Have every case judged in both orders, or in one drawn at random."
    )
    return [_broken(treatment, text, value, low, high, EVEN_DISPLAY)]


def _broken(
    treatment: str, text: str, value: float, low: float, high: float, threshold: float
) -> GateCondition:
    return GateCondition(
        name="judge",
        variant=treatment,
        status=GateStatus.INVALID,
        text=text,
        value=value,
        low=low,
        high=high,
        threshold=threshold,
    )


def _status(low: float, high: float, threshold: float) -> GateStatus:
    if low > threshold:
        return GateStatus.PASS
    return GateStatus.FAIL if high < threshold else GateStatus.INCONCLUSIVE
