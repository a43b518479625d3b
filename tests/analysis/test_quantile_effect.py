"""Quantile effects: within epochs, at every look, with a guardrail that errs as rarely as it says."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.analysis.counted import cube_of_values, value_counts
from tests.analysis.cubes import counts_of, metric, plan
from tests.calibration import Calibration

from promptarena.analysis.comparisons import compare
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.looks import LookPoint
from promptarena.analysis.quantile_effect import quantile_effect
from promptarena.analysis.readout import build_readout
from promptarena.analysis.sequential import guardrail_path
from promptarena.definitions.analysis_plan import Guardrail, SegmentRule
from promptarena.definitions.metric import Better
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Status

Array = NDArray[np.float64]

START = date(2026, 3, 2)
P95 = metric("latency_p95", "quantile", of="latency_ms", q=0.95, better=Better.LOWER, unit="ms")
P50 = metric("latency_p50", "quantile", of="latency_ms", q=0.5, better=Better.LOWER, unit="ms")


def _latency(
    rng: np.random.Generator, units: int, rows: int = 3, slower: float = 0.0, mu: float = 7.0
) -> Array:
    """Log-normal, sigma .5, with 40% of the variance between units."""
    shared, own = rng.normal(size=(units, 1)), rng.normal(size=(units, rows))
    return np.asarray(np.exp(mu + 0.5 * (math.sqrt(0.4) * shared + math.sqrt(0.6) * own)) + slower)


def _weekly(rng: np.random.Generator, weeks: int, units: int, slower: float) -> Cube:
    """Each week's units on its last day, but a pair on its first day that makes the week whole."""
    cells = {}
    for name, extra in (("control", 0.0), ("treatment", slower)):
        for week in range(weeks):
            for day, n in ((7 * week, 2), (7 * week + 6, units)):
                cells[name, (START + timedelta(days=day)).isoformat()] = _latency(rng, n, slower=extra)
    return cube_of_values("latency_ms", [P95.name, P50.name], cells, ["day"])


def _of_arms(**arms: Array) -> Cube:
    return cube_of_values("latency_ms", [P95.name, P50.name], {(name,): rows for name, rows in arms.items()})


def test_a_comparison_is_of_the_sample_quantiles() -> None:
    rng = np.random.default_rng(1)
    control, treatment = _latency(rng, 2_000), _latency(rng, 1_500, slower=200)
    for wanted in (P50, P95):
        assert wanted.q is not None
        pair = arm_pair(_of_arms(control=control, treatment=treatment), wanted, "control", "treatment")
        found = compare(pair, wanted, 0.05)
        assert found.control_value == pytest.approx(np.quantile(control, wanted.q), rel=1e-12)
        assert found.variant_value == pytest.approx(np.quantile(treatment, wanted.q), rel=1e-12)
        assert (found.n_control, found.n_variant) == (2_000, 1_500)
        assert "quantiles" in found.method
        assert "clusters" in found.method
        assert found.relative_interval is not None


def test_a_ramp_between_epochs_does_not_pass_for_an_effect() -> None:
    rng = np.random.default_rng(2)
    cells = {
        (name, epoch): _latency(rng, n, mu=mu)
        for epoch, mu, sizes in (("1", 7.0, (3_800, 200)), ("2", 7.3, (2_000, 2_000)))
        for name, n in zip(("control", "treatment"), sizes, strict=True)
    }
    cube = cube_of_values("latency_ms", [P50.name], cells, ["epoch"])
    effect = arm_pair(cube, P50, "control", "treatment").effect
    assert effect is not None
    assert effect.p_value() > 0.05
    parts = [
        np.quantile(cells["treatment", epoch], 0.5) - np.quantile(cells["control", epoch], 0.5)
        for epoch in "12"
    ]
    assert effect.difference == pytest.approx(np.mean(parts))
    pooled = quantile_effect(cube.values["latency_ms"], 0.5, "control", "treatment", epochs=False)
    assert pooled.effect.p_value() < 1e-6


def test_a_small_epoch_without_a_tail_is_left_out_and_told() -> None:
    rng = np.random.default_rng(3)
    cells = {
        (name, epoch): _latency(rng, n)
        for name in ("control", "treatment")
        for epoch, n in (("1", 8), ("2", 1_000), ("3", 1))
    }
    cube = cube_of_values("latency_ms", [P95.name], cells, ["epoch"])
    pair = arm_pair(cube, P95, "control", "treatment")
    assert pair.effect is not None
    assert pair.effect.control.n == 1_000
    assert pair.note is not None
    assert "16 units were left out" in pair.note
    assert pair.note in compare(pair, P95, 0.05).notes


def test_an_effect_of_only_some_of_the_units_is_none() -> None:
    rng = np.random.default_rng(4)
    cells = {
        (name, epoch): _latency(rng, n)
        for name in ("control", "treatment")
        for epoch, n in (("1", 10), ("2", 60))
    }
    pair = arm_pair(cube_of_values("latency_ms", [P95.name], cells, ["epoch"]), P95, "control", "treatment")
    assert pair.effect is None
    assert pair.problem is not None
    assert "too few values beyond quantile 0.95" in pair.problem


@pytest.mark.parametrize(
    ("control", "why"),
    [
        (np.full((500, 2), 30_000.0), "same share of its values"),
        (np.arange(1.0, 7.0).reshape(3, 2), "control: 6 values are too few"),
        (np.ones((1, 3)), "control has 1 observed unit; 2 are needed"),
    ],
)
def test_what_cannot_be_told_is_none_with_the_reason(control: Array, why: str) -> None:
    cube = _of_arms(control=control, treatment=_latency(np.random.default_rng(5), 1_000))
    found = compare(arm_pair(cube, P95, "control", "treatment"), P95, 0.05)
    assert (found.difference, found.interval, found.p_value) == (None, None, None)
    [note] = found.notes
    assert why in note


