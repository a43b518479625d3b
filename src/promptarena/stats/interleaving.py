"""Two rankings in one list, so that the same user compares them at the same moment.

A user who clicks in the merged list votes for the ranking that the item came from. This tells two rankings
apart with a small part of the users that an A/B test needs; it says which one is preferred, not by how much a
metric would move.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Coin", "Interleaved", "Team", "balanced", "next_picks", "team_draft"]

Team = Literal["a", "b"]
Coin = np.random.Generator | Iterable[bool]
"""A generator, or the flips themselves, in order: true where a goes first."""


@dataclass(frozen=True, slots=True)
class Interleaved:
    """A merged list as it is shown."""

    items: tuple[Hashable, ...]
    """At most k, best first, none twice."""
    teams: tuple[Team, ...]
    """Which ranking each item was taken from."""
    propensity: float
    """Probability, over the coin, of just these items from just these rankings, in this order."""


def team_draft(a: Sequence[Hashable], b: Sequence[Hashable], k: int, coin: Coin) -> Interleaved:
    """Rankings pick in turn like captains; in every round a coin decides who picks first.

    Each picks its highest item that is not in the list yet. Where one ranking has nothing left the other one
    picks alone, so the list has min(k, different items) items. An item that a ranking has twice counts where
    it is first.

    >>> a = ["sony", "sennheiser", "audio-technica", "jbl", "anker"]
    >>> b = ["bose", "sony", "apple", "anker", "jabra"]
    >>> merged = team_draft(a, b, 5, coin=[True, False, True])
    >>> merged.items
    ('sony', 'bose', 'apple', 'sennheiser', 'audio-technica')
    >>> "".join(merged.teams), merged.propensity
    ('abbaa', 0.125)

    Args:
        a, b: items, best first; of any length, also empty.
        k: length of the list, at least 1.
        coin: fair, and new for every list that is shown.

    Raises:
        ValueError: k below 1, or fewer flips than needed.

    Source: Radlinski, Kurup and Joachims (2008), "How does clickthrough data reflect retrieval quality?",
        CIKM, section 5.2 and algorithm 2.
    """
    flip, flips = _flipper(coin), 0
    items: list[Hashable] = []
    teams: list[Team] = []
    shown: set[Hashable] = set()
    lead = 0
    for _ in range(_length(k)):
        picks = next_picks(a, b, shown, lead)
        if not picks:
            break
        team: Team = next(iter(picks))
        if len(picks) == 2:
            flips += 1
            team = "a" if flip() else "b"
        items.append(picks[team])
        teams.append(team)
        shown.add(picks[team])
        lead += 1 if team == "a" else -1
    return Interleaved(tuple(items), tuple(teams), 0.5**flips)


def balanced(a: Sequence[Hashable], b: Sequence[Hashable], k: int, coin: Coin) -> Interleaved:
    """Both rankings are read down at the same pace; one coin decides who goes first throughout.

    The top of the list holds the top of both rankings, as nearly equally many of each as can be. Teams say
    who put an item there; credit does not go by them (`balanced_outcome`).

    >>> balanced(["x", "y", "z"], ["y", "w", "x"], 4, coin=[True]).items
    ('x', 'y', 'w', 'z')
    >>> balanced(["x", "y", "z"], ["y", "w", "x"], 4, coin=[False]).items
    ('y', 'x', 'w', 'z')

    Args:
        a, b, k, coin: as for `team_draft`; one flip is taken.

    Raises:
        ValueError: k below 1, or no flip.

    Source: Joachims (2002), "Evaluating retrieval performance using clickthrough data"; Radlinski et al.
        (2008), section 5.1.
    """
    length, a_first = _length(k), _flipper(coin)()
    drawn, other = (_merged(a, b, length, a_first=first) for first in (a_first, not a_first))
    return Interleaved(*drawn, propensity=1.0 if drawn == other else 0.5)


def next_picks(
    a: Sequence[Hashable], b: Sequence[Hashable], shown: set[Hashable] | frozenset[Hashable], lead: int
) -> dict[Team, Hashable]:
    """What team draft may put next: two picks where a coin decides between them, none at the end.

    Args:
        a, b: items, best first.
        shown: what the list has.
        lead: how many more picks a has had than b.
    """
    left: dict[Team, Hashable] = {}
    for team, ranking in (("a", a), ("b", b)):
        for item in ranking:
            if item not in shown:
                left["a" if team == "a" else "b"] = item
                break
    if len(left) < 2 or lead == 0:
        return left
    behind: Team = "b" if lead > 0 else "a"
    return {behind: left[behind]}


def _merged(
    a: Sequence[Hashable], b: Sequence[Hashable], length: int, *, a_first: bool
) -> tuple[tuple[Hashable, ...], tuple[Team, ...]]:
    teams: dict[Hashable, Team] = {}
    ranking_a, ranking_b = list(dict.fromkeys(a)), list(dict.fromkeys(b))
    for rank in range(max(len(ranking_a), len(ranking_b))):
        turns: list[tuple[Team, list[Hashable]]] = [("a", ranking_a), ("b", ranking_b)]
        for team, ranking in turns if a_first else turns[::-1]:
            if rank < len(ranking):
                teams.setdefault(ranking[rank], team)
    items = tuple(teams)[:length]
    return items, tuple(teams[item] for item in items)


def _flipper(coin: Coin) -> Callable[[], bool]:
    if isinstance(coin, np.random.Generator):
        return lambda: bool(coin.random() < 0.5)
    flips = iter(coin)

    def flip() -> bool:
        for side in flips:
            return bool(side)
        raise ValueError("the coin has fewer flips than the list needs")

    return flip


def _length(k: int) -> int:
    if k < 1:
        raise ValueError(f"a list has room for at least one item, not {k}")
    return k
