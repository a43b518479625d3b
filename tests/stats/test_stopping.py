"""Power, stopping and expected information of sequential designs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from tests.calibration import Calibration

from promptarena.stats.group_sequential import (
    Boundary,
    Sides,
    spending_boundary,
    supplied_boundary,
    wang_tsiatis_boundary,
)
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.stopping import (
    conditional_power,
    drift_for_power,
    inflation_factor,
    stopping_probabilities,
)

OBF, POCOCK = SpendingFunction(), SpendingFunction("pocock")


def equal(count: int) -> list[float]:
    return [(look + 1) / count for look in range(count)]


def test_inflation_equals_the_published_factors() -> None:
    five = spending_boundary(equal(5), OBF, 0.05)
    assert inflation_factor(five, 0.8, 0.05) == pytest.approx(1.024720, abs=1e-6)
    # Jennison and Turnbull (2000), tables 2.2 and 2.4: alpha .05 two-sided, power .9, K = 5.
    assert inflation_factor(wang_tsiatis_boundary(equal(5), shape=0.5), 0.9, 0.05) == pytest.approx(
        1.207, abs=6e-4
    )
    assert inflation_factor(wang_tsiatis_boundary(equal(5)), 0.9, 0.05) == pytest.approx(1.026, abs=6e-4)


def test_one_look_costs_nothing() -> None:
    one = spending_boundary([1.0], OBF, 0.05)
    assert inflation_factor(one, 0.8, 0.05) == pytest.approx(1, abs=1e-9)
    assert drift_for_power(one, 0.8) == pytest.approx(norm.isf(0.025) + norm.ppf(0.8), abs=1e-9)


@given(st.sampled_from([OBF, POCOCK]), st.integers(1, 6), st.floats(0.06, 0.999), st.sampled_from([1, 2]))
@settings(max_examples=40, deadline=None)
def test_the_drift_for_a_power_has_that_power(
    spending: SpendingFunction, count: int, power: float, sides: Sides
) -> None:
    boundary = spending_boundary(equal(count), spending, 0.05, sides=sides)
    drift = drift_for_power(boundary, power)
    assert stopping_probabilities(boundary, drift).power == pytest.approx(power, abs=1e-9)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("drift", [-3.0, 0.0, 1.5, 2.9])
def test_stopping_equals_simulation(sides: Sides, drift: float) -> None:
    fractions = np.array([0.25, 0.4, 0.8, 1.0])
    boundary = spending_boundary(list(fractions), POCOCK, 0.05, sides=sides)
    stopping = stopping_probabilities(boundary, drift)
    rng = np.random.default_rng(7)
    gaps = np.diff(fractions, prepend=0)
    runs = 200_000
    steps = rng.standard_normal((runs, 4)) * np.sqrt(gaps) + drift * gaps
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    up = z >= boundary.critical_z
    down = z <= -np.array(boundary.critical_z) if sides == 2 else np.zeros_like(up)
    outside = up | down
    first = np.where(outside.any(axis=1), outside.argmax(axis=1), 4)
    for look in range(4):
        seen = (first == look) & up[:, look]
        assert stopping.upper[look] == pytest.approx(seen.mean(), abs=4 * math.sqrt(0.25 / runs))
        seen = (first == look) & down[:, look]
        assert stopping.lower[look] == pytest.approx(seen.mean(), abs=4 * math.sqrt(0.25 / runs))
    information = fractions[np.minimum(first, 3)]
    error = information.std() / math.sqrt(runs)
    assert stopping.expected_information == pytest.approx(information.mean(), abs=4 * error + 1e-12)


@given(st.floats(-8, 8), st.integers(2, 5), st.sampled_from([1, 2]))
@settings(max_examples=40, deadline=None)
def test_a_drift_and_its_opposite_mirror_each_other(drift: float, count: int, sides: Sides) -> None:
    boundary = spending_boundary(equal(count), OBF, 0.05, sides=sides)
    there, back = stopping_probabilities(boundary, drift), stopping_probabilities(boundary, -drift)
    assert 0 <= there.power <= 1 + 1e-12
    assert boundary.fractions[0] <= there.expected_information <= 1 + 1e-12
    if sides == 2:
        assert there.upper == pytest.approx(back.lower, abs=1e-12)


def test_without_effect_a_design_stops_as_it_spends() -> None:
    boundary = spending_boundary(equal(3), POCOCK, 0.05)
    stopping = stopping_probabilities(boundary, 0.0)
    assert np.cumsum(stopping.upper) == pytest.approx(boundary.alpha_spent, rel=1e-9)


def test_conditional_power_before_one_look_is_a_normal_tail() -> None:
    boundary = supplied_boundary([0.4, 1.0], [3.0, 2.0])
    score = 1.1 * math.sqrt(0.4)
    expected = norm.sf((2.0 - score - 2.5 * 0.6) / math.sqrt(0.6))
    assert conditional_power(boundary, 0, 1.1, drift=2.5) == pytest.approx(expected, rel=1e-10)
    trend = norm.sf((2.0 - score - 1.1 / math.sqrt(0.4) * 0.6) / math.sqrt(0.6))
    assert conditional_power(boundary, 0, 1.1) == pytest.approx(trend, rel=1e-10)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("drift", [-1.0, 0.0, 2.8])
def test_conditional_power_averages_to_power(sides: Sides, drift: float) -> None:
    boundary = spending_boundary([0.3, 0.6, 0.8, 1.0], POCOCK, 0.05, sides=sides)
    stopping = stopping_probabilities(boundary, drift)
    low = -boundary.critical_z[0] if sides == 2 else -12.0
    nodes, weights = np.polynomial.legendre.leggauss(60)
    half = (boundary.critical_z[0] - low) / 2
    z = low + half * (nodes + 1)
    density = norm.pdf(z - drift * math.sqrt(0.3)) * weights * half
    later = sum(
        mass * conditional_power(boundary, 0, value, drift) for mass, value in zip(density, z, strict=True)
    )
    assert later == pytest.approx(sum(stopping.upper[1:]), abs=1e-8)


def test_questions_without_an_answer_are_refused() -> None:
    boundary: Boundary = spending_boundary(equal(2), OBF, 0.05)
    with pytest.raises(ValueError, match="none after it"):
        conditional_power(boundary, 1, 2.0)
    with pytest.raises(ValueError, match="power"):
        drift_for_power(boundary, 0.02)
    with pytest.raises(ValueError, match="power"):
        drift_for_power(boundary, 1.0)
    with pytest.raises(ValueError, match="alpha"):
        inflation_factor(boundary, 0.8, 1.0)
    with pytest.raises(ValueError, match="futility"):
        stopping_probabilities(boundary, 0.0, futility_z=(0.0, 2.0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["obrien-fleming", "pocock"])
def test_calibration_of_power_stopping_and_expected_size(kind: str, calibration: Calibration) -> None:
    fractions = equal(5)
    boundary = spending_boundary(fractions, OBF if kind == "obrien-fleming" else POCOCK, 0.05)
    drift = drift_for_power(boundary, 0.8)
    rng, runs = np.random.default_rng(36), 200_000
    steps = rng.standard_normal((runs, 5)) * math.sqrt(0.2) + drift * 0.2
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    crossed = np.abs(z) >= np.asarray(boundary.critical_z)
    last = np.where(crossed.any(axis=1), crossed.argmax(axis=1), 4)
    size = np.asarray(fractions)[last]
    expected = stopping_probabilities(boundary, drift).expected_information
    going = ~crossed[:, :2].any(axis=1) & (np.abs(z[:, 1] - 1.5) < 0.05)
    rows = [
        calibration.record(
            "Power, stopping and expected size",
            f"{kind}, five looks, drift for a power of .8",
            figure,
            nominal=nominal,
            observed=float(observed),
            runs=sample,
            seed=36,
            error=error,
            slack=slack,
        )
        for figure, nominal, observed, sample, error, slack in (
            ("power", 0.8, (crossed.any(axis=1) & (z[np.arange(runs), last] > 0)).mean(), runs, None, 0.0),
            (
                "share of the largest size, on average",
                expected,
                size.mean(),
                runs,
                size.std() / math.sqrt(runs),
                0.0,
            ),
            (
                "conditional power at look 2 with z 1.5",
                conditional_power(boundary, 1, 1.5, drift),
                (crossed[going, 2:].any(axis=1)).mean(),
                int(going.sum()),
                None,
                0.005,
            ),
        )
    ]
    assert all(row.kept for row in rows)
