"""Weekdays are counted as they came, and what is missing is named."""

from __future__ import annotations

import pytest

from promptarena.stats.weekdays import weekday_coverage


def test_whole_weeks_are_whole_whatever_the_traffic() -> None:
    coverage = weekday_coverage([*range(7)] * 2, [100, 100, 100, 100, 100, 40, 30] * 2)
    assert coverage.whole
    assert coverage.under == ()
    assert coverage.shares == pytest.approx(coverage.even_shares)


def test_what_came_less_often_is_named_with_the_share_it_would_have() -> None:
    # Monday to Wednesday twice, the rest once, and no Sunday.
    coverage = weekday_coverage([0, 1, 2, 3, 4, 5, 0, 1, 2], [100] * 9)
    assert not coverage.whole
    assert coverage.under == (3, 4, 5, 6)
    assert coverage.shares[0] == pytest.approx(2 / 9)
    assert coverage.even_shares == pytest.approx((1 / 6,) * 6 + (0.0,))


def test_no_days_are_no_weeks_and_bad_days_are_refused() -> None:
    assert not weekday_coverage([], []).whole
    with pytest.raises(ValueError, match="0 to 6"):
        weekday_coverage([7], [1])
