"""What time does to effects and to control is told beside the verdict, and a burn-in is left out as declared."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.cubes import START, Array, by_day, counts_of, cube, metric, plan
from tests.analysis.event_logs import Log, at, experiment

from promptarena.analysis.answering_models import answers_check
from promptarena.analysis.cube import Cube
from promptarena.analysis.log_readout import read_events
from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.readout import build_readout
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.readout import Check, Readout, Status
from promptarena.storage.warehouse import Warehouse


def _flips(successes: int, n: int) -> Array:
    return np.repeat([1.0, 0.0], [successes, n - successes])


def _read(made: Cube, plan_: AnalysisPlan, planned: PlannedSize | None = None) -> Readout:
    return build_readout(made, counts_of(made), plan_, source="here", planned=planned)


def _trend(readout: Readout, name: str) -> Check:
    return next(check for check in readout.trends if check.name == name)


RATE = plan(metric("value", "rate"))


def test_an_effect_that_fades_over_cohorts_is_flagged_and_decides_nothing() -> None:
    fading = [_flips(1_300 - 25 * day, 2_000) for day in range(14)]
    lasting = [_flips(1_130, 2_000)] * 14
    control = [_flips(1_000, 2_000)] * 14
    found = _read(by_day({"control": control, "treatment": fading}), RATE)
    flag = _trend(found, "over cohorts")
    assert flag.passed is False
    assert "wears off (novelty)" in flag.text
    assert flag.numbers["first"] == pytest.approx(0.15, abs=0.01)
    steady = _read(by_day({"control": control, "treatment": lasting}), RATE)
    assert _trend(steady, "over cohorts").passed
    assert found.verdict.status is steady.verdict.status is Status.SHIP


def test_an_effect_that_grows_is_primacy_also_where_lower_is_better() -> None:
    rng = np.random.default_rng(1)
    cost = metric("value", better="lower")
    arms = {
        "control": [rng.normal(10, 1, 400) for _ in range(14)],
        "treatment": [rng.normal(10 - 0.08 * day, 1, 400) for day in range(14)],
    }
    assert "builds up (primacy" in _trend(_read(by_day(arms), plan(cost)), "over cohorts").text


def test_a_control_that_changes_is_told_with_its_day() -> None:
    rng = np.random.default_rng(2)
    levels = [0.6 - 0.05 * (day % 7 > 4) - 0.08 * (day >= 20) for day in range(35)]
    arms = {
        name: [_flips(rng.binomial(800, level + lift), 800) for level in levels]
        for name, lift in (("control", 0.0), ("treatment", 0.03))
    }
    flag = _trend(_read(by_day(arms), RATE), "level of control")
    assert flag.passed is False
    told = date.fromisoformat(flag.text.split("about ")[1][:10])
    assert abs((told - START).days - 20) <= 2
    steady = {name: [_flips(480, 800)] * 14 for name in ("control", "treatment")}
    assert _trend(_read(by_day(steady), RATE), "level of control").passed


def test_days_that_are_no_whole_weeks_are_named() -> None:
    arms = {name: [_flips(50, 100)] * 9 for name in ("control", "treatment")}
    flag = _trend(_read(by_day(arms), RATE), "days of the week")
    assert flag.passed is False
    assert "Monday, Tuesday twice; Wednesday, Thursday, Friday, Saturday, Sunday once" in flag.text
    whole = {name: days[:7] for name, days in arms.items()}
    assert _trend(_read(by_day(whole), RATE), "days of the week").passed
    # Between looks weeks need not be whole: looks come at their ends.
    declared = plan(metric("value", "rate"), preregistered=True, design={"looks": (0.5, 1.0)})
    going_on = _trend(_read(by_day(arms), declared, PlannedSize(1e6, 10**6)), "days of the week")
    assert going_on.passed
    assert "until now" in going_on.text


def test_without_time_nothing_is_said_of_it() -> None:
    made = cube({(name,): {"value": _flips(300, 500)} for name in ("control", "treatment")})
    assert _read(made, RATE).trends == ()
    [check] = _read(made, plan(metric("value", "rate"), design={"burn_in": timedelta(days=2)})).trends
    assert check.passed is None
    assert "no time" in check.text


def test_a_burn_in_leaves_its_cohorts_out_of_effects_and_looks_but_not_out_of_balance() -> None:
    # The first two days are a rush in which treatment wins by far; afterwards it wins nothing.
    arms = {
        "control": [_flips(200, 1_000)] * 2 + [_flips(500, 1_000)] * 7,
        "treatment": [_flips(900, 1_000)] * 2 + [_flips(500, 1_000)] * 7,
    }
    made, burnt = by_day(arms), {"burn_in": timedelta(days=2)}
    declared = plan(metric("value", "rate"), preregistered=True, design=burnt)
    readout = _read(made, declared, PlannedSize(1 / (2 * 0.25 / 7_000), 14_000))
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert comparison.difference == 0
    assert (comparison.n_control, readout.days) == (7_000, 7)
    assert readout.paths[0].looks[0].day == "2026-03-10"
    assert readout.verdict.status is Status.HOLD
    assert readout.balance.counts == {"control": 9_000, "treatment": 9_000}
    assert "4,000 units first seen before 2026-03-04" in _trend(readout, "burn-in").text
    whole = _read(made, plan(metric("value", "rate"), preregistered=True))
    assert whole.verdict.status is Status.SHIP


def test_harm_during_the_burn_in_is_harm() -> None:
    arms = {
        "control": [_flips(800, 1_000)] * 2 + [_flips(500, 1_000)] * 2,
        "treatment": [_flips(300, 1_000)] * 2 + [_flips(500, 1_000)] * 2,
    }
    declared = plan(metric("value", "rate"), design={"burn_in": timedelta(days=2)})
    assert _read(by_day(arms), declared).verdict.status is Status.HARMFUL


_USERS = {
    "unit": "user",
    "metrics": "{orders: {count: order, window: 4d}}",
    "primary": "orders",
    "design": "{expected: 1, sd: 2, mde: 0.5}",
}


def test_novelty_within_units_windows_is_read_from_the_log(tmp_path: Path) -> None:
    log = Log(experiment(tmp_path, **_USERS))
    for i in range(1_200):
        variant, hours = ("control", "treatment")[i % 2], i * 24 * 7 / 1_200
        log.expose(f"u{i}", hours, variant)
        # Both halves hold an order in control; treatment adds three, all in the first.
        moments = [4, 4 + 60] + [5, 6, 7] * (i % 2) + [30] * (i % 3 == 0)
        for ahead in moments:
            log.measure(f"u{i}", hours + ahead, "order")
    with Warehouse(ordered=False) as warehouse:
        readout = read_events(log.of, log.tables(warehouse.connection), as_of=at(days=20))
    flag = _trend(readout, "over a unit's life")
    assert flag.passed is False
    assert flag.numbers["first"] == pytest.approx(3)
    assert flag.numbers["last"] == pytest.approx(0)
    assert "wears off (novelty)" in flag.text
    assert _trend(readout, "over cohorts").passed


def test_a_window_of_a_day_has_no_halves_to_compare(tmp_path: Path) -> None:
    log = Log(experiment(tmp_path))
    for i in range(300):
        log.expose(f"c{i}", i / 4, ("control", "treatment")[i % 2])
    with Warehouse(ordered=False) as warehouse:
        readout = read_events(log.of, log.tables(warehouse.connection), as_of=at(days=9))
    assert "over a unit's life" not in [check.name for check in readout.trends]
    assert "answering model" not in [check.name for check in readout.trends]


def test_another_model_behind_the_same_name_is_told(tmp_path: Path) -> None:
    log = Log(experiment(tmp_path))
    for i in range(400):
        served = {"experiment": "cites", "variant": "control"}
        late = i >= 240
        name, print_ = ("small-0806", "fp_b") if late else ("small-0513", "fp_a")
        log.call(f"c{i}", i / 2, model_answered=name, system_fingerprint=print_, **served)
        # What treatment was answered by, and a blip of one call, are no change of control's.
        log.call(f"t{i}", i / 2, model_answered=f"other-{i}", experiment="cites", variant="treatment")
    log.call("blip", 30, model_answered="blip", experiment="cites", variant="control")
    with Warehouse(ordered=False) as warehouse:
        [check] = answers_check(log.tables(warehouse.connection), log.of, "control")
    assert check.passed is False
    assert "small-0513 (fp_a) at first" in check.text
    assert "small-0806 (fp_b) since 2026-03-07" in check.text
    assert "blip" not in check.text
