"""Preferences against the design's own expectation: exact, right without a preference, covering with one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Bound, Calibration

from promptarena.stats.interleaved_preference import (
    ListOutcome,
    balanced_outcome,
    interleaved_preference,
    placement,
    team_draft_outcome,
)
from promptarena.stats.interleaving import Interleaved, balanced, team_draft

Vector = NDArray[np.float64]

rankings = st.lists(st.integers(0, 8), max_size=7)


def _by_hand(votes: int) -> float:
    return 0.5 if votes == 0 else float(votes > 0)


@given(a=rankings, b=rankings, k=st.integers(1, 6), data=st.data())
def test_expected_outcomes_are_means_over_every_flip(
    a: list[int], b: list[int], k: int, data: st.DataObject
) -> None:
    length = min(k, len({*a, *b}))
    clicked = data.draw(st.sets(st.integers(0, max(length - 1, 0)), max_size=length))
    drafts = [team_draft(a, b, k, coin) for coin in itertools.product([True, False], repeat=k)]
    shares = np.mean([[team == "b" for team in shown.teams] for shown in drafts], axis=0)
    np.testing.assert_allclose(placement(a, b, k), shares)
    if not clicked:
        assert team_draft_outcome(a, b, drafts[0], clicked) is None
        return
    scores = [_by_hand(sum(1 if shown.teams[i] == "b" else -1 for i in clicked)) for shown in drafts]
    for shown, score in zip(drafts, scores, strict=True):
        found = team_draft_outcome(a, b, shown, clicked)
        assert found is not None
        assert found.score == score
        assert found.expected == pytest.approx(np.mean(scores))
        assert found.variance == pytest.approx(np.var(scores), abs=1e-12)


@given(
    a=st.permutations(range(8)),
    b=st.permutations(range(3, 11)),
    clicked=st.sets(st.integers(0, 5), min_size=1),
    coin=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_full_rankings_have_an_even_chance(
    a: list[int], b: list[int], clicked: set[int], coin: list[bool]
) -> None:
    found = team_draft_outcome(a, b, team_draft(a, b, 6, coin), clicked)
    assert found is not None
    assert found.expected == pytest.approx(0.5)


def _click_by_position(rng: np.random.Generator, shown: Interleaved) -> list[int]:
    return [i for i in range(len(shown.items)) if rng.random() < 0.5 / (1 + i) + 0.1]


def _error_rates(
    a: list[int], b: list[int], k: int, *, draft: bool, trials: int, lists: int, seed: int
) -> tuple[float, float]:
    """How often clicks by position alone pass for a preference: here, and in a sign test against one half."""
    rng = np.random.default_rng(seed)
    merge, judge = (team_draft, team_draft_outcome) if draft else (balanced, balanced_outcome)
    wrong = naive = 0
    for _ in range(trials):
        shown = [merge(a, b, k, rng) for _ in range(lists)]
        outcomes = [judge(a, b, one, _click_by_position(rng, one)) for one in shown]
        wrong += interleaved_preference(outcomes).p_value <= 0.05
        scores = np.array([outcome.score for outcome in outcomes if outcome is not None])
        naive += abs(scores.mean() - 0.5) > 1.96 * scores.std(ddof=1) / np.sqrt(len(scores))
    return wrong / trials, naive / trials


@pytest.mark.parametrize(
    ("a", "b", "draft"),
    [
        ([1, 2, 3, 4, 5], [6], True),
        ([1, 2, 3, 4], [2, 3, 4, 1], False),
    ],
)
def test_clicks_by_position_are_no_preference_although_one_half_says_so(
    a: list[int], b: list[int], draft: bool
) -> None:
    wrong, naive = _error_rates(a, b, 5, draft=draft, trials=150, lists=120, seed=1)
    assert wrong <= 0.09
    assert naive > 0.5


def test_full_rankings_keep_the_error_with_either_design() -> None:
    for draft in (True, False):
        wrong, _ = _error_rates(
            [1, 2, 3, 4, 5], [3, 6, 1, 7, 8], 5, draft=draft, trials=150, lists=80, seed=2
        )
        assert wrong <= 0.09


@pytest.mark.slow
@pytest.mark.parametrize("draft", [True, False])
@pytest.mark.parametrize(
    ("a", "b"), [([1, 2, 3, 4, 5], [6]), ([1, 2, 3, 4], [2, 3, 4, 1]), ([1, 2, 3], [3, 4, 1])]
)
def test_the_error_is_as_declared(draft: bool, a: list[int], b: list[int], calibration: Calibration) -> None:
    # .05 plus 3 Monte-Carlo errors of 2,000 trials.
    wrong, naive = _error_rates(a, b, 5, draft=draft, trials=2000, lists=60, seed=3)
    figures: tuple[tuple[str, float, Bound], ...] = (
        ("type I error", wrong, "at most"),
        ("type I error against one half", naive, "beside"),
    )
    for figure, observed, bound in figures:
        calibration.record(
            "Interleaving, clicks by position alone",
            f"{'team draft' if draft else 'balanced'}, {a} and {b}, 60 lists",
            figure,
            nominal=0.05,
            observed=observed,
            runs=2000,
            seed=3,
            bound=bound,
        )
    assert wrong <= 0.065


def test_a_ranking_with_better_items_is_preferred() -> None:
    rng = np.random.default_rng(4)
    a, b = [1, 2, 3, 4, 5], [6, 2, 7, 8, 9]
    liked = {6: 0.6, 7: 0.5, 8: 0.4, 2: 0.5}
    outcomes = []
    for _ in range(300):
        shown = team_draft(a, b, 5, rng)
        clicked = [i for i, item in enumerate(shown.items) if rng.random() < liked.get(item, 0.2)]  # type: ignore[call-overload]
        outcomes.append(team_draft_outcome(a, b, shown, clicked))
    found = interleaved_preference(outcomes)
    assert 0.1 < found.low < found.preference < found.high
    assert found.p_value < 1e-6
    swapped = interleaved_preference(
        [None if o is None else ListOutcome(1 - o.score, 1 - o.win - o.tie, o.tie) for o in outcomes]
    )
    assert swapped.preference == pytest.approx(-found.preference)
    assert swapped.p_value == pytest.approx(found.p_value)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize("lean", [0.0, 0.1, 0.25])
def test_intervals_cover_with_users_who_differ(lean: float) -> None:
    rng, hits, trials = np.random.default_rng(5), 0, 500
    expectations = np.array([0.5, 0.3])
    for _ in range(trials):
        users = np.repeat(np.arange(60), 4)
        taste = rng.normal(0, 0.1, 60).clip(-0.2, 0.2)[users]
        kind = rng.integers(0, 2, len(users))
        scores = rng.random(len(users)) < expectations[kind] + lean + taste
        outcomes = [
            ListOutcome(float(s), float(expectations[g]), 0.0) for s, g in zip(scores, kind, strict=True)
        ]
        found = interleaved_preference(outcomes, clusters=users)
        hits += found.low <= lean <= found.high
    assert 0.925 <= hits / trials <= 0.975


@given(
    lists=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0.05, 0.6), st.floats(0.05, 0.35)),
        min_size=1,
        max_size=6,
    )
)
def test_small_tests_add_up_every_outcome_of_the_design(lists: list[tuple[float, float, float]]) -> None:
    outcomes = [ListOutcome(*values) for values in lists]
    expected = sum(outcome.expected for outcome in outcomes)
    gap = abs(sum(outcome.score for outcome in outcomes) - expected)
    direct = 0.0
    for scores in itertools.product([0.0, 0.5, 1.0], repeat=len(outcomes)):
        if abs(sum(scores) - expected) >= gap - 1e-9:
            chances = [
                {1.0: o.win, 0.5: o.tie, 0.0: 1 - o.win - o.tie}[s]
                for o, s in zip(outcomes, scores, strict=True)
            ]
            direct += float(np.prod(chances))
    assert interleaved_preference(outcomes).p_value == pytest.approx(direct, abs=1e-9)


def test_the_normal_test_takes_over_smoothly() -> None:
    won, lost, tied = (ListOutcome(score, 0.4, 0.2) for score in (1.0, 0.0, 0.5))
    exact = interleaved_preference([won] * 180 + [lost] * 150 + [tied] * 70)
    normal = interleaved_preference([won] * 181 + [lost] * 150 + [tied] * 70)
    assert exact.p_value == pytest.approx(normal.p_value, abs=0.02)


def test_lists_that_say_nothing_are_left_out_and_counted() -> None:
    a, b = [1, 2], [1, 2]
    one_sided = team_draft_outcome(a, [], team_draft(a, [], 2, coin=[]), [0])
    both = team_draft_outcome(a, b, team_draft(a, b, 2, coin=[True]), [0, 1])
    first = team_draft_outcome(a, b, team_draft(a, b, 2, coin=[True]), [0, 0])
    assert both == ListOutcome(0.5, 0.0, 1.0)
    assert first == ListOutcome(0.0, 0.5, 0.0)
    found = interleaved_preference([one_sided, both, first, None])
    assert (found.lists, found.uninformative, found.p_value) == (1, 3, 1.0)
    with pytest.raises(ValueError, match="no list was clicked"):
        interleaved_preference([one_sided, None])


def test_what_cannot_have_been_is_refused() -> None:
    a, b = [1, 2, 3], [3, 4, 1]
    shown = team_draft(a, b, 3, coin=[True, True])
    with pytest.raises(ValueError, match="from 0 to 2"):
        team_draft_outcome(a, b, shown, [3])
    with pytest.raises(ValueError, match="cannot have made"):
        team_draft_outcome(b, a, shown, [0])
    with pytest.raises(ValueError, match="not a balanced one"):
        balanced_outcome(a, b, Interleaved((2, 1, 3), ("a", "b", "b"), 0.5), [0])
    assert balanced_outcome(a, b, balanced(a, b, 3, coin=[True]), []) is None
    with pytest.raises(ValueError, match="one cluster"):
        interleaved_preference([ListOutcome(1, 0.5, 0)], clusters=[1, 2])
