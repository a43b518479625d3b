from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from promptarena.definitions.clock import Clock, ManualClock, SystemClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock(datetime(2026, 1, 1, tzinfo=UTC))])
def test_every_clock_is_in_utc_and_never_runs_backwards(clock: Clock) -> None:
    before = clock.monotonic()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() >= before


def test_setting_the_calendar_back_leaves_durations_alone() -> None:
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC))
    clock.advance(timedelta(seconds=30))
    clock.set(datetime(2020, 1, 1, tzinfo=UTC))
    assert clock.now() == datetime(2020, 1, 1, tzinfo=UTC)
    assert clock.monotonic() == 30.0


def test_a_clock_without_a_zone_or_that_runs_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="time zone"):
        clock.set(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="negative"):
        clock.advance(timedelta(seconds=-1))
