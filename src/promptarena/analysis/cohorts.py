"""When a cohort counts: all units first exposed on one day (UTC) enter together, once all of them are known.

A window has the same length for every unit, from its own first exposure, whatever happened in it. A unit of
a day's last second is complete when its window has closed, and known when what is received late had its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from promptarena.definitions.metric import Metric
from promptarena.definitions.metric_file import default_window

__all__ = ["LATENESS", "Maturity", "window_of"]

LATENESS: Final = timedelta(hours=1)
"""How long after it happened an event may be received without being late, unless said otherwise."""
_DAY: Final = timedelta(days=1)


def window_of(metric: Metric, unit: str) -> timedelta:
    """A metric's window, or that of its kind of unit where it names none."""
    return metric.window or default_window(unit)


@dataclass(frozen=True, slots=True)
class Maturity:
    """What a cohort waits for."""

    window: timedelta
    """The longest of all metrics: a cohort enters whole, with everything that is known of it."""
    lateness: timedelta = LATENESS

    @classmethod
    def of(cls, metrics: Sequence[Metric], unit: str, lateness: timedelta = LATENESS) -> Maturity:
        """That of an experiment's metrics."""
        return cls(max(window_of(metric, unit) for metric in metrics), lateness)

    def of_day(self, day: date) -> datetime:
        """The moment from which on a cohort counts; what is received later is late.

        >>> Maturity(timedelta(hours=24)).of_day(date(2026, 3, 2)).isoformat()
        '2026-03-04T01:00:00+00:00'
        """
        return datetime.combine(day + _DAY, time.min, UTC) + self.window + self.lateness

    def last_day(self, as_of: datetime) -> date:
        """The last cohort day that counts at a moment.

        >>> Maturity(timedelta(hours=24)).last_day(datetime(2026, 3, 4, 1, tzinfo=UTC)).isoformat()
        '2026-03-02'
        """
        return (as_of.astimezone(UTC) - self.window - self.lateness - _DAY).date()
