"""From single verdicts to who won each case, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import JudgeReadout, PairReadout
from promptarena.definitions.gate_rule import ConflictRule
from promptarena.evaluation.recorded import Verdicts
from promptarena.stats.preference import OrderConflicts, first_position_rate, order_conflicts, win_rate
from promptarena.stats.proportions import Proportion

__all__ = ["JudgedPair", "judge_pairs", "judge_readout", "pair_readout"]

Scores = NDArray[np.float64]
_NONE = np.nan
"""Inside this room only: a case without a score. It never leaves it."""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two variants and what was said of them. Scores are `variant`'s: 1 won, 1/2 tie, 0 lost."""

    variant: int
    against: int
    shown_first: Scores
    """Shape (cases,): the score where `variant` was shown first, NaN where there is none."""
    shown_second: Scores
    """The same where it was shown second."""
    verdicts: int
    unscored: int
    repeated: int

    @property
    def both(self) -> NDArray[np.bool_]:
        """Cases with a score in both orders."""
        return np.asarray(~np.isnan(self.shown_first) & ~np.isnan(self.shown_second), dtype=np.bool_)

    @property
    def conflicting(self) -> NDArray[np.bool_]:
        """Cases whose two orders disagree."""
        return np.asarray(self.both & (self.shown_first != self.shown_second), dtype=np.bool_)

    @property
    def in_both_orders(self) -> bool:
        """Whether the pair was meant to be judged in both orders: most of its judged cases are."""
        either = ~np.isnan(self.shown_first) | ~np.isnan(self.shown_second)
        return 2 * int(self.both.sum()) > int(either.sum())

    def outcomes(self, rule: ConflictRule) -> Scores:
        """Shape (cases,): each case's score, NaN where it has none.

        A case judged in one order only counts where the whole pair was judged so; in a pair that was judged
        in both it is incomplete, since half of it would be at the mercy of position.
        """
        mean = (self.shown_first + self.shown_second) / 2
        if rule is not ConflictRule.AVERAGE:
            mean = np.where(self.conflicting, 0.5 if rule is ConflictRule.TIE else _NONE, mean)
        if self.in_both_orders:
            return mean
        single = np.where(np.isnan(self.shown_first), self.shown_second, self.shown_first)
        return np.where(self.both, mean, single)

    def shares_first(self, rule: ConflictRule) -> Scores:
        """Shape (cases with an outcome,): 1 where `variant` was only shown first, 0 only second, 1/2 both.

        It is what a judge would have said that names whatever is shown first, whatever it says.
        """
        first, second = ~np.isnan(self.shown_first), ~np.isnan(self.shown_second)
        share = (1.0 + first - second) / 2
        return np.asarray(share[~np.isnan(self.outcomes(rule))], dtype=np.float64)

    def missing(self, rule: ConflictRule) -> int:
        """Cases without an outcome, less those that the rule drops."""
        dropped = int(self.conflicting.sum()) if rule is ConflictRule.DROP else 0
        return int(np.isnan(self.outcomes(rule)).sum()) - dropped


