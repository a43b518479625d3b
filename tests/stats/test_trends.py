"""Slopes equal least squares, age contrasts equal paired differences, and neither cries wolf when watched."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from tests.calibration import Calibration

from promptarena.stats.effects import Effect, Estimate, mean_estimate, rate_estimate
from promptarena.stats.moments import Moments
from promptarena.stats.trends import age_trend, cohort_trend


def _days(rng: np.random.Generator, lifts: list[float], n: int = 200) -> list[Effect]:
    return [
        Effect(
            mean_estimate(Moments.from_values(rng.normal(5, 2, n))),
            mean_estimate(Moments.from_values(rng.normal(5 + lift, 2, n // 2))),
        )
        for lift in lifts
    ]


def test_the_slope_is_that_of_weighted_least_squares() -> None:
    rng = np.random.default_rng(1)
    effects = _days(rng, [0.5 - 0.05 * day for day in range(10)])
    effects[3] = _days(rng, [0.2], n=40)[0]
    trend = cohort_trend(range(10), effects, alpha=0.05)
    assert trend is not None
    weights = [e.control.n * e.treatment.n / (e.control.n + e.treatment.n) for e in effects]
    fit = sm.WLS([e.difference for e in effects], sm.add_constant(np.arange(10.0)), weights=weights).fit()
    assert trend.change == pytest.approx(fit.params[1], rel=1e-10)
    assert (trend.first, trend.last) == pytest.approx((fit.params[0], fit.params[0] + 9 * fit.params[1]))


def test_its_error_is_that_of_repeated_trials() -> None:
    rng = np.random.default_rng(2)
    found = [cohort_trend(range(6), _days(rng, [0.3] * 6, n=60), alpha=0.05) for _ in range(1_500)]
    slopes = [trend.change for trend in found if trend]
    claimed = np.mean([trend.standard_error for trend in found if trend])
    assert np.std(slopes) == pytest.approx(claimed, rel=0.06)


def test_a_rare_event_on_thin_days_is_no_trend() -> None:
    # Most days have no event at all: of a day alone the variance would be known to be zero.
    rng = np.random.default_rng(3)
    runs, flagged = 400, 0
    for _ in range(runs):
        effects = [
            Effect(rate_estimate(rng.binomial(900, 0.005), 900), rate_estimate(rng.binomial(100, 0.005), 100))
            for _ in range(14)
        ]
        trend = cohort_trend(range(14), effects, alpha=0.05)
        flagged += trend is not None and trend.p_value <= 0.05
    assert flagged / runs <= 0.05


def test_too_little_is_not_told() -> None:
    rng = np.random.default_rng(4)
    assert cohort_trend([0, 1], _days(rng, [0, 0]), alpha=0.05) is None
    assert cohort_trend(range(3), _days(rng, [0, 0, 0], n=30), alpha=0.05) is None
    still = Effect(Estimate(1.0, 0.0, 99, 100), Estimate(1.0, 0.0, 99, 100))
    assert cohort_trend(range(3), [still] * 3, alpha=0.05) is None
    with pytest.raises(ValueError, match="3 days for 2 effects"):
        cohort_trend(range(3), _days(rng, [0, 0]), alpha=0.05)


def _lives(rng: np.random.Generator, n: int, early: float, late: float) -> tuple[Moments, Moments]:
    """Early and late values of units, which resemble one another within a unit."""
    arms = []
    for lift in ((0.0, 0.0), (early, late)):
        own = rng.normal(0, 1, n)
        arms.append(Moments.from_values(np.column_stack([own + rng.normal(e, 1, n) for e in lift])))
    return arms[0], arms[1]


def test_the_age_contrast_is_that_of_each_units_own_difference() -> None:
    rng = np.random.default_rng(5)
    early, late = rng.normal(1, 1, (2, 300)), rng.normal(1, 2, (2, 300))
    early[1] += 0.5
    arms = [Moments.from_values(np.column_stack([early[arm], late[arm]])) for arm in (0, 1)]
    trend = age_trend([(arms[0], arms[1])], alpha=0.05)
    assert trend is not None
    own = [late[arm] - early[arm] for arm in (0, 1)]
    assert trend.change == pytest.approx(own[1].mean() - own[0].mean())
    assert trend.standard_error == pytest.approx(np.sqrt(sum(each.var(ddof=1) / 300 for each in own)))
    assert trend.change == pytest.approx(trend.last - trend.first)


def test_novelty_is_found_and_epochs_are_not_mixed() -> None:
    rng = np.random.default_rng(6)
    novel = age_trend([_lives(rng, 3_000, 0.3, 0.0)], alpha=0.05)
    assert novel is not None
    assert novel.p_value < 0.01
    # The second epoch is three times as late-heavy in both arms: no trend of the effect.
    a, b = _lives(rng, 300, 0.2, 0.2), _lives(rng, 3_000, 0.2, 0.2)
    shifted = [Moments(m.n, m.mean + np.array([0.0, 3.0]), m.comoments) for m in b]
    mixed = age_trend([a, (shifted[0], shifted[1])], alpha=0.05)
    assert mixed is not None
    assert abs(mixed.change) < 4 * mixed.standard_error
    assert age_trend([_lives(rng, 60, 0, 0)], alpha=0.05) is None


@pytest.mark.slow
def test_watched_every_day_a_lasting_effect_is_seldom_called_a_trend(calibration: Calibration) -> None:
    rng = np.random.default_rng(7)
    runs, alpha, found, seen = 2_000, 0.05, 0, 0
    for _ in range(runs):
        steady, fading = _days(rng, [0.4] * 28, n=100), _days(rng, [0.6 - 0.03 * d for d in range(28)], n=400)
        for effects, is_null in ((steady, True), (fading, False)):
            flagged = any(
                trend.p_value <= alpha
                for day in range(3, 29)
                if (trend := cohort_trend(range(day), effects[:day], alpha=alpha))
            )
            found, seen = found + (flagged and is_null), seen + (flagged and not is_null)
    calibration.record(
        "Novelty and primacy",
        "a lasting effect over 28 cohorts, watched daily",
        "called a trend",
        nominal=alpha,
        observed=found / runs,
        runs=runs,
        seed=7,
        bound="at most",
    )
    calibration.record(
        "Novelty and primacy",
        "an effect that falls from .6 to below 0 over 28 cohorts",
        "trend found",
        nominal=0.8,
        observed=seen / runs,
        runs=runs,
        seed=7,
        bound="at least",
    )
    assert found / runs <= alpha + 2 * np.sqrt(alpha * (1 - alpha) / runs)
    assert seen / runs > 0.8


@pytest.mark.slow
def test_watched_every_day_lives_without_novelty_are_seldom_called_novel(calibration: Calibration) -> None:
    rng = np.random.default_rng(8)
    runs, alpha, found = 2_000, 0.05, 0
    for _ in range(runs):
        days = [_lives(rng, 80, 0.2, 0.2) for _ in range(28)]
        sums = [days[0]]
        for control, treatment in days[1:]:
            sums.append((sums[-1][0] + control, sums[-1][1] + treatment))
        found += any(
            trend.p_value <= alpha for pair in sums if (trend := age_trend([pair], alpha=alpha)) is not None
        )
    calibration.record(
        "Novelty and primacy",
        "lives without novelty, 28 days, watched daily",
        "called novel",
        nominal=alpha,
        observed=found / runs,
        runs=runs,
        seed=8,
        bound="at most",
    )
    assert found / runs <= alpha + 2 * np.sqrt(alpha * (1 - alpha) / runs)
