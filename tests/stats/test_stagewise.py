"""Estimates after stopping: a published example, the direct definition, coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from promptarena.stats.group_sequential import Sides, spending_boundary, supplied_boundary
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.stagewise import stagewise_estimate


@pytest.mark.parametrize(
    ("critical", "p_value", "interval", "estimate"),
    [
        ((4.049, 4.049 / math.sqrt(2)), 0.0014, (0.157, 0.748), 0.452),
        ((2.361, 2.361), 0.0098, (0.074, 0.729), 0.419),
    ],
)
def test_a_published_example(
    critical: tuple[float, float], p_value: float, interval: tuple[float, float], estimate: float
) -> None:
    # Wassmer and Brannath (2016), "Group sequential and confirmatory adaptive designs in clinical trials",
    # section 4.1: four stages of 22, O'Brien and Fleming's or Pocock's boundary, stopped at the second with z
    # = 3.
    boundary = supplied_boundary([0.25, 0.5], critical)
    stopped = stagewise_estimate(boundary, 3.0, 1 / math.sqrt(44))
    assert stopped.p_value / 2 == pytest.approx(p_value, abs=5e-5)
    assert stopped.interval == pytest.approx(interval, abs=5e-4)
    assert stopped.estimate == pytest.approx(estimate, abs=5e-4)


def test_the_limits_are_where_the_definition_says() -> None:
    fractions, critical, z = np.array([0.3, 0.55, 0.7]), np.array([2.5, 2.4, 2.3]), 2.9
    stopped = stagewise_estimate(supplied_boundary(list(fractions), list(critical)), z, 1.0)

    def at_least(mean: float) -> float:
        drift = mean / math.sqrt(fractions[-1])
        total = 0.0
        for look in range(3):
            seen = fractions[: look + 1]
            root = np.sqrt(seen)
            low = [*(-critical[:look]), z if look == 2 else critical[look]]
            total += multivariate_normal.cdf(
                [*critical[:look], 40.0],
                mean=drift * root,
                cov=np.minimum.outer(seen, seen) / np.outer(root, root),
                lower_limit=low,
                abseps=1e-8,
                releps=1e-8,
            )
        return total

    assert at_least(stopped.interval[0]) == pytest.approx(0.025, abs=1e-6)
    assert at_least(stopped.estimate) == pytest.approx(0.5, abs=1e-6)
    assert at_least(stopped.interval[1]) == pytest.approx(0.975, abs=1e-6)
    assert 2 * at_least(0.0) == pytest.approx(stopped.p_value, abs=2e-6)


def test_after_the_first_look_nothing_has_been_selected() -> None:
    stopped = stagewise_estimate(supplied_boundary([0.3], [2.5]), 3.1, 2.0)
    assert stopped.estimate == pytest.approx(6.2)
    assert stopped.interval == pytest.approx((2 * (3.1 - norm.isf(0.025)), 2 * (3.1 + norm.isf(0.025))))
    assert stopped.p_value == pytest.approx(2 * norm.sf(3.1))


@given(
    st.integers(2, 5), st.integers(1, 5), st.floats(-25, 25), st.sampled_from([1, 2]), st.floats(0.01, 0.4)
)
@settings(max_examples=60, deadline=None)
def test_any_stop_has_an_ordered_estimate(
    count: int, stage: int, z: float, sides: Sides, alpha: float
) -> None:
    planned = [(look + 1) / count for look in range(count)][:stage]
    boundary = spending_boundary(planned, SpendingFunction("pocock"), 0.05, sides=sides)
    stopped = stagewise_estimate(boundary, z, 0.5, alpha=alpha)
    assert stopped.interval[0] < stopped.estimate < stopped.interval[1]
    assert 0 <= stopped.p_value <= 1
    if sides == 2:
        mirrored = stagewise_estimate(boundary, -z, 0.5, alpha=alpha)
        assert mirrored.estimate == pytest.approx(-stopped.estimate, abs=1e-6)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("family", ["obrien-fleming", "pocock"])
def test_an_outcome_on_the_boundary_has_the_error_spent_so_far_as_its_p_value(
    sides: Sides, family: str
) -> None:
    fractions = [0.2, 0.5, 0.8, 1.0]
    boundary = spending_boundary(fractions, SpendingFunction(family), 0.05, sides=sides)
    for look in range(1, 5):
        until = spending_boundary(fractions[:look], SpendingFunction(family), 0.05, sides=sides)
        at_boundary = stagewise_estimate(until, boundary.critical_z[look - 1], 1.0)
        assert at_boundary.p_value == pytest.approx(sides * boundary.alpha_spent[look - 1], rel=1e-6)


def test_the_plain_estimate_is_too_large_and_this_one_is_not() -> None:
    fractions, drift, runs = np.array([0.25, 0.5, 0.75, 1.0]), 2.8, 1500
    boundary = spending_boundary(list(fractions), SpendingFunction("pocock"), 0.05)
    rng = np.random.default_rng(12)
    gaps = np.diff(fractions, prepend=0)
    z = (rng.standard_normal((runs, 4)) * np.sqrt(gaps) + drift * gaps).cumsum(axis=1) / np.sqrt(fractions)
    outside = np.abs(z) >= boundary.critical_z
    stop = np.where(outside.any(axis=1), outside.argmax(axis=1), 3)
    boundaries = [supplied_boundary(list(fractions[: k + 1]), boundary.critical_z[: k + 1]) for k in range(4)]
    stopped = [
        stagewise_estimate(boundaries[k], row[k], 1 / math.sqrt(fractions[k]))
        for row, k in zip(z, stop, strict=True)
    ]
    margin = 3 * math.sqrt(0.25 / runs)
    plain = np.array([row[k] / math.sqrt(fractions[k]) for row, k in zip(z, stop, strict=True)])
    assert (plain > drift).mean() > 0.5 + margin
    assert np.mean([s.estimate > drift for s in stopped]) == pytest.approx(0.5, abs=margin)
    covered = np.mean([s.interval[0] <= drift <= s.interval[1] for s in stopped])
    assert covered == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / runs))


def test_what_is_no_outcome_is_refused() -> None:
    boundary = supplied_boundary([1.0], [1.96])
    with pytest.raises(ValueError, match="finite"):
        stagewise_estimate(boundary, math.nan, 1.0)
    with pytest.raises(ValueError, match="standard error"):
        stagewise_estimate(boundary, 1.0, 0.0)
    with pytest.raises(ValueError, match="alpha"):
        stagewise_estimate(boundary, 1.0, 1.0, alpha=0.0)
