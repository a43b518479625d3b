"""Spending functions: ends, order, published values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from promptarena.stats.spending import FAMILIES, SpendingFunction

functions = st.builds(SpendingFunction, st.sampled_from(FAMILIES), st.floats(-8, 8))
alphas = st.floats(1e-6, 0.6)


@given(functions, alphas)
def test_nothing_is_spent_at_the_start_and_all_at_the_end(spending: SpendingFunction, alpha: float) -> None:
    assert spending.spent(alpha, 0) == 0
    assert spending.spent(alpha, 1) == alpha
    assert spending.spent(alpha, 1.7) == alpha
    assert spending.spent(alpha, 1 - 1e-12) == pytest.approx(alpha, rel=1e-6)


@given(functions, alphas, st.floats(0, 1), st.floats(0, 1))
def test_more_information_never_spends_less(
    spending: SpendingFunction, alpha: float, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    assert spending.spent(alpha, less) <= spending.spent(alpha, more)


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.9])
def test_families_equal_their_formulas(fraction: float) -> None:
    alpha = 0.025
    obrien_fleming = 2 * norm.sf(norm.isf(alpha / 2) / math.sqrt(fraction))
    assert SpendingFunction("obrien-fleming").spent(alpha, fraction) == pytest.approx(
        obrien_fleming, rel=1e-4
    )
    pocock = alpha * math.log(1 + (math.e - 1) * fraction)
    assert SpendingFunction("pocock").spent(alpha, fraction) == pytest.approx(pocock)
    hsd = alpha * (1 - math.exp(4 * fraction)) / (1 - math.exp(4))
    assert SpendingFunction("hwang-shih-decani", -4).spent(alpha, fraction) == pytest.approx(hsd)


def test_hwang_shih_decani_without_a_bend_is_a_straight_line() -> None:
    line = SpendingFunction("hwang-shih-decani", 0.0).spent(0.05, 0.3)
    assert line == pytest.approx(0.015)
    assert SpendingFunction("hwang-shih-decani", 1e-5).spent(0.05, 0.3) == pytest.approx(line, rel=1e-4)


def test_a_tiny_alpha_keeps_its_digits() -> None:
    # 2 - 2 Phi would be 0 here; sequential p-values of strong effects live in this region.
    spent = SpendingFunction("obrien-fleming").spent(1e-20, 0.5)
    assert spent == pytest.approx(2 * norm.sf(norm.isf(5e-21) / math.sqrt(0.5)), rel=1e-10)


@pytest.mark.parametrize(
    ("family", "gamma", "alpha", "fraction", "words"),
    [
        ("haybittle", -4.0, 0.05, 0.5, "one of obrien-fleming"),
        ("pocock", math.nan, 0.05, 0.5, "gamma"),
        ("pocock", 50.0, 0.05, 0.5, "gamma"),
        ("pocock", -4.0, 0.0, 0.5, "alpha"),
        ("pocock", -4.0, 1.0, 0.5, "alpha"),
        ("pocock", -4.0, 0.05, -0.1, "fraction"),
        ("pocock", -4.0, 0.05, math.nan, "fraction"),
    ],
)
def test_what_is_no_spending_is_refused(
    family: str, gamma: float, alpha: float, fraction: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        SpendingFunction(family, gamma).spent(alpha, fraction)
