"""From verdicts to outcomes: against a slow definition by dictionaries, rule by rule, for many variants."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.gate_rule import ConflictRule
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.pair_readouts import judge_readout, pair_readout
from promptarena.evaluation.pairs import JudgedPair, judge_pairs
from promptarena.evaluation.ranking import rank
from promptarena.evaluation.recorded import Verdicts

Row = tuple[int, int, int, float | None]
"""Case, variant shown first, variant shown second, its score."""
NAMES = ("a", "b", "c")

rows = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from([(0, 1), (1, 0)]), st.sampled_from([1.0, 0.5, 0.0, None])
    ).map(lambda drawn: (drawn[0], *drawn[1], drawn[2])),
    max_size=40,
)


def frame(cases: int = 80) -> CaseFrame:
    return CaseFrame(ids=[str(number) for number in range(cases)])


def as_verdicts(rows: list[Row]) -> Verdicts:
    return Verdicts(
        case=np.array([row[0] for row in rows], dtype=np.intp),
        first=np.array([row[1] for row in rows], dtype=np.intp),
        second=np.array([row[2] for row in rows], dtype=np.intp),
        first_score=np.array([-1.0 if row[3] is None else row[3] for row in rows], dtype=np.float64),
        scored=np.array([row[3] is not None for row in rows], dtype=np.bool_),
        undeclared={},
    )


def one_pair(rows: list[Row], cases: int = 6) -> JudgedPair:
    (pair,) = judge_pairs(as_verdicts(rows), cases, 2, control=1)
    return pair


def slow_outcomes(rows: list[Row], rule: ConflictRule) -> dict[int, float]:
    """Each case's score of variant 0, said in words: majority an order, then the rule."""
    said: dict[tuple[int, int], list[float]] = defaultdict(list)
    for case, first, _, score in rows:
        if score is not None:
            said[case, first].append(score if first == 0 else 1 - score)
    orders: dict[int, dict[int, float]] = defaultdict(dict)
    for (case, first), scores in said.items():
        mean = sum(scores) / len(scores)
        orders[case][first] = 1.0 if mean > 0.5 else 0.0 if mean < 0.5 else 0.5
    both = sum(len(each) == 2 for each in orders.values())
    outcomes = {}
    for case, each in orders.items():
        if len(each) == 1 and 2 * both <= len(orders):
            outcomes[case] = next(iter(each.values()))
        elif len(each) == 2 and len(set(each.values())) == 1:
            outcomes[case] = each[0]
        elif len(each) == 2 and rule is ConflictRule.TIE:
            outcomes[case] = 0.5
        elif len(each) == 2 and rule is ConflictRule.AVERAGE:
            outcomes[case] = (each[0] + each[1]) / 2
    return outcomes


@given(rows=rows, rule=st.sampled_from(list(ConflictRule)))
def test_outcomes_are_those_of_the_slow_definition(rows: list[Row], rule: ConflictRule) -> None:
    outcomes = one_pair(rows).outcomes(rule)
    found = {case: float(score) for case, score in enumerate(outcomes) if not np.isnan(score)}
    assert found == slow_outcomes(rows, rule)


@given(rows=rows, rule=st.sampled_from(list(ConflictRule)))
def test_shares_first_are_those_of_the_cases_with_an_outcome(rows: list[Row], rule: ConflictRule) -> None:
    pair = one_pair(rows)
    shown: dict[int, set[int]] = defaultdict(set)
    for case, first, _, score in rows:
        if score is not None:
            shown[case].add(first)
    share = {frozenset({0}): 1.0, frozenset({1}): 0.0, frozenset({0, 1}): 0.5}
    expected = [share[frozenset(shown[case])] for case in sorted(slow_outcomes(rows, rule))]
    found = pair.shares_first(rule)
    assert found[~np.isnan(found)].tolist() == expected


@given(rows=rows, rule=st.sampled_from(list(ConflictRule)))
def test_every_case_is_won_lost_tied_dropped_or_missing(rows: list[Row], rule: ConflictRule) -> None:
    found = pair_readout(one_pair(rows), NAMES, frame(), rule, 0.95)
    dropped = found.conflicts if rule is ConflictRule.DROP else 0
    assert found.wins + found.losses + found.ties + dropped + found.missing == 6
    assert found.conflicts == found.both_orders - found.consistent
    assert found.unscored == sum(row[3] is None for row in rows)
    if rule is not ConflictRule.AVERAGE and found.win_rate is not None:
        decided = found.wins + found.losses + found.ties
        assert found.win_rate == pytest.approx((found.wins + found.ties / 2) / decided)


@given(rows=rows)
def test_the_other_side_of_a_pair_has_the_other_share(rows: list[Row]) -> None:
    mine = pair_readout(one_pair(rows), NAMES, frame(), ConflictRule.TIE, 0.95)
    (turned,) = judge_pairs(as_verdicts(rows), 6, 2, control=0)
    theirs = pair_readout(turned, NAMES, frame(), ConflictRule.TIE, 0.95)
    assert (mine.variant, theirs.variant) == ("a", "b")
    assert (mine.wins, mine.losses, mine.ties) == (theirs.losses, theirs.wins, theirs.ties)
    assert (mine.conflicts, mine.first_both, mine.first_position_rate) == (
        theirs.conflicts,
        theirs.first_both,
        theirs.first_position_rate,
    )