def test_no_epoch_with_both_arms_has_no_effect() -> None:
    rng = np.random.default_rng(6)
    values = value_counts(
        {("control", "1"): _latency(rng, 50), ("treatment", "2"): _latency(rng, 50)}, ["epoch"]
    )
    with pytest.raises(ValueError, match="no epoch has 2 observed units in both"):
        quantile_effect(values, 0.5, "control", "treatment", epochs=True)


def test_days_and_segments_have_effects_of_their_own() -> None:
    rng = np.random.default_rng(7)
    cells = {
        (name, day, device): _latency(rng, 300, slower=400 * (name == "treatment") * (device == "app"))
        for name in ("control", "treatment")
        for day in ("2026-03-02", "2026-03-03")
        for device in ("web", "app")
    }
    cube = cube_of_values("latency_ms", [P50.name], cells, ["day", "device"])
    readout = build_readout(
        cube, counts_of(cube), plan(P50, segments=(SegmentRule(name="device"),)), source="here"
    )
    shown = readout.metrics[P50.name]
    by_device = {effect.value: effect for effect in shown.segments}
    control = np.concatenate([cells["control", day, "app"] for day in ("2026-03-02", "2026-03-03")])
    assert by_device["app"].comparison.control_value == pytest.approx(np.quantile(control, 0.5))
    harm = {value: effect.harm_p_adjusted for value, effect in by_device.items()}
    assert harm["app"] is not None
    assert harm["app"] < 1e-6
    assert harm["web"] is not None
    assert harm["web"] > 0.01
    assert [effect.day for effect in shown.daily] == ["2026-03-02", "2026-03-03"]
    assert all(effect.interval is not None for effect in shown.daily)


def test_segments_that_were_not_counted_are_told() -> None:
    rng = np.random.default_rng(8)
    cells = {(name, "web"): _latency(rng, 100) for name in ("control", "treatment")}
    cube = cube_of_values("latency_ms", [P50.name], cells, ["device"])
    only = value_counts({(name,): rows for (name, _), rows in cells.items()})
    bare = Cube(cube.slices, cube.variants, cube.segments, None, {"latency_ms": only})
    pair = arm_pair(bare, P50, "control", "treatment", where=("device", "web"))
    assert pair.problem == "values were not counted by device: together it has too many"
    assert arm_pair(bare, P50, "control", "treatment").effect is not None


def test_a_guardrail_on_a_quantile_decides_a_verdict() -> None:
    rng = np.random.default_rng(9)
    statuses = {}
    for slower in (0.0, 500.0):
        cells = {
            (name,): _latency(rng, 2_000, slower=slower * (name == "treatment"))
            for name in ("control", "treatment")
        }
        cube = cube_of_values("latency_ms", [P95.name, P50.name], cells)
        guarded = plan(
            P50,
            P95,
            primary={"metric": P50.name, "test": "non-inferiority", "margin": 1_000},
            guardrails=(Guardrail(metric=P95.name, margin=Margin(value=300.0)),),
        )
        verdict = build_readout(cube, counts_of(cube), guarded, source="here").verdict
        statuses[slower] = verdict.status
        [check] = [check for check in verdict.checks if check.name == "guardrail"]
        assert check.passed is (slower == 0.0)
        assert "where 300 ms is allowed" in check.text
    assert statuses[0.0] is Status.SHIP
    assert statuses[500.0] is not Status.SHIP


def _passes_and_would_pass(rng: np.random.Generator, slower: float, units: int) -> tuple[bool, bool]:
    """Whether the guardrail is passed at any of four looks, and whether it would be if retested at each."""
    cube = _weekly(rng, 4, units, slower)
    assert cube.days is not None
    ends = [START + timedelta(days=7 * week + 6) for week in range(4)]
    looks = [LookPoint((k + 1) / 4, k, day, cube.until(day), k == 3) for k, day in enumerate(ends)]
    guardrail = Guardrail(metric=P95.name, margin=Margin(value=300.0))
    planned = plan(P95, design={"looks": (0.25, 0.5, 0.75, 1.0)})
    path = guardrail_path(planned, guardrail, "treatment", looks)
    retested = any(z is not None and z > 1.645 for z in path.z)
    return True in path.passed, retested


def test_a_guardrail_at_its_margin_passes_as_rarely_as_alpha_says_over_all_looks_where_retesting_does_not() -> (
    None
):
    rng = np.random.default_rng(10)
    runs = 500
    rate, retested = np.mean([_passes_and_would_pass(rng, 300.0, 250) for _ in range(runs)], axis=0)
    slack = 2 * math.sqrt(0.05 * 0.95 / runs)
    assert 0.02 < rate <= 0.05 + slack
    assert retested > 0.05 + slack


@pytest.mark.slow
@pytest.mark.parametrize("units", [150, 600])
def test_guardrail_error_rates_at_the_margin(units: int, calibration: Calibration) -> None:
    rng = np.random.default_rng(11)
    runs = 4_000
    rate = sum(_passes_and_would_pass(rng, 300.0, units)[0] for _ in range(runs)) / runs
    calibration.record(
        "Guardrails over four looks",
        f"p95 at its margin, {units} units a week and arm",
        "passes",
        nominal=0.05,
        observed=rate,
        runs=runs,
        seed=11,
        bound="at most",
    )
    assert 0.03 < rate <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
