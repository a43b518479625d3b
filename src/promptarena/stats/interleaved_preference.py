"""Which of two interleaved rankings users prefer, against what the design alone would give.

Without a preference a user clicks by position, whatever stands there. What a ranking then gets depends on the
design: one that is shorter than the list has fewer items in it, and balanced interleaving favours the ranking
whose items the other one has a little lower. So each list's outcome is compared with its own expectation
over the coin at the positions that were clicked, not with one half.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from promptarena.stats.interleaving import Interleaved, Team, balanced, next_picks
from promptarena.stats.proportions import proportion

__all__ = [
    "InterleavedPreference",
    "ListOutcome",
    "balanced_outcome",
    "interleaved_preference",
    "placement",
    "team_draft_outcome",
]

Vector = NDArray[np.float64]

_EXACT: Final = 400
"""Lists up to which the test adds up the design's distribution instead of taking it as normal."""


@dataclass(frozen=True, slots=True)
class ListOutcome:
    """Who won one list, and how likely that was by the design, given which positions were clicked."""

    score: float
    """Of b: 1 where it has more clicks than a, 1/2 where as many, else 0."""
    win: float
    """Probability over the coin, without a preference, of a score of 1."""
    tie: float
    """Likewise of 1/2."""

    @property
    def expected(self) -> float:
        """The score without a preference."""
        return self.win + self.tie / 2

    @property
    def variance(self) -> float:
        """Of the score without a preference; 0 where the coin could not change it: it then says nothing."""
        return max(self.win + self.tie / 4 - self.expected**2, 0.0)


def team_draft_outcome(
    a: Sequence[Hashable], b: Sequence[Hashable], shown: Interleaved, clicked: Iterable[int]
) -> ListOutcome | None:
    """The outcome of a team-draft list: each click is one for the ranking that the item was taken from.

    >>> a, b = ["sony", "sennheiser", "audio-technica"], ["bose"]
    >>> shown = Interleaved(("bose", "sony", "sennheiser", "audio-technica"), ("b", "a", "a", "a"), 0.5)
    >>> team_draft_outcome(a, b, shown, clicked=[1])
    ListOutcome(score=0.0, win=0.5, tie=0.0)
    >>> team_draft_outcome(a, b, shown, clicked=[2])
    ListOutcome(score=0.0, win=0.0, tie=0.0)

    Args:
        a, b: the rankings that were merged.
        shown: what `team_draft` made of them.
        clicked: positions, from 0; one that is named twice counts once.

    Returns:
        `None` where nothing was clicked.

    Raises:
        ValueError: a position outside the list, or a list that team draft cannot have made of a and b.
    """
    positions = _positions(shown, clicked)
    _check_draft(a, b, shown)
    if not positions:
        return None
    margins: dict[tuple[frozenset[Hashable], int, int], float] = {(frozenset(), 0, 0): 1.0}
    for position in range(max(positions) + 1):
        after: dict[tuple[frozenset[Hashable], int, int], float] = {}
        for (seen, lead, margin), chance in margins.items():
            picks = next_picks(a, b, seen, lead)
            for team, item in picks.items():
                step = 1 if team == "b" else -1
                state = (seen | {item}, lead - step, margin + step * (position in positions))
                after[state] = after.get(state, 0.0) + chance / len(picks)
        margins = after
    win = math.fsum(chance for (_, _, margin), chance in margins.items() if margin > 0)
    tie = math.fsum(chance for (_, _, margin), chance in margins.items() if margin == 0)
    votes = sum(1 if shown.teams[position] == "b" else -1 for position in positions)
    return ListOutcome(_score(votes), win, tie)


def balanced_outcome(
    a: Sequence[Hashable], b: Sequence[Hashable], shown: Interleaved, clicked: Iterable[int]
) -> ListOutcome | None:
    """The outcome of a balanced list: clicks among the top r of each ranking.

    r is the better of the two ranks of the lowest item that was clicked: so far both rankings were seen.
    One click on the last item of the list below always counts for b, whichever way the coin fell, so it says
    nothing; a test against one half would take it for a preference.

    >>> a, b = [1, 2, 3, 4], [2, 3, 4, 1]
    >>> balanced_outcome(a, b, balanced(a, b, 4, coin=[True]), clicked=[3])
    ListOutcome(score=1.0, win=1.0, tie=0.0)

    Args:
        a, b: the rankings that were merged.
        shown: what `balanced` made of them.
        clicked: as for `team_draft_outcome`.

    Returns:
        `None` where nothing was clicked.

    Raises:
        ValueError: a position outside the list, or a list that is not the balanced one of a and b.

    Source: Radlinski, Kurup and Joachims (2008), section 5.1, and their example of the bias.
    """
    positions = _positions(shown, clicked)
    length = max(len(shown.items), 1)
    possible = [balanced(a, b, length, coin=[first]).items for first in (True, False)]
    if shown.items not in possible:
        raise ValueError("the list shown is not a balanced one of these rankings")
    if not positions:
        return None
    scores = [_score(_balanced_votes(a, b, items, positions)) for items in possible]
    return ListOutcome(scores[possible.index(shown.items)], scores.count(1.0) / 2, scores.count(0.5) / 2)


