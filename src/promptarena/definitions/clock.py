"""Time, passed in: the calendar may be accelerated or set by hand, durations never are."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """What every part that needs the time is given."""

    def now(self) -> datetime:
        """The calendar time, in UTC and aware of it."""

    def timestamp(self) -> float:
        """The same as seconds since 1970, for who has to be quick."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment of this boot; never runs backwards, the same for every process."""


class SystemClock:
    """The machine's own clocks."""

    # No methods of ours in between: a log asks at every write.
    now = staticmethod(partial(datetime.now, UTC))
    timestamp = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class ManualClock:
    """A clock that stands still until it is moved, for tests and for simulated days.

    >>> clock = ManualClock(datetime(2026, 1, 31, tzinfo=UTC))
    >>> clock.advance(timedelta(days=1))
    >>> clock.now().isoformat(), clock.monotonic()
    ('2026-02-01T00:00:00+00:00', 86400.0)
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs a start that is aware of its time zone")
        self._now = start.astimezone(UTC)
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now

    def timestamp(self) -> float:
        return self._now.timestamp()

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, by: timedelta) -> None:
        """Let time pass, on both hands."""
        if by < timedelta(0):
            raise ValueError("a duration cannot be negative; `set` moves the calendar back")
        self._now += by
        self._elapsed += by.total_seconds()

    def set(self, now: datetime) -> None:
        """Move the calendar alone, as an administrator (or a wrong time server) would."""
        if now.tzinfo is None:
            raise ValueError("a clock is set to a time that is aware of its time zone")
        self._now = now.astimezone(UTC)
