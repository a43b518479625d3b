"""A readout goes through its looks in order, and keeps late data out."""

from __future__ import annotations

from datetime import date
from statistics import NormalDist

import numpy as np
import pytest
from tests.analysis.cubes import by_day, cube, metric, plan
from tests.analysis.readouts import FOUR_LOOKS, flips, information_of, read, weeks, width

from promptarena.analysis.looks import PlannedSize
from promptarena.definitions.analysis_plan import Guardrail
from promptarena.definitions.metric import Better
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Status


def test_a_single_look_equals_the_fixed_test() -> None:
    made = cube({("control",): {"value": flips(600, 1_000)}, ("treatment",): {"value": flips(650, 1_000)}})
    readout = read(made, plan(metric("value", "rate")))
    comparison = readout.metrics["value"].comparisons["treatment"]
    z = 0.05 / np.sqrt(0.625 * 0.375 * 2 / 1_000)  # the pooled test: rates are alike under the null
    assert comparison.p_value == pytest.approx(2 * NormalDist().cdf(-z))
    assert readout.verdict.status is Status.SHIP
    assert not readout.verdict.preregistered
    assert readout.paths == ()


def test_an_early_crossing_ends_the_trial_and_keeps_later_units_out() -> None:
    made = weeks([500, 500, 500, 500], [600, 640, 640, 300])
    readout = read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), information_of(0.5, 4_000)
    )
    [path] = readout.paths
    assert readout.verdict.status is Status.SHIP
    assert [look.day for look in path.looks] == ["2026-03-08"]
    assert path.looks[0].crossed
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert comparison.n_control == 1_000
    assert any("6,000 units arrived after the deciding look" in note for note in readout.notes)


def test_after_stopping_the_estimate_shrinks_and_secondaries_are_marked() -> None:
    rng = np.random.default_rng(0)
    arms = {}
    for name, rate in (("control", 0.5), ("treatment", 0.56)):
        for week in range(4):
            for day in range(7):
                key = (name, date(2026, 3, 2 + 7 * week + day).isoformat())
                arms[key] = {"value": flips(round(150 * rate), 150), "other": rng.normal(size=150)}
    readout = read(
        cube(arms, ["day"]),
        plan(metric("value", "rate"), metric("other"), preregistered=True, design=FOUR_LOOKS),
        information_of(0.5, 4_200),
    )
    [path] = readout.paths
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert readout.verdict.status is Status.SHIP
    assert comparison.interval == path.interval
    assert path.estimate is not None
    assert comparison.difference is not None
    assert 0 < path.estimate < comparison.difference
    assert "stage-wise" in comparison.method
    assert any("after stopping" in note for note in readout.metrics["other"].comparisons["treatment"].notes)


def test_the_interval_is_that_of_the_primarys_crossing_though_a_guardrail_kept_the_trial_going() -> None:
    rng = np.random.default_rng(0)
    arms, early = {}, {}
    for name, rate in (("control", 0.5), ("treatment", 0.6)):
        for week in range(4):
            for day in range(7):
                key = (name, date(2026, 3, 2 + 7 * week + day).isoformat())
                # At the margin, so that it is not shown to be kept.
                slower = rng.normal(0.2 * (name == "treatment"), size=150)
                arms[key] = {"value": flips(round(150 * rate), 150), "slow": slower}
                early[key] = arms[key] | {"slow": slower - 10 * (name == "treatment")}
    guarded = plan(
        metric("value", "rate"),
        metric("slow", better=Better.LOWER),
        preregistered=True,
        design=FOUR_LOOKS,
        guardrails=(Guardrail(metric="slow", margin=Margin(value=0.2)),),
    )
    kept, stopped = (
        read(cube(cells, ["day"]), guarded, information_of(0.5, 4_200)) for cells in (arms, early)
    )
    assert (kept.verdict.status, stopped.verdict.status) == (Status.HOLD, Status.SHIP)
    assert (len(kept.paths[0].looks), len(stopped.paths[0].looks)) == (4, 1)
    assert kept.paths[0].interval == stopped.paths[0].interval
    assert kept.paths[0].estimate == stopped.paths[0].estimate
    assert "of look 1" in kept.paths[0].interval_label


