"""Moments add like the units they stand for, and keep their digits far from zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promptarena.stats.moments import Moments

values = arrays(np.float64, st.tuples(st.integers(0, 30), st.just(2)), elements=st.floats(-1e3, 1e3))


def _same(a: Moments, b: Moments) -> None:
    assert a.n == b.n
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.comoments, b.comoments, rtol=1e-9, atol=1e-6)


@given(values, values)
def test_adding_parts_equals_the_moments_of_the_whole(first: np.ndarray, second: np.ndarray) -> None:
    whole = Moments.from_values(np.concatenate([first, second]))
    _same(Moments.from_values(first) + Moments.from_values(second), whole)


@given(values, values, values)
def test_addition_does_not_care_about_order_or_grouping(
    first: np.ndarray, second: np.ndarray, third: np.ndarray
) -> None:
    a, b, c = map(Moments.from_values, (first, second, third))
    _same(a + b, b + a)
    _same((a + b) + c, a + (b + c))


@given(values.filter(lambda array: len(array) > 1), st.floats(-1e3, 1e3))
def test_sums_about_any_near_pivot_give_the_same_moments(array: np.ndarray, pivot: float) -> None:
    shifted = array - pivot
    about = Moments.from_pivot(
        len(array), np.full(2, pivot), shifted.sum(axis=0), np.einsum("ni,nj->ij", shifted, shifted)
    )
    direct = Moments.from_values(array)
    np.testing.assert_allclose(about.mean, direct.mean, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(about.comoments, direct.comoments, rtol=1e-6, atol=1e-3)


def test_variance_survives_an_offset_that_destroys_unshifted_sums() -> None:
    offset = 1e9
    array = np.random.default_rng(0).uniform(size=10_000) + offset
    unshifted = (array @ array - len(array) * array.mean() ** 2) / (len(array) - 1)
    # The pivot a query would use is a rough one: here a thousand standard deviations off.
    shifted = array - (offset + 300)
    ours = Moments.from_pivot(len(array), [offset + 300], [shifted.sum()], [[shifted @ shifted]])
    truth = np.var(array - offset, ddof=1)
    assert abs(unshifted / truth - 1) > 0.5
    assert ours.variance() == pytest.approx(truth, rel=1e-5)
    assert Moments.from_values(array).variance() == pytest.approx(truth, rel=1e-6)


def test_covariance_equals_numpys() -> None:
    array = np.random.default_rng(1).normal(size=(500, 3))
    np.testing.assert_allclose(
        Moments.from_values(array).covariance(), np.cov(array, rowvar=False), rtol=1e-12
    )


def test_select_keeps_the_chosen_components() -> None:
    array = np.random.default_rng(2).normal(size=(50, 3))
    _same(Moments.from_values(array).select(2, 0), Moments.from_values(array[:, [2, 0]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Moments.from_values([1.0, bad])


def test_a_variance_of_fewer_than_two_units_is_refused_not_zero() -> None:
    with pytest.raises(ValueError, match="at least 2 units"):
        Moments.from_values([1.0]).variance()


def test_moments_of_different_widths_do_not_add() -> None:
    with pytest.raises(ValueError, match="do not add"):
        Moments.empty(1) + Moments.empty(2)
