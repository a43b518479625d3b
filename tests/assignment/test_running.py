from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.assignment.experiments import definition, running

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.layers import Slot
from promptarena.assignment.running import RunningExperiment, Serving, check_succession
from promptarena.errors import UsageError

HALF = Slot(((0, 5000),))
NOW = running(traffic=0.1, stage="canary", slot=HALF)
BANDIT = running(traffic=0.1, adaptive=True, epoch=3)
NEW_WEIGHTS = {"control": 0.3, "treatment": 0.7}


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        (NOW, {}),
        (NOW, {"traffic": 0.1000001}),
        (NOW, {"traffic": 1.0, "stage": "ab"}),
        (NOW, {"serving": Serving.PAUSED}),
        (NOW, {"serving": Serving.ROLLED_BACK}),
        (NOW, {"slot": Slot(((0, 7000),))}),
        (NOW, {"slot": Slot(((0, 5000), (8000, 9000)))}),
        (BANDIT, {"allocation": Allocation(NEW_WEIGHTS, 4)}),
        (BANDIT, {"allocation": Allocation({"control": 0.5, "treatment": 0.5}, 4)}),
    ],
)
def test_what_moves_no_unit_may_follow(before: RunningExperiment, changes: dict[str, Any]) -> None:
    check_succession([before], [replace(before, **changes)])


@pytest.mark.parametrize(
    ("before", "changes", "told"),
    [
        (NOW, {"traffic": 0.0999}, "only widens"),
        (NOW, {"slot": Slot(((0, 4999),))}, "lost places"),
        (NOW, {"slot": Slot(((5000, 10_000),))}, "lost places"),
        (NOW, {"adaptive": True}, "pinned from the start"),
        (NOW, {"allocation": Allocation(NEW_WEIGHTS)}, "frozen"),
        (NOW, {"allocation": Allocation(NEW_WEIGHTS, 1)}, "frozen"),
        (NOW, {"allocation": Allocation({"control": 0.5, "treatment": 0.5}, 1)}, "frozen"),
        (BANDIT, {"allocation": Allocation(NEW_WEIGHTS, 3)}, "two allocations"),
        (BANDIT, {"allocation": Allocation(NEW_WEIGHTS, 2)}, "comes after"),
        (NOW, {"definition": definition(eligibility={"tier": "free"})}, "not the one"),
        (NOW, {"definition": definition(feature="search")}, "not the one"),
        (NOW, {"definition": definition(unit="user")}, "not the one"),
    ],
)
def test_what_would_move_units_is_refused(
    before: RunningExperiment, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        check_succession([before], [replace(before, **changes)])


def test_all_that_would_move_units_is_told_at_once() -> None:
    other = running(definition("shorten"))
    with pytest.raises(UsageError) as caught:
        check_succession(
            [NOW, other], [replace(NOW, traffic=0.05, adaptive=True), replace(other, traffic=0.5)]
        )
    assert len(caught.value.problems) == 3
    assert all(problem.hint for problem in caught.value.problems)


def test_experiments_come_and_go() -> None:
    check_succession([NOW], [running(definition("shorten"), 0.01)])
    check_succession([], [NOW])
    check_succession([NOW], [])


@pytest.mark.parametrize("traffic", [-0.1, 1.1, float("nan")])
def test_traffic_is_a_share(traffic: float) -> None:
    with pytest.raises(UsageError, match="share"):
        running(traffic=traffic)


@pytest.mark.parametrize("weights", [{"control": 1.0}, {"control": 0.5, "treatement": 0.5}])
def test_an_allocation_is_of_the_definitions_variants(weights: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="variants"):
        running(weights=weights)