def test_between_looks_only_an_always_valid_interval_is_shown() -> None:
    made = by_day({name: [flips(50 + extra, 100)] * 10 for name, extra in (("control", 0), ("treatment", 2))})
    readout = read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), information_of(0.5, 2_800)
    )
    comparison = readout.metrics["value"].comparisons["treatment"]
    assert readout.verdict.status is Status.CONTINUE
    assert "always-valid" in comparison.method
    assert comparison.p_value is None
    fixed = 2 * 1.96 * np.sqrt(2 * 0.25 / 1_000)
    assert width(comparison) > 1.4 * fixed
    assert "2026-03-15" in " ".join(readout.verdict.reasons)


def test_a_look_that_does_not_stop_shows_the_repeated_interval() -> None:
    made = weeks([500, 500], [520, 520])
    readout = read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), information_of(0.5, 4_000)
    )
    comparison = readout.metrics["value"].comparisons["treatment"]
    [path] = readout.paths
    assert readout.verdict.status is Status.CONTINUE
    assert comparison.standard_error is not None
    reach = width(comparison) / 2 / comparison.standard_error
    assert reach == pytest.approx(path.looks[1].critical_z)
    assert [look.crossed for look in path.looks] == [False, False, None, None]


def test_no_look_before_a_whole_week_whatever_the_effect() -> None:
    made = by_day({"control": [flips(500, 1_000)] * 6, "treatment": [flips(650, 1_000)] * 6})
    readout = read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), information_of(0.5, 4_000)
    )
    assert readout.verdict.status is Status.CONTINUE
    assert "no look has been taken yet" in readout.verdict.reasons[0]


def test_skipped_looks_leave_their_error_to_the_next() -> None:
    # 60% of the information arrives in the first week: looks at 25% and 50% are passed over.
    made = weeks([1_200], [1_230], n=2_400)
    readout = read(
        made, plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS), information_of(0.5, 4_000)
    )
    [path] = readout.paths
    assert path.looks[0].fraction == pytest.approx(0.6, abs=0.02)
    # The whole allowance of an O'Brien-Fleming type function at that fraction, in one look.
    normal = NormalDist()
    spent = 2 * normal.cdf(normal.inv_cdf(0.0125) / path.looks[0].fraction ** 0.5)
    assert path.looks[0].alpha_spent == pytest.approx(2 * spent, rel=1e-6)
    assert path.looks[0].critical_z == pytest.approx(-normal.inv_cdf(spent), rel=1e-6)


def test_the_calendar_may_force_the_last_look() -> None:
    made = weeks([500, 500], [510, 510])
    declared = plan(metric("value", "rate"), preregistered=True, design={**FOUR_LOOKS, "max_days": 14})
    readout = read(made, declared, information_of(0.5, 40_000))
    assert readout.verdict.status is Status.HOLD
    assert readout.paths[0].looks[-1].alpha_spent == pytest.approx(0.05)


def test_the_planned_number_of_units_makes_the_last_look_though_they_tell_less_than_planned() -> None:
    made = cube({("control",): {"value": flips(500, 1_000)}, ("treatment",): {"value": flips(510, 1_000)}})
    declared = plan(metric("value", "rate"), preregistered=True, design=FOUR_LOOKS)
    hopeful = PlannedSize(information_of(0.5, 1_500).information, 2_000)
    readout = read(made, declared, hopeful)
    assert readout.verdict.status is Status.HOLD
    assert readout.paths[0].looks[-1].fraction == pytest.approx(2 / 3, abs=0.01)
    assert readout.paths[0].looks[-1].alpha_spent == pytest.approx(0.05)