def judge_pairs(verdicts: Verdicts, cases: int, variants: int, control: int | None) -> list[JudgedPair]:
    """Sort verdicts by pair and order.

    Repeated verdicts on one case in one order count once, as what most of them say (a tie where none has
    most). Treatments are held against the control, others against those that come later. A pair without
    verdicts is left out, unless it is of a treatment and the control.
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
    scores: list[Scores] = []
    distinct = 0
    for is_first in (True, False):
        here = mine & ((verdicts.first == variant) == is_first)
        distinct += len(np.unique(verdicts.case[here]))
        here &= verdicts.scored
        score = verdicts.first_score[here] if is_first else 1 - verdicts.first_score[here]
        count = np.bincount(verdicts.case[here], minlength=cases)
        total = np.bincount(verdicts.case[here], weights=score, minlength=cases)
        majority = (np.sign(2 * total - count) + 1) / 2
        scores.append(np.where(count > 0, majority, _NONE))
    return JudgedPair(
        variant,
        against,
        scores[0],
        scores[1],
        verdicts=int(mine.sum()),
        unscored=int((mine & ~verdicts.scored).sum()),
        repeated=int(mine.sum()) - distinct,
    )


def pair_readout(
    pair: JudgedPair, names: Sequence[str], rule: ConflictRule, confidence: float
) -> PairReadout:
    """What is known of one pair."""
    outcomes = pair.outcomes(rule)
    decided = outcomes[~np.isnan(outcomes)]
    won = win_rate(decided, confidence=confidence) if len(decided) else None
    orders, position = _position([pair], confidence)
    return PairReadout(
        variant=names[pair.variant],
        against=names[pair.against],
        win_rate=won.rate.value if won else None,
        interval=won.rate.interval if won else None,
        wins=won.wins if won else 0,
        losses=won.losses if won else 0,
        ties=won.ties if won else 0,
        conflicts=orders.conflicts if orders else 0,
        unscored=pair.unscored,
        first_position_rate=position.value if position else None,
        first_position_interval=position.interval if position else None,
        conflict_rate=orders.rate.value if orders else None,
        conflict_interval=orders.rate.interval if orders else None,
        both_orders=orders.n if orders else 0,
        consistent=orders.consistent if orders else 0,
        first_both=orders.first_both if orders else 0,
        second_both=orders.second_both if orders else 0,
        missing=pair.missing(rule),
        notes=tuple(_notes(pair, rule)),
    )


def judge_readout(pairs: Sequence[JudgedPair], confidence: float) -> JudgeReadout:
    """How the judge behaved over all pairs; a case judged for several pairs is one cluster."""
    orders, position = _position(pairs, confidence)
    return JudgeReadout(
        verdicts=sum(pair.verdicts for pair in pairs),
        unscored=sum(pair.unscored for pair in pairs),
        repeated=sum(pair.repeated for pair in pairs),
        both_orders=orders.n if orders else 0,
        consistent=orders.consistent if orders else 0,
        conflicts=orders.conflicts if orders else 0,
        first_both=orders.first_both if orders else 0,
        second_both=orders.second_both if orders else 0,
        conflict_rate=orders.rate.value if orders else None,
        conflict_interval=orders.rate.interval if orders else None,
        first_position_rate=position.value if position else None,
        first_position_interval=position.interval if position else None,
    )


def _position(
    pairs: Sequence[JudgedPair], confidence: float
) -> tuple[OrderConflicts | None, Proportion | None]:
    """What the display order did, among cases judged in both orders; None where there are none."""
    forward = np.concatenate([pair.shown_first[pair.both] for pair in pairs])
    backward = np.concatenate([pair.shown_second[pair.both] for pair in pairs])
    cases = np.concatenate([np.flatnonzero(pair.both) for pair in pairs])
    if not len(cases):
        return None, None
    orders = order_conflicts(forward, backward, cases, confidence=confidence)
    first_scores = np.concatenate([forward, 1 - backward])
    return orders, first_position_rate(first_scores, np.concatenate([cases, cases]), confidence=confidence)


def _notes(pair: JudgedPair, rule: ConflictRule) -> Iterator[str]:
    either = ~np.isnan(pair.shown_first) | ~np.isnan(pair.shown_second)
    both = int(pair.both.sum())
    if not either.any():
        yield "no readable verdict, so there is no win rate"
    elif not pair.in_both_orders:
        some = f"only {both:,} of {int(either.sum()):,} judged cases were" if both else "no case was"
        known = "barely measured" if both else "unmeasured"
        yield f"{some} judged in both display orders, so position bias is {known}"
    elif incomplete := int(either.sum()) - both:
        yield f"{incomplete:,} cases have a readable verdict in one order only and do not count"
    if pair.repeated:
        yield f"{pair.repeated:,} verdicts repeat a case and order; the majority of them counts once"
    if rule is ConflictRule.DROP and (dropped := int(pair.conflicting.sum())):
        yield f"{dropped:,} cases whose orders disagree were dropped, as the definition says"
