"""A golden set is sized for the win rate that it is to show, ties included."""

from __future__ import annotations

import numpy as np
import pytest

from promptarena.analysis.win_rate_plan import plan_win_rate
from promptarena.errors import UsageError
from promptarena.stats.preference import win_rate


@pytest.mark.parametrize(("rate", "ties"), [(0.65, 0.0), (0.6, 0.3)])
def test_so_many_cases_show_the_win_rate_as_often_as_planned(rate: float, ties: float) -> None:
    planned = plan_win_rate(rate, ties=ties)
    rng, shown, runs = np.random.default_rng(3), 0, 600
    for _ in range(runs):
        drawn = rng.random(planned.cases)
        scores = np.where(drawn < ties, 0.5, drawn < ties + rate - ties / 2).astype(np.float64)
        found = win_rate(scores).rate
        shown += found.low > 0.5 or found.high < 0.5
    assert shown / runs == pytest.approx(0.8, abs=0.06)
    assert planned.verdicts == 2 * planned.cases


def test_cases_win_rate_and_power_are_each_others_inverse() -> None:
    planned = plan_win_rate(0.6, ties=0.2, power=0.9)
    back = plan_win_rate(ties=0.2, cases=planned.cases, power=0.9)
    assert back.win_rate == pytest.approx(0.6, abs=1e-3)
    assert plan_win_rate(0.6, ties=0.2, cases=planned.cases).power == pytest.approx(0.9, abs=2e-3)
    assert [point.power for point in planned.power_curve] == sorted(p.power for p in planned.power_curve)


def test_ties_leave_less_to_find_and_need_fewer_cases() -> None:
    assert plan_win_rate(0.6, ties=0.4).cases < plan_win_rate(0.6).cases
    assert plan_win_rate(cases=2).win_rate is None


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "no size"),
        ({"win_rate": 0.4}, "between 50% and 100%"),
        ({"win_rate": 0.9, "ties": 0.4}, "between 50% and 80%"),
        ({"win_rate": 0.6, "ties": 1.0}, "share of ties"),
        ({"cases": 1}, "no error"),
        ({"win_rate": 0.6, "alpha": 0.7}, "alpha"),
        ({"win_rate": 0.6, "power": 0.01}, "power"),
    ],
)
def test_what_cannot_be_planned_is_refused(asked: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_win_rate(**asked)  # type: ignore[arg-type]