def test_each_rule_makes_of_a_conflict_what_it_says() -> None:
    # Case 0: the first shown wins both times. Case 1: a win and a tie. Case 2: won in both orders.
    rows: list[Row] = [(0, 0, 1, 1.0), (0, 1, 0, 1.0), (1, 0, 1, 1.0), (1, 1, 0, 0.5)]
    rows += [(2, 0, 1, 1.0), (2, 1, 0, 0.0)]
    pair = one_pair(rows, cases=3)
    assert pair.outcomes(ConflictRule.TIE).tolist() == [0.5, 0.5, 1]
    assert pair.outcomes(ConflictRule.AVERAGE).tolist() == [0.5, 0.75, 1]
    dropped = pair_readout(pair, NAMES, frame(), ConflictRule.DROP, 0.95)
    assert (dropped.wins, dropped.ties, dropped.missing, dropped.conflicts) == (1, 0, 0, 2)
    assert "2 cases whose orders disagree were dropped" in dropped.notes[0]


def test_a_pair_judged_in_one_order_counts_and_says_that_bias_is_unmeasured() -> None:
    found = pair_readout(
        one_pair([(case, 0, 1, 1.0) for case in range(6)]), NAMES, frame(), ConflictRule.TIE, 0.95
    )
    assert (found.wins, found.missing) == (6, 0)
    assert (found.first_position_rate, found.conflict_rate, found.both_orders) == (None, None, 0)
    assert found.notes == ("no case was judged in both display orders, so position bias is unmeasured",)


def test_half_of_a_case_does_not_count_where_others_are_whole() -> None:
    rows: list[Row] = [(case, *order, 0.5) for case in range(4) for order in ((0, 1), (1, 0))]
    rows += [(4, 0, 1, 1.0), (4, 1, 0, None), (5, 0, 1, 1.0)]
    found = pair_readout(one_pair(rows), NAMES, frame(), ConflictRule.TIE, 0.95)
    assert (found.wins, found.ties, found.missing, found.unscored) == (0, 4, 2, 1)
    assert found.notes == ("2 cases have a readable verdict in one order only and do not count",)


def test_repeats_count_once_as_their_majority() -> None:
    rows: list[Row] = [(0, 0, 1, 1.0), (0, 0, 1, 1.0), (0, 0, 1, 0.0), (0, 1, 0, 0.0)]
    pair = one_pair(rows)
    assert pair.outcomes(ConflictRule.TIE)[0] == 1
    assert pair.repeated == 2
    found = judge_readout([pair], frame(), 0.95)
    assert (found.verdicts, found.repeated, found.consistent) == (4, 2, 1)


def test_no_readable_verdict_is_no_win_rate() -> None:
    found = pair_readout(one_pair([(0, 0, 1, None)]), NAMES, frame(), ConflictRule.TIE, 0.95)
    assert (found.win_rate, found.interval, found.missing, found.unscored) == (None, None, 6, 1)


def test_pairs_with_the_control_come_even_without_verdicts_and_others_only_with() -> None:
    pairs = judge_pairs(as_verdicts([(0, 1, 2, 1.0)]), 1, 4, control=2)
    assert [(pair.variant, pair.against) for pair in pairs] == [(0, 2), (1, 2), (3, 2)]
    pairs = judge_pairs(as_verdicts([(0, 1, 2, 1.0), (0, 3, 0, 1.0)]), 1, 4, control=None)
    assert [(pair.variant, pair.against) for pair in pairs] == [(0, 3), (1, 2)]


def _league(rng: np.random.Generator, cases: int) -> list[Row]:
    strengths = (1.0, 0.0, -1.0)
    return [
        (case, one, other, float(rng.random() < 1 / (1 + np.exp(strengths[other] - strengths[one]))))
        for case in range(cases)
        for one in range(3)
        for other in range(3)
        if one != other
    ]


def test_three_variants_are_ranked_strongest_first() -> None:
    pairs = judge_pairs(as_verdicts(_league(np.random.default_rng(3), 80)), 80, 3, control=None)
    found = rank(pairs, NAMES, frame(), ConflictRule.TIE, 0.95)
    assert [each.variant for each in found.variants] == ["a", "b", "c"]
    assert sum(each.rating for each in found.variants) == pytest.approx(3000)
    assert [each.comparisons for each in found.variants] == [320, 320, 320]
    for each in found.variants:
        low, high = each.interval
        assert low is not None
        assert high is not None
        assert low < each.rating < high
    dropped = rank(pairs, NAMES, frame(), ConflictRule.DROP, 0.95)
    assert dropped.variants[0].comparisons < 320


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no readable verdict"),
        ([(0, 0, 1, 1.0), (1, 1, 0, 1.0)], r"groups \[a, b; c\]"),
        ([(case, 0, 1, 1.0) for case in range(5)] + [(0, 1, 2, 0.5)], r"groups \[a; b, c\]"),
        ([(0, 0, 1, 0.5), (0, 1, 2, 0.5)], "two judged cases"),
    ],
)
def test_what_cannot_be_ranked_says_why(rows: list[Row], said: str) -> None:
    found = rank(judge_pairs(as_verdicts(rows), 6, 3, control=0), NAMES, frame(), ConflictRule.TIE, 0.95)
    assert found.variants == ()
    assert re.search(said, found.note or "")