def placement(a: Sequence[Hashable], b: Sequence[Hashable], k: int) -> Vector:
    """Probability over the coin that team draft fills each position from b; shape (items shown,).

    >>> placement(["x", "y", "z"], ["w"], 4).tolist()
    [0.5, 0.5, 0.0, 0.0]
    """
    states: dict[tuple[frozenset[Hashable], int], float] = {(frozenset(), 0): 1.0}
    shares: list[float] = []
    for _ in range(min(k, len({*a, *b}))):
        after: dict[tuple[frozenset[Hashable], int], float] = {}
        from_b = 0.0
        for (seen, lead), chance in states.items():
            picks = next_picks(a, b, seen, lead)
            for team, item in picks.items():
                each = chance / len(picks)
                state = (seen | {item}, lead + (1 if team == "a" else -1))
                after[state] = after.get(state, 0.0) + each
                from_b += each if team == "b" else 0.0
        states = after
        shares.append(from_b)
    return np.array(shares)


@dataclass(frozen=True, slots=True)
class InterleavedPreference:
    """How much more often b wins a list than without a preference."""

    preference: float
    """share - expected, in [-1, 1]; positive: users prefer b."""
    low: float
    high: float
    p_value: float
    """Two-sided, of clicks that go by position alone."""
    share: float
    """Mean score of b over the lists."""
    expected: float
    """Mean score that the design alone would give."""
    lists: int
    """With a click, and whose outcome the coin could have changed."""
    uninformative: int
    """Without a click, or whose outcome the coin could not have changed; left out."""


def interleaved_preference(
    outcomes: Sequence[ListOutcome | None], *, clusters: ArrayLike | None = None, alpha: float = 0.05
) -> InterleavedPreference:
    """Interval and test over lists of score - expected.

    The test's distribution is the design's, added up exactly up to 400 lists and normal beyond; it needs no
    independence of users or queries, only a coin that is new for every list. The interval is Wilson's for
    clustered scores (`proportion`), less the mean expectation; it is a little wide where expectations differ
    much between lists.

    >>> won, lost = ListOutcome(1.0, 0.5, 0.0), ListOutcome(0.0, 0.5, 0.0)
    >>> found = interleaved_preference([won] * 60 + [lost] * 40 + [None] * 25)
    >>> round(found.preference, 3), round(found.p_value, 4), found.lists, found.uninformative
    (0.1, 0.0569, 100, 25)

    Args:
        outcomes: one a list shown, in any order.
        clusters: shape (lists shown,), what lists have in common (a query, a user); `None`: nothing.
        alpha: one minus the confidence of the interval, in (0, 1).

    Raises:
        ValueError: no list says anything, or shapes that differ.
    """
    names = None if clusters is None else np.asarray(clusters)
    if names is not None and names.shape != (len(outcomes),):
        raise ValueError("there is one cluster for each list")
    kept = [
        (i, outcome) for i, outcome in enumerate(outcomes) if outcome is not None and outcome.variance > 0
    ]
    if not kept:
        raise ValueError("no list was clicked where the coin could have changed the outcome")
    informative = [outcome for _, outcome in kept]
    scores = np.array([outcome.score for outcome in informative])
    expected = np.array([outcome.expected for outcome in informative])
    found = proportion(scores, None if names is None else names[[i for i, _ in kept]], confidence=1 - alpha)
    mean = float(expected.mean())
    return InterleavedPreference(
        preference=float((scores - expected).mean()),
        low=found.low - mean,
        high=found.high - mean,
        p_value=_p_value(informative),
        share=float(scores.mean()),
        expected=mean,
        lists=len(kept),
        uninformative=len(outcomes) - len(kept),
    )


def _p_value(outcomes: Sequence[ListOutcome]) -> float:
    gap = abs(math.fsum(outcome.score - outcome.expected for outcome in outcomes))
    if len(outcomes) > _EXACT:
        return float(2 * ndtr(-gap / math.sqrt(math.fsum(outcome.variance for outcome in outcomes))))
    chances = np.ones(1)
    for outcome in outcomes:
        lost = max(1 - outcome.win - outcome.tie, 0.0)
        chances = np.convolve(chances, [lost, outcome.tie, outcome.win])
    sums = np.arange(len(chances)) / 2 - math.fsum(outcome.expected for outcome in outcomes)
    return min(float(chances[np.abs(sums) >= gap - 1e-9].sum()), 1.0)


def _score(votes: int) -> float:
    return 1.0 if votes > 0 else 0.5 if votes == 0 else 0.0


def _balanced_votes(
    a: Sequence[Hashable], b: Sequence[Hashable], items: Sequence[Hashable], positions: Sequence[int]
) -> int:
    """Clicks among b's top r less those among a's."""
    rankings = [list(dict.fromkeys(ranking)) for ranking in (a, b)]
    lowest = items[max(positions)]
    depth = min(ranking.index(lowest) + 1 for ranking in rankings if lowest in ranking)
    in_a, in_b = (sum(items[position] in ranking[:depth] for position in positions) for ranking in rankings)
    return in_b - in_a


def _positions(shown: Interleaved, clicked: Iterable[int]) -> list[int]:
    positions = sorted(set(clicked))
    if positions and not 0 <= positions[0] <= positions[-1] < len(shown.items):
        raise ValueError(f"a click is at a position of the list, from 0 to {len(shown.items) - 1}")
    return positions


def _check_draft(a: Sequence[Hashable], b: Sequence[Hashable], shown: Interleaved) -> None:
    seen: set[Hashable] = set()
    lead = 0
    for item, team in zip(shown.items, shown.teams, strict=True):
        picks: dict[Team, Hashable] = next_picks(a, b, seen, lead)
        if team not in picks or picks[team] != item:
            raise ValueError("team draft cannot have made the list shown of these rankings")
        seen.add(item)
        lead += 1 if team == "a" else -1
