"""Bradley-Terry strengths of 60 players from a million comparisons, beside evalica's solver in Rust.

The peer's solver is called on players that are numbered already, as ours are, to the same strengths. What it
has no counterpart for is told beside it: errors clustered by case.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import evalica
import numpy as np

from bench.claim import Claim, take_turns
from promptarena.stats.ratings import bradley_terry, fit_strengths, win_matrix

_COMPARISONS: Final = 1_000_000
_PLAYERS: Final = 60
_CASES: Final = 20_000


def run() -> Iterator[Claim]:
    """Time both by turns, after they have given the same strengths."""
    rng = np.random.default_rng(7)
    strengths = rng.normal(0, 1, _PLAYERS)
    first = rng.integers(0, _PLAYERS, _COMPARISONS)
    second = (first + rng.integers(1, _PLAYERS, _COMPARISONS)) % _PLAYERS
    chance = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    scores = np.where(rng.random(_COMPARISONS) < 0.1, 0.5, rng.random(_COMPARISONS) < chance)
    cases = rng.integers(0, _CASES, _COMPARISONS)
    peer = _Peer(first, second, scores)

    ours = fit_strengths(win_matrix(first, second, scores, _PLAYERS))
    theirs = np.log(peer.solve())
    assert np.abs(ours - (theirs - theirs.mean())).max() < 1e-3
    claims = (
        ("strengths", lambda: fit_strengths(win_matrix(first, second, scores, _PLAYERS)), 2.0),
        ("with errors", lambda: bradley_terry(first, second, scores, _PLAYERS), None),
        ("by case", lambda: bradley_terry(first, second, scores, _PLAYERS, cases), None),
    )
    for name, action, target in claims:
        yield take_turns(
            f"Bradley-Terry, 1M comparisons of {_PLAYERS} players, {name}",
            action,
            peer.solve,
            other_name="evalica",
            target=target,
            rounds=7,
        )


class _Peer:
    """evalica, with everything but the solving done beforehand."""

    def __init__(self, first: Any, second: Any, scores: Any) -> None:
        names = list(range(_PLAYERS))
        self.xs, self.ys, index = evalica.indexing(
            first.tolist(), second.tolist(), evalica.indexing(names, names)[2]
        )
        assert index is not None
        assert list(index) == names
        winners = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
        self.winners = [winners[score] for score in scores.tolist()]
        self.weights = np.ones(len(scores))

    def solve(self) -> Any:
        """Scores whose ratios are odds, in the order of the players."""
        scores, _ = evalica._brzo.bradley_terry(
            xs=self.xs,
            ys=self.ys,
            winners=self.winners,
            weights=self.weights,
            total=_PLAYERS,
            win_weight=1.0,
            tie_weight=0.5,
            tolerance=1e-6,
            limit=1000,
        )
        return np.asarray(scores)
