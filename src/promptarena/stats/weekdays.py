"""How evenly a trial covers the days of the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["WeekdayCoverage", "weekday_coverage"]

_WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class WeekdayCoverage:
    """Days and units by day of the week, Monday first; each tuple has seven numbers."""

    days: tuple[int, ...]
    units: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether every weekday came equally often, and did come."""
        return min(self.days) == max(self.days) > 0

    @property
    def under(self) -> tuple[int, ...]:
        """Weekdays that came less often than the most frequent one, from 0, Monday."""
        return tuple(at for at in range(_WEEK) if self.days[at] < max(self.days))

    @property
    def shares(self) -> tuple[float, ...]:
        """Of the units, by weekday."""
        total = sum(self.units)
        return tuple(count / total if total else 0.0 for count in self.units)

    @property
    def even_shares(self) -> tuple[float, ...]:
        """What the shares would be if each weekday, with its own units a day, came equally often.

        A weekday that never came has a share of 0: nothing is known of it.
        """
        a_day = [units / days if days else 0.0 for units, days in zip(self.units, self.days, strict=True)]
        total = sum(a_day)
        return tuple(each / total if total else 0.0 for each in a_day)


def weekday_coverage(weekdays: Sequence[int], units: Sequence[int]) -> WeekdayCoverage:
    """Count days and units by weekday.

    >>> coverage = weekday_coverage([0, 1, 2, 3, 4, 5, 6, 0], [10] * 8)
    >>> coverage.whole, coverage.under
    (False, (1, 2, 3, 4, 5, 6))

    Args:
        weekdays: of each day that holds units, 0 (Monday) to 6.
        units: of each such day.

    Raises:
        ValueError: lengths differ, or a weekday is not one of the seven.
    """
    if len(weekdays) != len(units) or any(not 0 <= day < _WEEK for day in weekdays):
        raise ValueError("each day has a weekday from 0 to 6 and a number of units")
    days, counts = [0] * _WEEK, [0] * _WEEK
    for day, count in zip(weekdays, units, strict=True):
        days[day] += 1
        counts[day] += count
    return WeekdayCoverage(tuple(days), tuple(counts))
