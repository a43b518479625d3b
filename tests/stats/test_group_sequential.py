"""Boundaries: published values, what they really spend, looks as they come, p-values after looking."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from promptarena.stats.group_sequential import (
    Boundary,
    Sides,
    sequential_p_value,
    spending_boundary,
    supplied_boundary,
    wang_tsiatis_boundary,
)
from promptarena.stats.recursive_integration import HIGHEST_Z
from promptarena.stats.spending import FAMILIES, SpendingFunction

OBF, POCOCK, HSD = SpendingFunction(), SpendingFunction("pocock"), SpendingFunction("hwang-shih-decani", -4)
functions = st.builds(SpendingFunction, st.sampled_from(FAMILIES), st.floats(-6, 3))
sides_of_tests: st.SearchStrategy[Sides] = st.sampled_from((1, 2))
looks = st.lists(st.integers(1, 40), min_size=1, max_size=5).map(
    lambda steps: [total / sum(steps) for total in itertools.accumulate(steps)]
)


def equal(count: int) -> list[float]:
    return [(look + 1) / count for look in range(count)]


@pytest.fixture(scope="module")
def reference(shared_data: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((shared_data / "groupseq" / "gs_reference.json").read_text())
    return read


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10])
@pytest.mark.parametrize(
    ("row", "spending", "alpha", "sides"),
    [
        ("LD_OBF_one_sided_0025", OBF, 0.025, 1),
        ("LD_OBF_two_sided_005", OBF, 0.05, 2),
        ("LD_Pocock_one_sided_0025", POCOCK, 0.025, 1),
        ("LD_Pocock_two_sided_005", POCOCK, 0.05, 2),
        ("HSD_gamma_m4_one_sided_0025", HSD, 0.025, 1),
    ],
)
def test_spending_boundaries_equal_the_reference(
    reference: dict[str, Any], count: int, row: str, spending: SpendingFunction, alpha: float, sides: Sides
) -> None:
    boundary = spending_boundary(equal(count), spending, alpha, sides=sides)
    assert boundary.critical_z == pytest.approx(reference[f"K{count}"][row], abs=1e-8)
    assert boundary.alpha == pytest.approx(alpha, abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10])
@pytest.mark.parametrize(("row", "shape"), [("OBF_two_sided_005", 0.0), ("Pocock_two_sided_005", 0.5)])
def test_classical_boundaries_equal_the_reference(
    reference: dict[str, Any], count: int, row: str, shape: float
) -> None:
    boundary = wang_tsiatis_boundary(equal(count), 0.05, shape=shape)
    assert boundary.critical_z == pytest.approx(reference[f"K{count}"][row], abs=1e-8)


def test_peeking_with_196_costs_what_the_reference_says(reference: dict[str, Any]) -> None:
    for count, error in reference["peeking_type1_two_sided_196"].items():
        looked = equal(int(count))
        peeked = supplied_boundary(looked, [float(norm.isf(0.025))] * len(looked))
        assert peeked.alpha == pytest.approx(error, abs=1e-9)


def test_unequal_looks_equal_the_reference(reference: dict[str, Any]) -> None:
    bhat = reference["BHAT_LD_OBF_two_sided_005_unequal"]
    assert spending_boundary(bhat["t"], OBF).critical_z == pytest.approx(bhat["z"], abs=1e-8)


def test_five_obrien_fleming_looks_are_the_published_ones() -> None:
    published = [4.876885, 3.357012, 2.680280, 2.289817, 2.031032]
    assert spending_boundary(equal(5), OBF).critical_z == pytest.approx(published, abs=1e-6)


def test_supplied_boundaries_are_told_their_real_alpha() -> None:
    assert supplied_boundary(equal(4), [3.47, 2.45, 2.14, 2.01]).alpha == pytest.approx(0.0626, abs=5e-5)


@pytest.mark.parametrize("sides", [1, 2])
def test_error_spent_equals_the_joint_normal_probability(sides: Sides) -> None:
    fractions, critical = np.array([0.3, 0.45, 1.0]), np.array([2.4, 2.3, 2.05])
    root = np.sqrt(fractions)
    covariance = np.minimum.outer(fractions, fractions) / np.outer(root, root)
    low = -critical if sides == 2 else np.full(3, -40.0)
    stays = multivariate_normal.cdf(
        critical, cov=covariance, lower_limit=low, abseps=1e-8, releps=1e-8, maxpts=2 * 10**6
    )
    spent = supplied_boundary(list(fractions), list(critical), sides=sides).alpha
    assert spent == pytest.approx(1 - stays, abs=1e-6)


@pytest.mark.parametrize(("spending", "sides"), [(OBF, 2), (POCOCK, 2), (HSD, 1)])
def test_type_i_error_is_kept_in_simulation(spending: SpendingFunction, sides: Sides) -> None:
    fractions = np.array([0.2, 0.55, 0.7, 1.0])
    boundary = spending_boundary(list(fractions), spending, 0.05, sides=sides)
    rng = np.random.default_rng(20)
    steps = rng.standard_normal((200_000, 4)) * np.sqrt(np.diff(fractions, prepend=0))
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    crossed = (np.abs(z) if sides == 2 else z) >= boundary.critical_z
    assert crossed.any(axis=1).mean() == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 200_000))


@given(looks, functions, st.floats(0.001, 0.2), sides_of_tests)
@settings(max_examples=60, deadline=None)
def test_a_boundary_spends_exactly_what_it_says(
    fractions: list[float], spending: SpendingFunction, alpha: float, sides: Sides
) -> None:
    boundary = spending_boundary(fractions, spending, alpha, sides=sides)
    real = supplied_boundary(fractions, boundary.critical_z, sides=sides)
    assert real.alpha_spent == pytest.approx(boundary.alpha_spent, rel=1e-7, abs=1e-15)
    assert boundary.alpha == pytest.approx(alpha)


@given(looks, functions, sides_of_tests)
@settings(max_examples=60, deadline=None)
def test_later_looks_never_change_an_earlier_answer(
    fractions: list[float], spending: SpendingFunction, sides: Sides
) -> None:
    whole = spending_boundary(fractions, spending, sides=sides).critical_z
    for taken in range(1, len(fractions) + 1):
        sofar = spending_boundary(fractions[:taken], spending, sides=sides).critical_z
        assert sofar == pytest.approx(whole[:taken], abs=1e-9)


def test_a_skipped_look_leaves_its_error_to_the_next() -> None:
    skipped = spending_boundary([0.5, 1.0], OBF)
    assert skipped.alpha_spent[0] == spending_boundary([0.25, 0.5, 1.0], OBF).alpha_spent[1]
    assert skipped.critical_z[0] < spending_boundary([0.25, 0.5, 1.0], OBF).critical_z[1]


def test_a_last_look_that_comes_early_spends_all() -> None:
    early = spending_boundary([0.4, 0.8], OBF, final=True)
    assert early.alpha == pytest.approx(0.05)
    assert early.critical_z[1] < spending_boundary([0.4, 0.8], OBF).critical_z[1]


def test_an_over_run_spends_all_and_nothing_after_it() -> None:
    over = spending_boundary([0.5, 1.2, 1.4], OBF)
    assert over.alpha_spent[1:] == pytest.approx((0.025, 0.025))
    assert over.critical_z[2] == HIGHEST_Z


def test_critical_values_that_were_used_stand_and_count() -> None:
    kept = spending_boundary([0.3, 0.6, 1.0], OBF, past_critical_z=[3.0])
    assert kept.critical_z[0] == 3.0
    assert kept.alpha_spent[0] == pytest.approx(norm.sf(3.0))
    assert kept.alpha == pytest.approx(0.05)
    lavish = spending_boundary([0.3, 0.6, 1.0], OBF, past_critical_z=[1.9])
    assert lavish.critical_z[1:] == (HIGHEST_Z, HIGHEST_Z)
    assert lavish.alpha == pytest.approx(2 * norm.sf(1.9))


def test_one_look_is_an_ordinary_test() -> None:
    assert spending_boundary([1.0], POCOCK, 0.05).critical_z == pytest.approx([norm.isf(0.025)])
    assert spending_boundary([1.0], POCOCK, 0.05, sides=1).critical_z == pytest.approx([norm.isf(0.05)])
    assert wang_tsiatis_boundary([1.0], 0.05).critical_z == pytest.approx([norm.isf(0.025)])


def crosses(z: Sequence[float], boundary: Boundary) -> bool:
    seen = [abs(value) if boundary.sides == 2 else value for value in z]
    return any(value >= critical for value, critical in zip(seen, boundary.critical_z, strict=True))


@given(
    looks,
    functions,
    sides_of_tests,
    st.lists(st.floats(-6, 6), min_size=5, max_size=5),
    st.floats(0.001, 0.5),
)
@settings(max_examples=100, deadline=None)
def test_the_sequential_p_value_is_at_most_alpha_exactly_where_the_boundary_is_crossed(
    fractions: list[float], spending: SpendingFunction, sides: Sides, values: list[float], alpha: float
) -> None:
    z = values[: len(fractions)]
    p = sequential_p_value(z, fractions, spending, sides=sides)
    if abs(p / alpha - 1) > 1e-6:
        assert crosses(z, spending_boundary(fractions, spending, alpha, sides=sides)) == (p <= alpha)


def test_the_sequential_p_value_of_one_look_is_the_ordinary_one() -> None:
    assert sequential_p_value([2.3], [1.0], OBF) == pytest.approx(2 * norm.sf(2.3), rel=1e-8)
    assert sequential_p_value([-2.3], [1.0], OBF, sides=1) == pytest.approx(norm.cdf(2.3), rel=1e-8)
    assert sequential_p_value([9.0], [1.0], OBF) == pytest.approx(2 * norm.sf(9.0), rel=1e-6)


def test_a_sequential_p_value_is_uniform_or_larger_without_effect() -> None:
    fractions = np.array([0.3, 0.6, 1.0])
    rng = np.random.default_rng(4)
    steps = rng.standard_normal((1500, 3)) * np.sqrt(np.diff(fractions, prepend=0))
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    p = np.array([sequential_p_value(list(row), list(fractions), POCOCK) for row in z])
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() == pytest.approx(level, abs=3 * math.sqrt(level * (1 - level) / 1500))


def test_extreme_statistics_have_a_p_value_too() -> None:
    assert 0 < sequential_p_value([50.0, 60.0], [0.5, 1.0], OBF, sides=1) < 1e-80
    assert sequential_p_value([-50.0], [0.5], OBF, sides=1) == 1.0
    assert sequential_p_value([0.0], [1.0], OBF) == 1.0
    # An information fraction a rounding away from 1 is no obstacle.
    assert sequential_p_value([7.1], [1 - 1e-16], OBF, sides=1) == pytest.approx(norm.sf(7.1), rel=1e-3)
    # Errors near 1 leave next to no paths to spend on at the second look.
    assert 0.5 < sequential_p_value([0.0, 0.0], [1 / 3, 1.0], HSD, sides=1) < 0.51
    eager = SpendingFunction("hwang-shih-decani", 1.0)
    assert sequential_p_value([-3.0, -3.0], [1 / 3, 1.0], eager, sides=1) == pytest.approx(0.9987, abs=1e-3)


@pytest.mark.parametrize(
    ("fractions", "words"),
    [([], "at least one look"), ([0.5, 0.4], "order"), ([0.5, 0.50001], "order"), ([0.0, 1.0], "order")],
)
def test_looks_out_of_order_are_refused(fractions: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spending_boundary(fractions, OBF)


def test_what_is_no_boundary_is_refused() -> None:
    with pytest.raises(ValueError, match="2 critical values for 1 looks"):
        supplied_boundary([1.0], [2.0, 2.0])
    with pytest.raises(ValueError, match="positive"):
        supplied_boundary([0.5, 1.0], [-1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        supplied_boundary([0.5, 1.0], [math.inf, 2.0])
    with pytest.raises(ValueError, match="past"):
        spending_boundary([1.0], OBF, past_critical_z=[2.0, 2.0])
    with pytest.raises(ValueError, match="sides"):
        spending_boundary([1.0], OBF, sides=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shape"):
        wang_tsiatis_boundary([1.0], shape=0.7)
    with pytest.raises(ValueError, match="alpha"):
        spending_boundary([1.0], OBF, 2.0)
    with pytest.raises(ValueError, match="one finite statistic"):
        sequential_p_value([1.0, math.nan], [0.5, 1.0], OBF)
    with pytest.raises(ValueError, match="one finite statistic"):
        sequential_p_value([1.0], [0.5, 1.0], OBF)
