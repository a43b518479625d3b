"""Sample sizes: agreed figures, outside calculators, inverses of one another, simulated power."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from promptarena.stats.group_sequential import spending_boundary
from promptarena.stats.power import (
    achieved_power,
    detectable_effect,
    shared_power,
    units_needed,
    whole_weeks,
)
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.spread import Spread, mean_spread, rate_spread, win_rate_spread

FOUR_LOOKS = spending_boundary([0.25, 0.5, 0.75, 1.0], SpendingFunction(), 0.05)


def in_pairs(units: float) -> int:
    return 2 * math.ceil(units / 2)


def test_rates_need_the_agreed_numbers() -> None:
    assert in_pairs(units_needed(0.05, rate_spread(0.60, 0.65))) == 2942
    assert in_pairs(units_needed(0.02, rate_spread(0.60, 0.62))) == 18672
    assert in_pairs(units_needed(0.05, rate_spread(0.60, 0.65), boundary=FOUR_LOOKS)) == 3000


@pytest.mark.parametrize("ratio", [1.0, 0.25])
@pytest.mark.parametrize(("control", "difference"), [(0.6, 0.05), (0.05, 0.01), (0.3, -0.1)])
def test_rates_equal_an_outside_calculator(control: float, difference: float, ratio: float) -> None:
    # Its first sample is the treatment, its ratio that of the second to the first.
    treated = samplesize_proportions_2indep_onetail(
        difference,
        control,
        0.85,
        ratio=1 / ratio,
        alpha=0.025,
        alternative="larger" if difference > 0 else "smaller",
    )
    shares = (1 / (1 + ratio), ratio / (1 + ratio))
    units = units_needed(difference, rate_spread(control, control + difference, shares), power=0.85)
    assert units * shares[1] == pytest.approx(treated, rel=1e-6)


@pytest.mark.parametrize("sides", [1, 2])
def test_means_equal_an_outside_calculator(sides: int) -> None:
    one_arm = NormalIndPower().solve_power(
        effect_size=0.3, alpha=0.05, power=0.9, alternative="two-sided" if sides == 2 else "larger"
    )
    units = units_needed(0.6, mean_spread(2.0), power=0.9, sides=2 if sides == 2 else 1)
    assert units == pytest.approx(2 * one_arm, rel=1e-5)


def test_guardrails_share_the_chance_to_miss() -> None:
    assert shared_power(0.8, 0) == pytest.approx(0.8)
    assert shared_power(0.8, 3) == pytest.approx(0.95)


def test_a_duel_needs_fewer_cases_with_ties() -> None:
    assert units_needed(0.1, win_rate_spread(0.6, 0.3)) < units_needed(0.1, win_rate_spread(0.6))


effects = st.floats(0.005, 0.3)
powers = st.floats(0.1, 0.99)


@given(effects, powers, st.booleans())
@settings(max_examples=30, deadline=None)
def test_power_and_effect_give_back_what_the_size_was_for(effect: float, power: float, looks: bool) -> None:
    boundary = FOUR_LOOKS if looks else None

    def spread(size: float) -> Spread:
        return rate_spread(0.6, 0.6 + size)

    units = units_needed(effect, spread(effect), power=power, boundary=boundary)
    assert achieved_power(effect, spread(effect), units, boundary=boundary) == pytest.approx(power, abs=1e-7)
    found = detectable_effect(spread, units, most=0.4, power=power, boundary=boundary)
    assert found == pytest.approx(effect, rel=1e-6)


@given(effects, powers, st.floats(1.01, 3))
@settings(max_examples=30, deadline=None)
def test_more_is_asked_more_is_needed(effect: float, power: float, factor: float) -> None:
    spread = mean_spread(1.0)
    base = units_needed(effect, spread, power=power)
    assert units_needed(effect * factor, spread, power=power) == pytest.approx(base / factor**2)
    assert units_needed(effect, spread.times(factor), power=power) == pytest.approx(base * factor)
    assert units_needed(effect, spread, power=power, alpha=0.05 / factor) > base
    assert units_needed(effect, spread, power=power, boundary=FOUR_LOOKS) > base


def test_power_has_its_ends() -> None:
    spread = mean_spread(1.0)
    assert achieved_power(1e-6, spread, 10) == pytest.approx(0.025, abs=1e-4)
    assert achieved_power(5.0, spread, 1e6) == pytest.approx(1.0)
    assert achieved_power(1e-6, spread, 10, boundary=FOUR_LOOKS) == pytest.approx(0.025, abs=1e-4)


def test_an_effect_that_no_rate_can_have_is_not_found() -> None:
    assert detectable_effect(lambda size: rate_spread(0.99, 0.99 + size), 50, most=0.01) is None


def test_planned_rates_have_the_planned_power() -> None:
    n = 1471
    rng = np.random.default_rng(8)
    control, treatment = rng.binomial(n, 0.60, 40_000) / n, rng.binomial(n, 0.65, 40_000) / n
    error = np.sqrt((control * (1 - control) + treatment * (1 - treatment)) / n)
    found = ((treatment - control) / error >= 1.959964).mean()
    assert found == pytest.approx(0.8, abs=0.005 + 3 * math.sqrt(0.16 / 40_000))


@pytest.mark.parametrize(
    ("units", "daily", "days"),
    [
        (700, [100], 7),
        (701, [100], 14),
        (1, [100], 7),
        (3000, [100, 100, 100, 100, 100, 10, 10], 42),
        (520, [0, 0, 0, 0, 0, 0, 520], 7),
    ],
)
def test_time_is_counted_in_whole_weeks(units: float, daily: list[float], days: int) -> None:
    assert whole_weeks(units, daily) == days


@pytest.mark.parametrize(
    "refused",
    [
        lambda: units_needed(0.0, mean_spread(1.0)),
        lambda: units_needed(math.nan, mean_spread(1.0)),
        lambda: units_needed(0.1, Spread(0.0, 0.0)),
        lambda: units_needed(0.1, mean_spread(1.0), power=0.02),
        lambda: units_needed(0.1, mean_spread(1.0), power=1.0),
        lambda: units_needed(0.1, mean_spread(1.0), alpha=1.0),
        lambda: achieved_power(0.1, mean_spread(1.0), 0),
        lambda: detectable_effect(lambda _: mean_spread(1.0), math.inf),
        lambda: shared_power(1.0, 0),
        lambda: shared_power(0.8, -1),
        lambda: whole_weeks(10, [1, 2]),
        lambda: whole_weeks(10, [0]),
        lambda: whole_weeks(10, [-1]),
    ],
)
def test_questions_without_an_answer_are_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        refused()
