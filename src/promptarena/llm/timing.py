"""How long a model call took, in four durations that are never mixed.

- latency: from the request to the last byte of the answer;
- TTFT: from the request to the first *content* token (not the first byte, and not the event that opens a
  stream);
- TPOT: (last content token - first content token) / (content tokens - 1);
- ITL: the gaps between chunks that hold content, of which the 95th percentile is kept. A chunk may hold
  several tokens, so ITL and TPOT are not estimates of each other.

All of it is monotonic time, whatever the calendar does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ContentTimes", "Timing", "percentile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Of one call, in milliseconds; `None` is what was not seen."""

    latency_ms: float
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    itl_p95_ms: float | None = None


class ContentTimes:
    """When content arrived.

    >>> times = ContentTimes(start=10.0)
    >>> for second in (10.2, 10.3, 10.5):
    ...     times.saw_content(second)
    >>> timing = times.timing(end=10.6, content_tokens=4)
    >>> round(timing.latency_ms), round(timing.ttft_ms), round(timing.tpot_ms), round(timing.itl_p95_ms)
    (600, 200, 100, 195)
    """

    __slots__ = ("_first", "_gaps", "_last", "_start")

    def __init__(self, start: float) -> None:
        """Begin at the moment of the request (seconds of a monotonic clock)."""
        self._start = start
        self._first: float | None = None
        self._last: float | None = None
        self._gaps: list[float] = []

    def saw_content(self, at: float) -> None:
        """A chunk with content arrived."""
        if self._last is None:
            self._first = at
        else:
            self._gaps.append(at - self._last)
        self._last = at

    def timing(self, end: float, content_tokens: int | None) -> Timing:
        """What it comes to.

        Args:
            end: the moment of the last byte.
            content_tokens: how many the provider counts, reasoning apart. Where it does not say, TPOT is not
                known: chunks are not tokens.
        """
        ttft = tpot = None
        if self._first is not None and self._last is not None:
            ttft = _ms(self._first - self._start)
            # All in one chunk has no time between its tokens that anybody could have seen.
            if content_tokens is not None and content_tokens > 1 and self._gaps:
                tpot = _ms(self._last - self._first) / (content_tokens - 1)
        return Timing(
            latency_ms=_ms(end - self._start),
            ttft_ms=ttft,
            tpot_ms=tpot,
            itl_p95_ms=_ms(percentile(self._gaps, 0.95)) if self._gaps else None,
        )


def percentile(values: Sequence[float], q: float) -> float:
    """A quantile with linear interpolation between order statistics (Hyndman and Fan's type 7).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.5

    Args:
        values: at least one.
        q: in [0, 1].

    Raises:
        ValueError: no values, or q outside of [0, 1].
    """
    if not values or not 0 <= q <= 1:
        raise ValueError(f"a quantile needs values and a q in [0, 1]; got {len(values)} values and q = {q}")
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def _ms(seconds: float) -> float:
    return max(seconds, 0.0) * 1000
