"""A duel that ends as soon as its gate is decided, without a greater error than one that runs to its end.

The order in which cases are taken is drawn before anything is asked: by a digest of the duel's name and each
case's, so that nobody chooses it and it is the same on every machine and after every restart. Evidence is one
score a case (of both display orders: 0, 1/4, 1/2, 3/4 or 1), or one a cluster of cases, and is read in that
order and no other: answers that happen to be quick decide nothing. Each of the gate's conditions is a bet for
and a bet against (see `stats.betting`); the gate passes when every condition has once been won, and fails
when one is lost.

    stop = EarlyStop(duel, frame)
    while batch := stop.next_cases(64):
        ...  # answer and judge these cases
        stop.look(gate_conditions(duel, evidence), done)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel import Duel
from promptarena.definitions.duel_readout import EarlyStopReadout, EvidencePath, GateCondition, GateStatus
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.conditions import Condition
from promptarena.evaluation.gate import MOST_MISSING
from promptarena.evaluation.gate_words import anytime_text
from promptarena.stats.betting import log_wealth_above, log_wealth_below, mean_bounds

__all__ = ["EarlyDecision", "EarlyStop", "Order", "decide_early", "taking_order"]

Scores = NDArray[np.float64]

_MOST_POINTS: Final = 200
"""Of a path that is reported."""


@dataclass(frozen=True, slots=True)
class Order:
    """In which order cases are taken: whole clusters, one after the other."""

    cases: NDArray[np.intp]
    """Shape (cases,): numbers of cases, first to last."""
    ends: NDArray[np.intp]
    """Shape (clusters,): how many cases have been taken when each cluster is complete."""

    def complete(self, done: NDArray[np.bool_]) -> int:
        """How many clusters, from the first on, are complete: what comes after a gap does not count yet."""
        open_at = np.flatnonzero(~done[self.cases])
        return int(np.searchsorted(self.ends, open_at[0], side="right")) if len(open_at) else len(self.ends)


def taking_order(duel: str, frame: CaseFrame) -> Order:
    """The order of a duel's cases, from its name and theirs.

    A cluster's place comes from the first of its cases' ids in the alphabet, so that the order of a file does
    not matter.
    """
    cases = np.arange(len(frame))
    clusters = frame.cluster_of(cases)
    first: dict[int, str] = {}
    for cluster, name in zip(clusters.tolist(), frame.ids, strict=True):
        first[cluster] = min(name, first.get(cluster, name))
    places = {cluster: sha256(f"{duel}\0{name}".encode()).digest() for cluster, name in first.items()}
    ranks = {cluster: rank for rank, cluster in enumerate(sorted(places, key=places.__getitem__))}
    rank = np.array([ranks[cluster] for cluster in clusters.tolist()], dtype=np.intp)
    return Order(np.argsort(rank, kind="stable"), np.cumsum(np.bincount(rank)))


@dataclass(frozen=True, slots=True)
class EarlyDecision:
    """What is decided of all conditions after some clusters."""

    conditions: tuple[GateCondition, ...]
    readout: EarlyStopReadout
    taken: NDArray[np.intp]
    """The cases that the decision rests on, in their order."""

    @property
    def decided(self) -> bool:
        """Whether nothing more needs to be asked."""
        return self.readout.stopped


def decide_early(
    conditions: Sequence[Condition], order: Order, frame: CaseFrame, done: NDArray[np.bool_], alpha: float
) -> EarlyDecision:
    """Decide as far as the complete cases go; what lies behind the decision is left out of account.

    Args:
        conditions: what is asked, from `list_conditions`; cases that are not done may hold anything.
        order: from `taking_order`.
        frame: all cases.
        done: shape (cases,): whether everything that a case needs was tried.
        alpha: one-sided error of each condition, over all looks together.
    """
    complete = order.complete(done)
    bets = [_Bet(condition, order, frame, complete, alpha) for condition in conditions]
    never = len(order.ends) + 1
    passed = max((never if bet.won is None else bet.won for bet in bets), default=never)
    failed = min((never if bet.lost is None else bet.lost for bet in bets), default=never)
    stopped = min(passed, failed)
    used = min(stopped, complete)
    cases = int(order.ends[used - 1]) if used else 0
    found = EarlyStopReadout(
        cases=len(frame),
        taken=cases,
        stopped=stopped <= complete,
        paths=tuple(bet.path(used) for bet in bets),
    )
    return EarlyDecision(tuple(bet.decide(used) for bet in bets), found, order.cases[:cases])


class _Bet:
    """One condition's two bets along the order."""

    def __init__(
        self, condition: Condition, order: Order, frame: CaseFrame, complete: int, alpha: float
    ) -> None:
        self.condition, self._order, self._alpha = condition, order, alpha
        self._planned = len(order.ends)
        self._cluster = np.repeat(np.arange(len(order.ends)), np.diff(order.ends, prepend=0))
        self._frame = frame
        null = condition.null
        self._worst = self._by_cluster(condition.worst, null)[:complete]
        self._best = self._by_cluster(condition.best, null)[:complete]
        nothing = np.full(complete, -math.inf)
        self._for = nothing
        if null < 1:
            self._for = log_wealth_above(self._worst, max(null, 0.0), alpha=alpha, planned=self._planned)
        self._against = nothing
        if null > 0:
            self._against = log_wealth_below(self._best, min(null, 1.0), alpha=alpha, planned=self._planned)
        self.won, self.lost = self._first(self._for), self._first(self._against)

    def _by_cluster(self, scores: Scores, null: float) -> Scores:
        """Each cluster's mean score, drawn towards the null by its weight over the greatest.

        With that the mean of what is bet on is above the null exactly where the weighted mean of all cases
        is, and a cluster in which nothing counts is no bet.
        """
        weights = np.ones(len(scores)) if self._frame.weights is None else self._frame.weights
        weights, scores = weights[self._order.cases], scores[self._order.cases]
        size = len(self._order.ends)
        greatest = float(np.bincount(self._cluster, weights=weights, minlength=size).max())
        counts = ~np.isnan(scores)
        pull = np.where(counts, weights * (np.where(counts, scores, 0.0) - null), 0.0)
        moved = null + np.bincount(self._cluster, weights=pull, minlength=size) / greatest
        return np.clip(moved, 0.0, 1.0)

    def _first(self, wealth: Scores) -> int | None:
        """After how many clusters the wealth first suffices."""
        enough = np.flatnonzero(wealth >= math.log(1 / self._alpha))
        return int(enough[0]) + 1 if len(enough) else None

    def path(self, used: int) -> EvidencePath:
        places = np.linspace(1, used, min(used, _MOST_POINTS)).round().astype(int)
        at: list[int] = np.unique(places).tolist()
        scale = math.log(1 / self._alpha)

        def shown(wealth: Scores) -> tuple[float | None, ...]:
            return tuple(float(wealth[n - 1]) / scale if math.isfinite(wealth[n - 1]) else None for n in at)

        return EvidencePath(
            name=self.condition.name,
            variant=self.condition.variant,
            cases=tuple(int(self._order.ends[n - 1]) for n in at),
            evidence_for=shown(self._for),
            evidence_against=shown(self._against),
        )

    def decide(self, used: int) -> GateCondition:
        condition = self.condition
        cases = self._order.cases[: int(self._order.ends[used - 1])] if used else self._order.cases[:0]
        scores, worst = condition.scores[cases], condition.worst[cases]
        known, counting = ~np.isnan(scores), ~np.isnan(worst)
        value = low = high = None
        after = None
        if not known.any():
            status = GateStatus.INVALID
        else:
            weights = self._frame.weight_of(cases[known])
            estimate = float(np.average(scores[known], weights=weights))
            value = condition.in_units(estimate)
            low, high = self._bounds(used, estimate)
            status = GateStatus.INCONCLUSIVE
            if self.won is not None and self.won <= used:
                status, after = GateStatus.PASS, self.won
            elif self.lost is not None and self.lost <= used:
                status, after = GateStatus.FAIL, self.lost
            if (counting & ~known).sum() > MOST_MISSING * counting.sum():
                status = GateStatus.INVALID
        text = anytime_text(
            condition,
            status,
            value,
            (low, high),
            int(known.sum()),
            int((counting & ~known).sum()),
            None if after is None else int(self._order.ends[after - 1]),
            len(self._frame),
            self._alpha,
        )
        return GateCondition(
            name=condition.name,
            variant=condition.variant,
            status=status,
            text=text,
            value=value,
            low=low,
            high=high,
            threshold=condition.asked,
            deviation=self._seen(used).deviation(self._frame),
        )

    def _seen(self, used: int) -> Condition:
        """The condition as far as it was used."""
        scores = np.full(len(self._frame), np.nan)
        cases = self._order.cases[: int(self._order.ends[used - 1])] if used else self._order.cases[:0]
        scores[cases] = self.condition.scores[cases]
        return replace(self.condition, scores=scores)

    def _bounds(self, used: int, estimate: float) -> tuple[float | None, float | None]:
        """Bounds that hold at every look, and hold the estimate; None where clusters count unequally: the
        bets then show the null only."""
        sizes = np.diff(self._order.ends, prepend=0)
        if self._frame.weights is not None or (sizes != sizes[0]).any():
            return None, None
        low = mean_bounds(self._worst[:used], alpha=2 * self._alpha, planned=self._planned)[0]
        high = mean_bounds(self._best[:used], alpha=2 * self._alpha, planned=self._planned)[1]
        return self.condition.bounds_in_units(low, high, estimate)


