"""Whether a judge prefers what is longer: who wins by length, and the win rate at equal lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import LengthEffect
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.stats.length_control import length_control
from promptarena.stats.preference import win_rate

__all__ = ["length_effect"]

Scores = NDArray[np.float64]


def length_effect(
    outcomes: Scores, lengths: Scores, other: Scores, frame: CaseFrame, confidence: float
) -> LengthEffect | None:
    """What length did in one pair; None where no case has an outcome and both lengths.

    Args:
        outcomes: shape (cases,), the variant's scores; NaN where there is none.
        lengths: shape (cases,), of its answers.
        other: shape (cases,), of the other's.
        frame: the cases.
        confidence: of the intervals.
    """
    apart = lengths - other
    known = np.flatnonzero(~np.isnan(outcomes) & ~np.isnan(apart))
    if not len(known):
        return None
    scores, differences = outcomes[known], apart[known]
    weights, clusters = frame.weight_of(known), frame.cluster_of(known)
    telling = (differences != 0) & (scores != 0.5)
    longer = None
    if telling.any():
        # A decided case is won by the longer answer where its score and its length lean to the same side.
        longer = win_rate(
            ((scores[telling] > 0.5) == (differences[telling] > 0)).astype(np.float64),
            clusters[telling],
            None if weights is None else weights[telling],
            confidence=confidence,
        ).rate
    fit = length_control(scores, differences, clusters, weights)
    return LengthEffect(
        mean_difference=float(np.average(differences, weights=weights)),
        longer_wins=longer.value if longer else None,
        longer_interval=longer.interval if longer else None,
        effect=fit.effect if fit else None,
        effect_interval=fit.effect_interval(confidence) if fit else None,
        p_value=fit.effect_p_value() if fit else None,
        controlled=fit.win_rate if fit else None,
        controlled_interval=fit.win_rate_interval(confidence) if fit else None,
        note=None if fit else _why_not(scores, differences, len(np.unique(clusters))),
    )


def _why_not(scores: Scores, differences: Scores, clusters: int) -> str:
    if clusters < 4:
        return "fewer than four independent cases tell nothing of an effect of length"
    if not differences.any():
        return "the answers are all of one length"
    if len(np.unique(scores)) < 2:
        return "every case has the same outcome, so length explains nothing"
    return "lengths tell wins and losses apart without error, so their effect has no bound"
