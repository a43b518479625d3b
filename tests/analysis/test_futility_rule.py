"""A declared bound on futility holds a hopeless trial, binds nobody, and is paid for in the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.analysis.cubes import Array, by_day, counts_of, metric, plan
from tests.calibration import Calibration

from promptarena.analysis.cube import Cube
from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.plan import plan as size_plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.analysis.readout import build_readout
from promptarena.definitions.analysis_plan import Design, Futility, Spending
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Readout, Status
from promptarena.reporting.readout_outline import outline_readout
from promptarena.stats.futility import futility_boundary, futility_so_far
from promptarena.stats.group_sequential import spending_boundary
from promptarena.stats.spending import SpendingFunction

FOUR = (0.25, 0.5, 0.75, 1.0)
POCOCK = {"looks": FOUR, "futility": {"spending": "pocock"}}


def _flips(successes: int, n: int) -> Array:
    return np.repeat([1.0, 0.0], [successes, n - successes])


def _weeks(control: list[int], treatment: list[int], n: int = 1_050) -> Cube:
    """Weeks of seven days alike, a seventh of the successes on each."""
    return by_day(
        {
            name: [_flips(round(successes / 7), n // 7) for successes in weekly for _ in range(7)]
            for name, weekly in (("control", control), ("treatment", treatment))
        }
    )


def _read(made: Cube, design: dict[str, Any], n: int = 4_200) -> Readout:
    declared = plan(metric("value", "rate"), preregistered=True, design=design)
    planned = PlannedSize(1 / (2 * 0.25 / n), 2 * n)
    return build_readout(made, counts_of(made), declared, source="here", planned=planned)


def test_a_hopeless_trial_is_held_at_its_look_and_says_its_chances() -> None:
    made = _weeks([525, 525], [518, 511])
    held, plain = _read(made, POCOCK), _read(made, {"looks": FOUR})
    assert (held.verdict.status, plain.verdict.status) == (Status.HOLD, Status.CONTINUE)
    check = next(check for check in held.verdict.checks if check.name == "futility")
    assert check.passed is False
    assert "does not bind" in held.verdict.reasons[0]
    assert check.numbers["trend"] is not None
    assert check.numbers["trend"] < 0.01 < (check.numbers["planned"] or 0) < 0.5
    [path] = held.paths
    assert path.power_trend == check.numbers["trend"]
    assert [look.futility_z is not None for look in path.looks] == [True, True, False, False]
    looks = next(section for section in outline_readout(held).sections if section.title == "Looks")
    assert looks.table is not None
    assert "Gives up at" in [column.title for column in looks.table.columns]
    # Without a bound the chances are shown all the same.
    assert plain.paths[0].power_trend == pytest.approx(check.numbers["trend"], abs=0.01)


def test_whoever_goes_on_finds_the_next_look_as_if_there_had_been_no_bound() -> None:
    made = _weeks([525, 525, 525], [511, 518, 735])
    readout = _read(made, POCOCK)
    assert [look.crossed for look in readout.paths[0].looks[:3]] == [False, False, True]
    assert readout.paths[0].looks[0].z is not None
    assert readout.paths[0].looks[0].futility_z is not None
    assert readout.paths[0].looks[0].z < readout.paths[0].looks[0].futility_z
    assert readout.verdict.status is Status.SHIP
    plain = _read(made, {"looks": FOUR})
    shown = [[(look.z, look.critical_z) for look in each.paths[0].looks] for each in (readout, plain)]
    assert shown[0] == shown[1]


def test_bounds_at_looks_that_came_when_planned_are_those_planned() -> None:
    spending = SpendingFunction("obrien-fleming")
    upper = spending_boundary(FOUR, spending, 0.025, sides=1)
    whole = futility_boundary(upper, 0.8, spending)
    for k in (1, 2, 3):
        so_far = spending_boundary(FOUR[:k], spending, 0.025, sides=1)
        assert futility_so_far(so_far, 0.8, spending, whole.drift) == pytest.approx(whole.z[:k], abs=1e-7)
    with pytest.raises(ValueError, match="one-sided"):
        futility_so_far(spending_boundary([0.5], spending, 0.05), 0.8, spending, whole.drift)


def test_a_bound_met_by_everything_that_has_not_crossed_ends_the_list() -> None:
    spending = SpendingFunction("pocock")
    upper = spending_boundary([0.9, 0.95], spending, 0.025, sides=1)
    bounds = futility_so_far(upper, 0.5, spending, 3.5)
    assert len(bounds) == 2
    assert all(low <= high for low, high in zip(bounds, upper.critical_z, strict=True))


def test_the_plan_pays_for_giving_up_and_saves_units_where_there_is_no_effect() -> None:
    asked = PlanRequest(baseline=0.6, mde=Margin(value=0.05), looks=FOUR)
    plain, bounded = size_plan(asked), size_plan(replace(asked, futility=Futility()))
    upper = spending_boundary(FOUR, SpendingFunction("obrien-fleming"), 0.025, sides=1)
    price = futility_boundary(upper, 0.8, SpendingFunction("obrien-fleming")).inflation
    assert bounded.inflation == pytest.approx(price, rel=1e-4)
    assert bounded.total > plain.total
    assert bounded.expected_n is not None
    assert plain.expected_n is not None
    assert bounded.expected_n.null < 0.7 * plain.expected_n.null
    ends = [look.stops_null for look in bounded.looks]
    assert sum(end or 0 for end in ends) == pytest.approx(1)
    assert bounded.looks[-1].futility_z == pytest.approx(bounded.looks[-1].critical_z, abs=1e-4)
    assert any("not binding" in note for note in bounded.notes)


def test_a_definition_says_it_in_one_word_or_with_its_parameter() -> None:
    assert Design.model_validate({"futility": "pocock"}).futility == Futility(spending=Spending.POCOCK)
    given = Design.model_validate({"futility": {"spending": "hwang-shih-decani", "gamma": -2}})
    assert given.futility == Futility(spending=Spending.HWANG_SHIH_DECANI, gamma=-2)
    with pytest.raises(ValueError, match="spending"):
        Design.model_validate({"futility": "sometimes"})


def _one_trial(rng: np.random.Generator, lift: float, weeks: int) -> Cube:
    n = 750
    return by_day(
        {
            name: [_flips(int(rng.binomial(n // 7, rate)), n // 7) for _ in range(7 * weeks)]
            for name, rate in (("control", 0.5), ("treatment", 0.5 + lift))
        }
    )


@pytest.mark.slow
def test_obeyed_it_keeps_the_power_and_overruled_the_error(calibration: Calibration) -> None:
    rng = np.random.default_rng(1)
    declared = plan(
        metric("value", "rate"),
        preregistered=True,
        design={"looks": FOUR, "futility": "obrien-fleming", "expected": 0.5, "mde": Margin(value=0.05)},
    )
    sized = size_plan(PlanRequest.from_analysis_plan(declared))
    planned = PlannedSize(sized.max_information, sized.total)
    weeks, runs = -(-sized.total // 1_500), 600

    def shipped(lift: float, *, obeyed: bool) -> float:
        count = 0
        for _ in range(runs):
            made = _one_trial(rng, lift, weeks)
            for week in range(1, weeks + 1) if obeyed else (weeks,):
                so_far = made.until(made.days[7 * week - 1]) if made.days else made
                readout = build_readout(so_far, counts_of(so_far), declared, source="", planned=planned)
                if readout.verdict.status is not Status.CONTINUE:
                    break
            count += readout.verdict.status is Status.SHIP
        return count / runs

    power, error = shipped(0.05, obeyed=True), shipped(0.0, obeyed=False)
    recorded = ("A bound on futility", "rate .5, O'Brien-Fleming type, four looks")
    calibration.record(
        *recorded,
        "ship at the MDE, obeyed",
        nominal=0.8,
        observed=power,
        runs=runs,
        seed=1,
        bound="at least",
    )
    calibration.record(
        *recorded,
        "false ship, overruled",
        nominal=0.025,
        observed=error,
        runs=runs,
        seed=1,
        bound="at most",
    )
    assert power >= 0.8 - 2 * np.sqrt(0.16 / runs)
    assert error <= 0.025 + 2 * np.sqrt(0.025 * 0.975 / runs)


def test_a_last_look_with_more_than_was_planned_is_held_to_the_correlation_it_has() -> None:
    # The second week brings the information to 1.6 of the plan.
    made = by_day({name: [_flips(30, 60)] * 7 + [_flips(52, 105)] * 7 for name in ("control", "treatment")})
    declared = plan(metric("value", "rate"), preregistered=True, design={"looks": (0.5, 1.0)})
    planned = PlannedSize(1 / (2 * 0.25 / 720), 1_440)
    readout = build_readout(made, counts_of(made), declared, source="here", planned=planned)
    fractions = [look.fraction for look in readout.paths[0].looks]
    assert fractions == pytest.approx([0.583, 1.604], abs=0.002)
    oracle = spending_boundary(fractions, SpendingFunction("obrien-fleming"), 0.05, final=True)
    assert [look.critical_z for look in readout.paths[0].looks] == pytest.approx(oracle.critical_z)
    capped = spending_boundary([fractions[0], 1.0], SpendingFunction("obrien-fleming"), 0.05, final=True)
    assert oracle.critical_z[-1] > capped.critical_z[-1]


def test_power_with_a_bound_is_that_of_the_planned_bound_whatever_the_truth() -> None:
    asked = PlanRequest(baseline=0.6, mde=Margin(value=0.05), looks=FOUR, futility=Futility())
    sized = size_plan(asked)
    at = {round(point.effect, 4): point.power for point in sized.power_curve}
    assert at[0.05] == pytest.approx(0.8, abs=0.002)
    assert 0.1 < at[0.025] < 0.35
    assert at[0.1] > 0.99
    # Asked the other way round, the same units have the same power and the same bounds.
    again = size_plan(replace(asked, units=sized.total))
    assert again.power_each == pytest.approx(0.8, abs=0.002)
    assert [look.futility_z for look in again.looks] == pytest.approx([x.futility_z for x in sized.looks])
    few = size_plan(replace(asked, units=sized.total // 10))
    assert 0 < few.power_each < 0.2
