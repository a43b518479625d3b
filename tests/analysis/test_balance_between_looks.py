"""A trial that is read every day raises one false alarm of balance in a thousand, and a true one early."""

from __future__ import annotations

import numpy as np
import pytest
from tests.analysis.cubes import by_day, counts_of, cube, metric, plan
from tests.calibration import Calibration

from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.readout import build_readout
from promptarena.analysis.trust import observed_checks, sample_balance
from promptarena.definitions.analysis_plan import SegmentRule
from promptarena.definitions.readout import Status
from promptarena.stats.balance import sample_ratio_test

_PLAN = plan(metric("value"), preregistered=True, design={"looks": (0.5, 1.0)})


def _arms(control: int, treatment: int) -> dict[tuple[str], dict[str, np.ndarray]]:
    return {("control",): {"value": np.ones(control)}, ("treatment",): {"value": np.ones(treatment)}}


def test_between_looks_the_evidence_must_be_always_valid() -> None:
    # Chi-square of one look: p = .0004. Somebody who looks every day will see such counts sooner or later.
    made = cube(_arms(5_000, 5_360))
    once, watched = sample_balance(made, _PLAN), sample_balance(made, _PLAN, looks=2)
    assert (once.status, watched.status) == ("mismatch", "ok")
    assert once.p_value == pytest.approx(0.0004, abs=1e-4)
    assert watched.p_value is not None
    assert watched.p_value > 0.001
    assert watched.always_valid
    assert watched.threshold == pytest.approx(0.001 / 3)
    assert sample_balance(cube(_arms(5_000, 5_700)), _PLAN, looks=2).status == "mismatch"


def test_a_look_adds_its_own_test_of_the_counts_it_had() -> None:
    made, look = cube(_arms(50_000, 50_300)), cube(_arms(5_000, 5_400))
    found = sample_balance(made, _PLAN, looks=2, at_look=look)
    assert found.look_p_value == sample_ratio_test([5_000, 5_400], [0.5, 0.5])
    assert found.status == "mismatch"
    assert sample_balance(made, _PLAN, looks=2).status == "ok"


def test_segments_are_tested_at_looks() -> None:
    arms = {
        (variant, device): {"value": np.ones(n)}
        for variant, device, n in (
            ("control", "phone", 600), ("control", "desktop", 400),
            ("treatment", "phone", 400), ("treatment", "desktop", 600),
        )
    }  # fmt: skip
    declared = _PLAN.model_copy(update={"segments": (SegmentRule(name="device"),)})
    made = cube(arms, ["device"])
    assert sample_balance(made, declared, looks=2).segments == {}
    assert sample_balance(made, declared, looks=2, at_look=made).status == "mismatch"


def test_a_broken_split_is_invalid_before_any_look() -> None:
    rng = np.random.default_rng(1)
    made = by_day({"control": [rng.normal(size=900)] * 3, "treatment": [rng.normal(size=700)] * 3})
    readout = build_readout(made, counts_of(made), _PLAN, source="", planned=PlannedSize(1e6, 10**6))
    assert readout.verdict.status is Status.INVALID
    assert not readout.paths[0].looks[0].n
    assert readout.balance.always_valid


def test_a_mean_of_the_observed_is_bounded_by_the_range_that_was_declared() -> None:
    arms = {("control",): {"stars": np.full(900, 4.0)}, ("treatment",): {"stars": np.full(600, 4.5)}}
    made = cube(arms, units={("control",): 1_000, ("treatment",): 1_000})
    [bounded] = observed_checks(plan(metric("stars", bounds=(1.0, 5.0))), made, "treatment")
    assert bounded.passed is False
    # Control: (900 * 4 + 100 * [1, 5]) / 1000; treatment: (600 * 4.5 + 400 * [1, 5]) / 1000.
    assert "from -1 to +1" in bounded.text
    assert "from 1 to 5 as declared" in bounded.text
    [unbounded] = observed_checks(plan(metric("stars")), made, "treatment")
    assert "declare the metric's `range`" in unbounded.text


@pytest.mark.slow
def test_read_every_day_balance_alarms_falsely_once_in_a_thousand(calibration: Calibration) -> None:
    rng = np.random.default_rng(2)
    runs, days, watched, naive = 4_000, 28, 0, 0
    for _ in range(runs):
        counts = np.cumsum(rng.binomial(300, 0.5, days)), np.arange(1, days + 1) * 300
        alarmed = chi = False
        for treated, n in zip(*counts, strict=True):
            made = cube(_arms(1, 1), units={("control",): int(n - treated), ("treatment",): int(treated)})
            at_look = made if n in (14 * 300, 28 * 300) else None
            alarmed |= sample_balance(made, _PLAN, looks=2, at_look=at_look).status == "mismatch"
            p = sample_ratio_test([n - treated, treated], [0.5, 0.5])
            chi |= p is not None and p < 0.001
        watched, naive = watched + alarmed, naive + chi
    recorded = ("Balance read every day", "28 days of 300 units, two looks")
    calibration.record(
        *recorded,
        "false alarms",
        nominal=0.001,
        observed=watched / runs,
        runs=runs,
        seed=2,
        bound="at most",
    )
    calibration.record(
        *recorded,
        "false alarms of a chi-square read every day",
        nominal=0.001,
        observed=naive / runs,
        runs=runs,
        seed=2,
        bound="beside",
    )
    assert watched / runs <= 0.001 + 2 * np.sqrt(0.001 / runs)
    assert naive > 3 * watched
