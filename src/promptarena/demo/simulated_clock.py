"""A calendar that the demonstration turns, with a time of its own for everybody in it.

Simulated customers live at different moments at once: each task has its own time, and the calendar's is the
latest of them. Durations are real; only dates are made up.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["SimulatedClock"]


class SimulatedClock:
    """A `Clock` for the project, its log, and every customer's task.

    >>> clock = SimulatedClock(datetime(2026, 3, 2, tzinfo=UTC))
    >>> clock.advance_to(datetime(2026, 3, 3, tzinfo=UTC))
    >>> clock.now().isoformat()
    '2026-03-03T00:00:00+00:00'
    """

    monotonic = staticmethod(time.monotonic)

    def __init__(self, start: datetime) -> None:
        """Begin at a moment that is aware of its zone."""
        self._latest = start.astimezone(UTC)
        self._own: ContextVar[datetime] = ContextVar("own_time")

    def now(self) -> datetime:
        """This task's own time, or the calendar's where it has none."""
        return self._own.get(self._latest)

    def timestamp(self) -> float:
        """The same as seconds since 1970."""
        return self.now().timestamp()

    def live_at(self, moment: datetime) -> None:
        """Set this task's own time; the calendar goes along, and never back."""
        self._own.set(moment)
        self.advance_to(moment)

    def advance_to(self, moment: datetime) -> None:
        """Turn the calendar, unless it is there already."""
        self._latest = max(self._latest, moment)
