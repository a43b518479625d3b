from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.assignment.allocation import Allocation, cut_points
from promptarena.assignment.bucketing import POINTS
from promptarena.errors import UsageError

WEIGHTS = st.lists(st.floats(0, 1), min_size=1, max_size=6).filter(lambda weights: math.fsum(weights) > 1e-6)


@given(WEIGHTS)
def test_each_variant_has_its_share_of_the_numbers_to_one_in_two_to_the_64(weights: list[float]) -> None:
    edges = [0, *cut_points(weights), POINTS]
    total = sum(map(Fraction, weights))
    assert edges == sorted(edges)
    for start, end, weight in zip(edges, edges[1:], weights, strict=False):
        assert abs(Fraction(end - start) - POINTS * Fraction(weight) / total) < 1


@given(WEIGHTS, st.integers(0, 5))
def test_a_variant_of_weight_zero_has_no_numbers(weights: list[float], at: int) -> None:
    at %= len(weights) + 1
    edges = [0, *cut_points([*weights[:at], 0.0, *weights[at:]]), POINTS]
    assert edges[at + 1] == edges[at]


def test_thirds_are_cut_where_exact_arithmetic_cuts_them() -> None:
    assert cut_points([1 / 3] * 3) == (-(-POINTS // 3), -(-POINTS * 2 // 3))


def test_the_order_in_which_weights_are_written_means_nothing() -> None:
    one = Allocation({"control": 0.8, "treatment": 0.2}, 3)
    other = Allocation({"treatment": 0.2, "control": 0.8}, 3)
    assert one == other


def test_an_allocation_cannot_be_changed_from_outside() -> None:
    weights = {"control": 0.5, "treatment": 0.5}
    allocation = Allocation(weights)
    weights["control"] = 0.9
    assert allocation.weights["control"] == 0.5
    with pytest.raises(TypeError):
        allocation.weights["control"] = 0.9  # type: ignore[index]


@pytest.mark.parametrize(
    ("weights", "epoch"),
    [
        ({}, 0),
        ({"a": 0.5, "b": 0.6}, 0),
        ({"a": 1.5, "b": -0.5}, 0),
        ({"a": math.nan, "b": 0.5}, 0),
        ({"a": math.inf, "b": 0.5}, 0),
        ({"a": 0.0, "b": 0.0}, 0),
        ({"a": 0.5, "b": 0.5}, -1),
    ],
)
def test_what_is_no_allocation_is_refused(weights: dict[str, float], epoch: int) -> None:
    with pytest.raises(UsageError):
        Allocation(weights, epoch)


def test_propensities_sum_to_one_though_weights_miss_it_by_rounding() -> None:
    allocation = Allocation({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3 - 5e-10})
    assert math.fsum(map(allocation.propensity, "abc")) == pytest.approx(1, abs=1e-15)
