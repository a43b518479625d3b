"""One claim: ours against a floor or a peer, as the median of ratios of runs that took turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Claim", "take_turns"]


@dataclass(frozen=True)
class Claim:
    """What was measured, and what was promised."""

    name: str
    ours: str
    other: str
    """The floor or the peer, by name and measure."""
    ratio: float
    """Ours over the other's."""
    target: float | None
    """The ratio may not be above it; `None`: told, not promised."""

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.target is None or self.ratio <= self.target

    def __str__(self) -> str:
        promise = "told only" if self.target is None else f"target {self.target:g}"
        word = "-" if self.target is None else "ok" if self.met else "OVER"
        return (
            f"{self.name:<58} ours {self.ours:<10} {self.other:<28} "
            f"ratio {self.ratio:5.2f}  {promise:<10} {word}"
        )


def take_turns(
    name: str,
    ours: Callable[[], object],
    other: Callable[[], object],
    *,
    other_name: str,
    target: float | None,
    rounds: int = 9,
) -> Claim:
    """Time both, by turns, so that what slows the machine slows both; the first round is not counted."""
    pairs = []
    for at in range(rounds + 1):
        # Who goes first alternates: the second may find caches warm.
        first, second = (ours, other) if at % 2 else (other, ours)
        times = {first: _seconds(first), second: _seconds(second)}
        pairs.append((times[ours], times[other]))
    counted = pairs[1:]
    return Claim(
        name,
        _shown(statistics.median(mine for mine, _ in counted)),
        f"{other_name} {_shown(statistics.median(theirs for _, theirs in counted))}",
        statistics.median(mine / theirs for mine, theirs in counted),
        target,
    )


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
