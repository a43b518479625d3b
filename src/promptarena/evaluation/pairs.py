"""From single verdicts to who won each case, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.gate_rule import ConflictRule
from promptarena.evaluation.recorded import Verdicts

__all__ = ["JudgedPair", "SameOrder", "judge_pairs"]

Scores = NDArray[np.float64]
_NONE = np.nan
"""Inside this room only: a case without a score. It never leaves it."""


@dataclass(frozen=True, slots=True)
class SameOrder:
    """What the judge said when the same two answers were shown in the same order more than once."""

    case: NDArray[np.intp]
    """Shape (asked more than once,): the case of each."""
    disagreement: Scores
    """The same shape: the chance that two of its verdicts, drawn without replacement, differ."""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two variants and what was said of them. Scores are `variant`'s: 1 won, 1/2 tie, 0 lost."""

    variant: int
    against: int
    shown_first: Scores
    """Shape (cases, repeats): the score where `variant` was shown first, NaN where there is none."""
    shown_second: Scores
    """The same where it was shown second."""
    verdicts: int
    unscored: int
    repeated: int
    same_order: SameOrder | None = None
    """None: nothing was asked twice."""

    @property
    def both(self) -> NDArray[np.bool_]:
        """Shape (cases, repeats): where there is a score in both orders."""
        return np.asarray(~np.isnan(self.shown_first) & ~np.isnan(self.shown_second), dtype=np.bool_)

    @property
    def either(self) -> NDArray[np.bool_]:
        """Shape (cases, repeats): where there is a score in at least one order."""
        return np.asarray(~np.isnan(self.shown_first) | ~np.isnan(self.shown_second), dtype=np.bool_)

    @property
    def conflicting(self) -> NDArray[np.bool_]:
        """Shape (cases, repeats): where the two orders disagree."""
        return np.asarray(self.both & (self.shown_first != self.shown_second), dtype=np.bool_)

    @property
    def in_both_orders(self) -> bool:
        """Whether the pair was meant to be judged in both orders: most of what was judged is."""
        return 2 * int(self.both.sum()) > int(self.either.sum())

    def by_repeat(self, rule: ConflictRule) -> Scores:
        """Shape (cases, repeats): each comparison's score, NaN where it has none.

        What was judged in one order only counts where the whole pair was judged so; in a pair that was judged
        in both it is incomplete, since half of it would be at the mercy of position.
        """
        mean = (self.shown_first + self.shown_second) / 2
        if rule is not ConflictRule.AVERAGE:
            mean = np.where(self.conflicting, 0.5 if rule is ConflictRule.TIE else _NONE, mean)
        if self.in_both_orders:
            return mean
        single = np.where(np.isnan(self.shown_first), self.shown_second, self.shown_first)
        return np.where(self.both, mean, single)

    def outcomes(self, rule: ConflictRule) -> Scores:
        """Shape (cases,): each case's score, the mean over its repeats; NaN where it has none."""
        return _mean_of_known(self.by_repeat(rule))

    def shares_first(self, rule: ConflictRule) -> Scores:
        """Shape (cases,): how often `variant` was shown first, in [0, 1]; NaN where a case has no outcome.

        It is what a judge would have said that names whatever is shown first, whatever it says.
        """
        first, second = ~np.isnan(self.shown_first), ~np.isnan(self.shown_second)
        share = (1.0 + first - second) / 2
        return _mean_of_known(np.where(np.isnan(self.by_repeat(rule)), _NONE, share))

    def dropped(self, rule: ConflictRule) -> NDArray[np.bool_]:
        """Shape (cases,): cases that the rule leaves out."""
        if rule is not ConflictRule.DROP:
            return np.zeros(len(self.shown_first), dtype=np.bool_)
        return np.asarray(np.isnan(self.outcomes(rule)) & self.conflicting.any(axis=1), dtype=np.bool_)

    def missing(self, rule: ConflictRule) -> int:
        """Cases without an outcome, less those that the rule drops."""
        return int((np.isnan(self.outcomes(rule)) & ~self.dropped(rule)).sum())


def _mean_of_known(values: Scores) -> Scores:
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=1) / np.maximum(count, 1), _NONE)


def judge_pairs(verdicts: Verdicts, cases: int, variants: int, control: int | None) -> list[JudgedPair]:
    """Sort verdicts by pair and order.

    Several verdicts on the same answers in the same order count once, as what most of them say (a tie where
    none has most); those that were asked `again` do not count at all. Treatments are held against the
    control, others against those that come later. A pair without verdicts is left out, unless it is of a
    treatment and the control.
    """
    return [
        _judged(verdicts, cases, variant, against)
        for variant, against in _pairs(variants, control)
        if control in (variant, against) or _between(verdicts, variant, against).any()
    ]


def _pairs(variants: int, control: int | None) -> Iterator[tuple[int, int]]:
    for one in range(variants):
        for other in range(one + 1, variants):
            yield (other, one) if one == control else (one, other)


def _between(verdicts: Verdicts, variant: int, against: int) -> NDArray[np.bool_]:
    shown_first = (verdicts.first == variant) & (verdicts.second == against)
    shown_second = (verdicts.first == against) & (verdicts.second == variant)
    return np.asarray(shown_first | shown_second, dtype=np.bool_)


def _judged(verdicts: Verdicts, cases: int, variant: int, against: int) -> JudgedPair:
    mine = _between(verdicts, variant, against)
    repeats = 1 if verdicts.repeat is None else int(verdicts.repeat.max(initial=0)) + 1
    cell = verdicts.case * repeats + (0 if verdicts.repeat is None else verdicts.repeat)
    counted = mine if verdicts.again is None else mine & ~verdicts.again
    scores: list[Scores] = []
    twice: list[SameOrder] = []
    distinct = 0
    for is_first in (True, False):
        shown = (verdicts.first == variant) == is_first
        distinct += len(np.unique(cell[counted & shown]))
        said = verdicts.first_score if is_first else 1 - verdicts.first_score
        here = counted & shown & verdicts.scored
        count = np.bincount(cell[here], minlength=cases * repeats)
        total = np.bincount(cell[here], weights=said[here], minlength=cases * repeats)
        majority = (np.sign(2 * total - count) + 1) / 2
        scores.append(np.where(count > 0, majority, _NONE).reshape(cases, repeats))
        everything = mine & shown & verdicts.scored
        twice.append(_same_order(cell[everything], said[everything], cases * repeats, repeats))
    same = SameOrder(
        np.concatenate([each.case for each in twice]), np.concatenate([each.disagreement for each in twice])
    )
    return JudgedPair(
        variant,
        against,
        scores[0],
        scores[1],
        verdicts=int(counted.sum()),
        unscored=int((counted & ~verdicts.scored).sum()),
        repeated=int(counted.sum()) - distinct,
        same_order=same if len(same.case) else None,
    )


def _same_order(cell: NDArray[np.intp], scores: Scores, cells: int, repeats: int) -> SameOrder:
    # For each cell how many verdicts say 0, 1/2 and 1.
    kind = np.rint(2 * scores).astype(np.intp)
    counts = np.bincount(cell * 3 + kind, minlength=3 * cells).reshape(cells, 3)
    times = counts.sum(axis=1)
    asked = np.flatnonzero(times > 1)
    agreeing = (counts[asked] * (counts[asked] - 1)).sum(axis=1)
    return SameOrder(asked // repeats, 1 - agreeing / (times[asked] * (times[asked] - 1)))
