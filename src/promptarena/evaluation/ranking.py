"""More than two variants on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import RankedVariant, Ranking
from promptarena.definitions.gate_rule import ConflictRule
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.pairs import JudgedPair
from promptarena.stats.ratings import average_win_rates, bradley_terry, comparable_groups, elo, win_matrix

__all__ = ["rank"]

_METHOD = "Bradley-Terry on every verdict, a tie half a win to each; errors clustered by case"


def rank(
    pairs: Sequence[JudgedPair],
    names: Sequence[str],
    frame: CaseFrame,
    rule: ConflictRule,
    confidence: float,
) -> Ranking:
    """Rank variants by Bradley-Terry.

    Each order's verdict is a comparison of its own, so that a conflict needs no rule here: who wins one
    order and loses the other has, to the likelihood, tied. Only `drop` leaves conflicting cases out here
    too.
    """
    parts = [part for pair in pairs for part in _comparisons(pair, rule)]
    variant, against, score, case = (
        np.concatenate([part[column] for part in parts]) if parts else np.empty(0) for column in range(4)
    )
    if not len(score):
        return Ranking(variants=(), method=_METHOD, note="There is no readable verdict.")
    one, other = variant.astype(np.intp), against.astype(np.intp)
    wins = win_matrix(one, other, score, len(names))
    if note := _not_comparable(wins, names):
        return Ranking(variants=(), method=_METHOD, note=note)
    clusters = frame.cluster_of(case.astype(np.intp))
    if len(np.unique(clusters)) < 2:
        return Ranking(variants=(), method=_METHOD, note="Errors need at least two judged cases.")
    fit = bradley_terry(one, other, score, len(names), clusters)
    ratings, intervals = fit.ratings(), fit.intervals(confidence)
    averages = average_win_rates(wins)
    in_turn = np.argsort(case, kind="stable")  # no pair of variants plays all of its cases before another
    elos = elo(one[in_turn], other[in_turn], score[in_turn], len(names))
    counts = np.bincount(np.concatenate([one, other]), minlength=len(names))
    ranked = (
        RankedVariant(
            variant=name,
            rating=float(ratings[number]),
            interval=(float(intervals[number, 0]), float(intervals[number, 1])),
            average_win_rate=float(averages[number]),
            elo=float(elos[number]),
            comparisons=int(counts[number]),
        )
        for number, name in enumerate(names)
    )
    return Ranking(variants=tuple(sorted(ranked, key=lambda each: -each.rating)), method=_METHOD)


def _comparisons(pair: JudgedPair, rule: ConflictRule) -> list[list[NDArray[np.float64]]]:
    """For each order the columns variant, against, score of the variant, case."""
    counts = ~pair.conflicting if rule is ConflictRule.DROP else np.ones_like(pair.conflicting)
    columns = []
    for scores in (pair.shown_first, pair.shown_second):
        here = ~np.isnan(scores) & counts
        case = np.nonzero(here)[0]
        shape = np.ones(len(case))
        columns.append([pair.variant * shape, pair.against * shape, scores[here], case.astype(np.float64)])
    return columns


def _not_comparable(wins: NDArray[np.float64], names: Sequence[str]) -> str | None:
    groups = comparable_groups(wins)
    if len(groups) == 1:
        return None
    told = "; ".join(", ".join(names[number] for number in group) for group in groups)
    return (
        f"The verdicts do not place all variants on one scale: between the groups [{told}] one side won "
        "every comparison, or there was none. Win rates of the pairs stand."
    )
