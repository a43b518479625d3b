"""Paths look by look, held to multivariate normal probabilities computed without any recursion."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from promptarena.stats.recursive_integration import HIGHEST_Z, Running


def directly(information: list[float], low: list[float], high: list[float], drift: float = 0.0) -> float:
    """P(low_k < Z_k < high_k for all k) from the joint normal distribution of the statistics."""
    root = np.sqrt(information)
    covariance = np.minimum.outer(information, information) / np.outer(root, root)
    return float(
        multivariate_normal.cdf(
            high,
            mean=drift * root,
            cov=covariance,
            lower_limit=low,
            abseps=1e-8,
            releps=1e-8,
            maxpts=2 * 10**6,
        )
    )


def paths(information: list[float], low: list[float], high: list[float]) -> Running:
    """Those that stay between the boundaries at all looks but the last."""
    running = Running.start()
    for look, (now, following) in enumerate(itertools.pairwise(information)):
        running = running.after(now, low[look], high[look], following)
    return running


@pytest.mark.parametrize("drift", [0.0, 1.7, -2.4])
@pytest.mark.parametrize(
    ("information", "low", "high"),
    [
        ([0.2, 0.5, 1.0], [-2.5, -2.1], [2.6, 2.2]),
        ([0.1, 0.15, 0.7, 0.75], [-1.0, -3.0, -0.5], [2.0, 3.0, 1.5]),
        ([3.0, 17.0], [-8.0], [0.3]),
    ],
)
def test_crossing_equals_the_joint_normal_probability(
    information: list[float], low: list[float], high: list[float], drift: float
) -> None:
    running = paths(information, low, high)
    scaled = drift / math.sqrt(information[-1])
    far = 40.0
    above = directly(information, [*low, 1.9], [*high, far], scaled)
    below = directly(information, [*low, -far], [*high, -0.4], scaled)
    assert running.above(information[-1], 1.9, scaled) == pytest.approx(above, abs=1e-6)
    assert running.below(information[-1], -0.4, scaled) == pytest.approx(below, abs=1e-6)


def test_close_looks_are_as_exact_as_far_ones() -> None:
    # The kernel between these looks is a thousandth as wide as the region.
    running = paths([0.5, 0.50006, 1.0], [-3.0, -3.0], [2.0, 2.0])
    assert running.above(1.0, 2.0) == pytest.approx(
        directly([0.5, 0.50006, 1.0], [-3, -3, 2], [2, 2, 40]), abs=2e-6
    )


def test_refining_the_nodes_changes_nothing() -> None:
    coarse = Running.start().after(0.3, -9.0, 2.4, 1.0)
    fine = Running.start().after(0.3, -9.0, 2.4, 0.31)
    assert len(fine.scores) > 5 * len(coarse.scores)
    assert coarse.above(1.0, 1.96) == pytest.approx(fine.above(1.0, 1.96), rel=1e-12)


@pytest.mark.parametrize("spend", [1e-60, 1e-12, 0.003, 0.2, 0.6])
def test_a_critical_value_spends_what_it_is_asked_to(spend: float) -> None:
    running = paths([0.4, 0.9], [-9.0], [2.2])
    assert running.above(0.9, running.critical_z(0.9, spend)) == pytest.approx(spend, rel=1e-8)


def test_a_first_look_needs_no_integration() -> None:
    assert Running.start().critical_z(0.3, 0.025) == pytest.approx(norm.isf(0.025), abs=1e-10)


def test_a_spend_too_small_to_matter_gets_the_highest_critical_value() -> None:
    running = paths([0.4, 0.9], [-9.0], [2.2])
    assert running.critical_z(0.9, 0.0) == HIGHEST_Z
    assert running.critical_z(0.9, 1e-100) == HIGHEST_Z
    assert running.critical_z(0.9, 1e-88) < HIGHEST_Z


def test_a_spend_needs_paths_to_spend_on() -> None:
    with pytest.raises(ValueError, match="cannot be spent"):
        paths([0.4, 0.9], [-9.0], [0.0]).critical_z(0.9, 0.51)


@pytest.mark.parametrize("following", [0.3, 0.4, 0.40002, math.nan])
def test_information_must_grow(following: float) -> None:
    with pytest.raises(ValueError, match="order of information"):
        Running.start().after(0.4, -2.0, 2.0, 1.0).above(following, 2.0)


def test_a_region_has_an_inside() -> None:
    with pytest.raises(ValueError, match="nothing lies between"):
        Running.start().after(0.4, 2.0, 2.0, 1.0)


def test_from_a_path_seen_once_follow_conditional_probabilities() -> None:
    running = Running.start(0.4, 0.7)
    expected = norm.sf((2 * math.sqrt(0.9) - 0.7 - 1.3 * 0.5) / math.sqrt(0.5))
    assert running.above(0.9, 2.0, drift=1.3) == pytest.approx(expected, rel=1e-12)