class EarlyStop:
    """Says which cases to take up next, and when enough is known. It makes no calls."""

    def __init__(self, duel: Duel, frame: CaseFrame) -> None:
        """
        Args:
            duel: with a gate.
            frame: all cases.
        """
        assert duel.gate is not None, "a duel without a gate has nothing to decide early"
        self.order = taking_order(duel.duel, frame)
        self._frame, self._alpha = frame, duel.gate.alpha
        self._given = 0
        self._decided = False

    @property
    def decided(self) -> bool:
        """Whether the last look found everything decided."""
        return self._decided

    def next_cases(self, at_least: int) -> list[int]:
        """The cases to take up next: whole clusters until there are so many; none once all is decided or
        given."""
        if self._decided or self._given >= len(self._frame):
            return []
        wanted = int(np.searchsorted(self.order.ends, self._given + max(at_least, 1)))
        end = int(self.order.ends[min(wanted, len(self.order.ends) - 1)])
        given: list[int] = self.order.cases[self._given : end].tolist()
        self._given = end
        return given

    def look(self, conditions: Sequence[Condition], done: NDArray[np.bool_]) -> bool:
        """Look at what is complete, in whatever order it was completed.

        Args:
            conditions: `gate_conditions` of the evidence so far, over all cases.
            done: shape (cases,): whether everything that a case needs was tried, with or without success.

        Returns:
            Whether everything is decided.
        """
        found = decide_early(conditions, self.order, self._frame, done, self._alpha)
        self._decided = self._decided or found.decided
        return self._decided
