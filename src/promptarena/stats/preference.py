"""Pairwise preference: win rates with ties, and what the display order did to a judge's verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptarena.stats.proportions import Proportion, proportion

__all__ = ["OrderConflicts", "WinRate", "first_position_rate", "order_conflicts", "win_rate"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often one side won."""

    wins: int
    """Scores above 1/2."""
    losses: int
    """Scores below 1/2."""
    ties: int
    """Scores of exactly 1/2."""
    rate: Proportion
    """The mean score; (wins + ties / 2) / n where every score is 0, 1/2 or 1."""


def win_rate(
    scores: ArrayLike,
    cases: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> WinRate:
    """The win rate, a tie being half a win, with an interval clustered by case.

    >>> duel = win_rate([1, 1, 1, 0.5, 0])
    >>> duel.wins, duel.ties, duel.losses, duel.rate.value
    (3, 1, 1, 0.7)

    Args:
        scores: shape (n,), in [0, 1]: 1 won, 1/2 tied, 0 lost; what lies between is a part of a win.
        cases: shape (n,), the case of each score. None: each score is a case of its own.
        weights: shape (n,), above 0: how much each score counts in the rate. None: all the same.
        confidence: of the two-sided interval.

    Raises:
        ValueError: as `proportion`.
    """
    rate = proportion(scores, cases, weights, confidence=confidence)
    values = np.asarray(scores, dtype=np.float64)
    wins, losses = int((values > 0.5).sum()), int((values < 0.5).sum())
    return WinRate(wins, losses, len(values) - wins - losses, rate)


@dataclass(frozen=True, slots=True)
class OrderConflicts:
    """What a judge said of the same two answers shown in both orders."""

    n: int
    """Pairs of answers judged in both orders."""
    consistent: int
    """Both orders say the same: the same winner, or twice a tie."""
    first_both: int
    """The answer shown first won both times."""
    second_both: int
    """The answer shown second won both times."""
    half: int
    """One order says tie, the other names a winner."""
    rate: Proportion
    """Share of pairs that are not consistent."""

    @property
    def conflicts(self) -> int:
        return self.n - self.consistent


def order_conflicts(
    forward: ArrayLike,
    backward: ArrayLike,
    cases: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> OrderConflicts:
    """Count where a judge's verdict depends on which answer is shown first.

    >>> found = order_conflicts([1, 1, 0.5], [1, 0, 0.5])
    >>> found.conflicts, found.first_both, found.second_both
    (1, 1, 0)

    Args:
        forward: shape (n,), each 0, 1/2 or 1: the score of answer A where A was shown first.
        backward: shape (n,), the score of the *same* answer A where it was shown second.
        cases: shape (n,), what pairs have in common. None: each pair is a case of its own.
        confidence: of the interval of the rate.

    Raises:
        ValueError: nothing to compare, shapes that differ, a score other than 0, 1/2, 1.
    """
    shown_first, shown_second = _verdicts(forward), _verdicts(backward)
    if shown_first.shape != shown_second.shape:
        raise ValueError(
            f"{len(shown_first)} verdicts in one order and {len(shown_second)} in the other do not pair"
        )
    disagree = shown_first != shown_second
    first_both = int(((shown_first == 1) & (shown_second == 0)).sum())
    second_both = int(((shown_first == 0) & (shown_second == 1)).sum())
    conflicts = int(disagree.sum())
    return OrderConflicts(
        n=len(disagree),
        consistent=len(disagree) - conflicts,
        first_both=first_both,
        second_both=second_both,
        half=conflicts - first_both - second_both,
        rate=proportion(disagree.astype(np.float64), cases, confidence=confidence),
    )


def first_position_rate(
    first_scores: ArrayLike, cases: ArrayLike | None = None, *, confidence: float = 0.95
) -> Proportion | None:
    """Share of decisive verdicts that went to the answer shown first; None where every verdict is a tie.

    Over pairs that were all judged in both orders it is 1/2 for a judge without position bias, however
    unequal the answers are: who is shown first in one verdict is shown second in the other.

    >>> bias = first_position_rate([1, 1, 1, 0, 0.5], cases=[1, 1, 2, 2, 3])
    >>> bias.value if bias else None
    0.75

    Args:
        first_scores: shape (n,), each 0, 1/2 or 1: the score of the answer shown first.
        cases: shape (n,), what verdicts have in common (at least the two orders of a pair). None: nothing.
        confidence: of the interval.

    Raises:
        ValueError: a score other than 0, 1/2, 1, or shapes that differ.
    """
    scores = _verdicts(first_scores)
    decisive = scores != 0.5
    if not decisive.any():
        return None
    clusters = None if cases is None else np.asarray(cases)[decisive]
    return proportion(scores[decisive], clusters, confidence=confidence)


def _verdicts(scores: ArrayLike) -> Vector:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or not np.isin(array, (0.0, 0.5, 1.0)).all():
        raise ValueError("verdicts are 0 (lost), 1/2 (tie) or 1 (won), in one dimension")
    return array
