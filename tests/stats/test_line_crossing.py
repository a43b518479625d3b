"""The chance to meet a line is that of its first-passage density, and its rate that of its differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from promptarena.stats.line_crossing import crossing_distance, crossing_rate, log_crossing_chance


@given(distance=st.floats(0.05, 4), slope=st.floats(0, 2), time=st.floats(0.05, 2))
def test_the_chance_is_the_integral_of_when_the_line_is_first_met(
    distance: float, slope: float, time: float
) -> None:
    def density(t: float) -> float:
        """Bachelier and Levy's."""
        return distance / math.sqrt(2 * math.pi * t**3) * math.exp(-((distance + slope * t) ** 2) / (2 * t))

    direct, _ = quad(density, 0, time, epsabs=1e-13, epsrel=1e-11, limit=200)
    assert math.exp(log_crossing_chance(distance, slope, time)) == pytest.approx(direct, rel=1e-7, abs=1e-12)


@given(distance=st.floats(0.01, 8), slope=st.floats(0, 2), time=st.floats(0.01, 2))
def test_the_rate_is_how_fast_the_chance_falls_with_the_distance(
    distance: float, slope: float, time: float
) -> None:
    step = 1e-6 * math.sqrt(time)
    low, high = log_crossing_chance([distance - step / 2, distance + step / 2], slope, time)
    assert crossing_rate(distance, slope, time) == pytest.approx((low - high) / step, rel=1e-4, abs=1e-3)


def test_far_from_the_line_the_rate_is_finite_and_on_it_the_chance_is_one() -> None:
    assert np.isfinite(crossing_rate([1.0, 1e3, 1e6], 0.75, [1e-4, 1e-4, 1.0])).all()
    assert log_crossing_chance(0.0, 0.75, 0.3) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("chance", "slope"), [(0.025, 0.0), (0.025, 0.75), (0.001, 2.0), (0.4, 0.3)])
def test_a_line_at_its_distance_is_met_with_its_chance(chance: float, slope: float) -> None:
    assert math.exp(log_crossing_chance(crossing_distance(chance, slope), slope, 1.0)) == pytest.approx(
        chance
    )


def test_the_chance_is_that_of_walks() -> None:
    rng = np.random.default_rng(2)
    steps, runs = 2_000, 4_000
    ends = np.arange(1, steps + 1) / steps
    met = 0
    for _ in range(runs // 500):
        walks = np.cumsum(rng.normal(size=(500, steps)) / math.sqrt(steps), axis=1)
        # A walk that is seen at its steps alone meets a line as a motion does one that is .5826 steps further.
        line = 1.0 - 0.5826 / math.sqrt(steps) + 0.75 * ends
        met += int((walks >= line).any(axis=1).sum())
    chance = math.exp(log_crossing_chance(1.0, 0.75, 1.0))
    assert abs(met / runs - chance) <= 3 * math.sqrt(chance * (1 - chance) / runs)
