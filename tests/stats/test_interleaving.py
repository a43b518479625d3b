"""Merged lists are those of the published algorithms, with the probabilities that they state."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.stats.interleaving import Interleaved, balanced, team_draft

A = ["sony", "sennheiser", "audio-technica", "jbl", "anker"]
B = ["bose", "sony", "apple", "anker", "jabra"]

rankings = st.lists(st.integers(0, 8), max_size=7)


def _every_draft(a: list[int], b: list[int], k: int) -> dict[Interleaved, float]:
    """All lists with their probability, by giving the coin every sequence of flips."""
    flips = list(itertools.product([True, False], repeat=k))
    found: Counter[Interleaved] = Counter(team_draft(a, b, k, coin) for coin in flips)
    return {shown: count / len(flips) for shown, count in found.items()}


def _published_draft(a: list[int], b: list[int], k: int, flips: list[bool]) -> tuple[list[int], list[str]]:
    """Team draft with sets and counters, as it was published, going on where one ranking ends."""
    items: list[int] = []
    team_a: list[int] = []
    team_b: list[int] = []
    coin = iter(flips)
    while len(items) < k:
        rest_a, rest_b = [x for x in a if x not in items], [x for x in b if x not in items]
        if not rest_a and not rest_b:
            break
        if rest_a and rest_b:
            a_picks = len(team_a) < len(team_b) or (len(team_a) == len(team_b) and next(coin))
        else:
            a_picks = bool(rest_a)
        item = rest_a[0] if a_picks else rest_b[0]
        (team_a if a_picks else team_b).append(item)
        items.append(item)
    return items, ["a" if item in team_a else "b" for item in items]


def test_the_worked_example_gives_lists_of_five_that_start_with_both_favourites() -> None:
    drafts = {team_draft(A, B, 5, coin) for coin in itertools.product([True, False], repeat=3)}
    assert len(drafts) == 8
    assert all(set(shown.items[:2]) == {"sony", "bose"} for shown in drafts)
    assert all(len(set(shown.items)) == 5 for shown in drafts)
    assert all(abs(shown.teams.count("a") - shown.teams.count("b")) == 1 for shown in drafts)
    assert sum(shown.propensity for shown in drafts) == 1


@given(a=rankings, b=rankings, k=st.integers(1, 8), flips=st.lists(st.booleans(), min_size=8, max_size=8))
def test_team_draft_is_the_published_algorithm(a: list[int], b: list[int], k: int, flips: list[bool]) -> None:
    shown = team_draft(a, b, k, flips)
    items, teams = _published_draft(a, b, k, flips)
    assert (list(shown.items), list(shown.teams)) == (items, teams)
    assert len(shown.items) == min(k, len({*a, *b})) == len(set(shown.items))


@given(a=rankings, b=rankings, k=st.integers(1, 6))
def test_propensities_are_the_shares_over_all_flips(a: list[int], b: list[int], k: int) -> None:
    drafts = _every_draft(a, b, k)
    for shown, share in drafts.items():
        assert shown.propensity == pytest.approx(share)
    lists = [balanced(a, b, k, coin=[first]) for first in (True, False)]
    same = (lists[0].items, lists[0].teams) == (lists[1].items, lists[1].teams)
    assert [shown.propensity for shown in lists] == ([1.0, 1.0] if same else [0.5, 0.5])


@given(a=rankings, b=rankings, k=st.integers(1, 8), a_first=st.booleans())
def test_balanced_is_the_published_algorithm(a: list[int], b: list[int], k: int, a_first: bool) -> None:
    a, b = list(dict.fromkeys(a)), list(dict.fromkeys(b))
    items: list[int] = []
    at_a = at_b = 0
    while at_a < len(a) and at_b < len(b):
        if at_a < at_b or (at_a == at_b and a_first):
            items += [a[at_a]] if a[at_a] not in items else []
            at_a += 1
        else:
            items += [b[at_b]] if b[at_b] not in items else []
            at_b += 1
    for item in a[at_a:] + b[at_b:]:
        items += [item] if item not in items else []
    assert list(balanced(a, b, k, coin=[a_first]).items) == items[:k]


def test_a_generator_flips_a_fair_coin() -> None:
    rng = np.random.default_rng(1)
    counts = Counter(team_draft(A, B, 5, rng) for _ in range(8000))
    assert len(counts) == 8
    for shown, count in counts.items():
        assert count / 8000 == pytest.approx(shown.propensity, abs=0.016)
    firsts = Counter(balanced(A, B, 5, rng).items[0] for _ in range(4000))
    assert firsts["sony"] / 4000 == pytest.approx(0.5, abs=0.035)


def test_short_and_empty_rankings_give_what_there_is() -> None:
    assert team_draft([], [], 5, coin=[]) == Interleaved((), (), 1.0)
    assert team_draft(["x", "y"], [], 5, coin=[]) == Interleaved(("x", "y"), ("a", "a"), 1.0)
    assert balanced([], ["x"], 5, coin=[True]) == Interleaved(("x",), ("b",), 1.0)
    assert team_draft(["x"], ["x"], 5, coin=[False]) == Interleaved(("x",), ("b",), 0.5)
    assert team_draft(["x", "x", "y"], ["y"], 5, coin=[True]).items == ("x", "y")


def test_a_list_needs_room_and_flips() -> None:
    with pytest.raises(ValueError, match="room"):
        team_draft(A, B, 0, coin=[True])
    with pytest.raises(ValueError, match="fewer flips"):
        team_draft(A, B, 5, coin=[True])
    with pytest.raises(ValueError, match="fewer flips"):
        balanced(A, B, 5, coin=[])
