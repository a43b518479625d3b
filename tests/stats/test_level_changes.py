"""A change of level is found soon, weekly cycles and restless days are none, and watching costs nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.calibration import Calibration

from promptarena.stats.level_changes import LevelChange, level_change

WEEKLY = (0.0, 0.0, 0.0, 0.0, 0.0, -0.05, -0.05)


def _series(
    rng: np.random.Generator, days: int, *, restless: float = 1.0, shift: float = 0.0, n: int = 500
) -> list[float]:
    """Daily rates about .6 with a weekly cycle, which change by `shift` after half of the days."""
    error = math.sqrt(0.24 / n * restless)
    return [
        0.6 + WEEKLY[day % 7] + (shift if day >= days // 2 else 0.0) + error * rng.normal()
        for day in range(days)
    ]


def _watched(values: list[float], alpha: float = 0.01) -> int | None:
    """The first day on which a change would have been told."""
    seasons = [day % 7 for day in range(len(values))]
    for days in range(8, len(values) + 1):
        found = level_change(values[:days], [0.24 / 500] * days, seasons[:days])
        if found is not None and found.p_value <= alpha:
            return days
    return None


def test_the_evidence_is_the_bayes_factor_by_brute_force() -> None:
    values = [0.3, -0.4, 0.9, 0.2, 1.1]
    found = level_change(values, [1.0] * 5, [0] * 5)
    assert found is not None
    residuals = []
    for at in range(1, 5):
        residuals.append((values[at] - np.mean(values[:at])) / math.sqrt(1 + 1 / at))
    r = np.array(residuals)
    # Under 1 / scale the density in log scale is constant; shifts are normal.
    theta, log_scale = np.linspace(-7, 7, 701), np.linspace(-8, 9, 1_701)
    prior = np.exp(-(theta**2) / 2) / math.sqrt(2 * math.pi)
    scale = np.exp(log_scale)[:, None]

    def marginal(since: int) -> float:
        exponent = sum(
            (value / scale - (theta if at >= since else 0.0)) ** 2 for at, value in enumerate(r.tolist())
        )
        return float((np.exp(-0.5 * exponent) / scale**4 * prior).sum())

    null = marginal(9)
    weights = [14 / ((s + 13) * (s + 14)) for s in range(1, 5)]
    ratios = [marginal(at) / null for at in range(4)]
    total = 1 - sum(weights) + sum(w * ratio for w, ratio in zip(weights, ratios, strict=True))
    assert math.exp(found.log_e_value) == pytest.approx(total, rel=1e-4)


def test_only_the_ratios_of_variances_count_and_not_the_unit() -> None:
    values = _series(np.random.default_rng(1), 21, shift=0.06)
    seasons = [day % 7 for day in range(21)]
    plain = level_change(values, [1.0] * 21, seasons)
    scaled = level_change([v * 1e3 + 7 for v in values], [5.0] * 21, seasons)
    assert isinstance(plain, LevelChange)
    assert isinstance(scaled, LevelChange)
    assert scaled.log_e_value == pytest.approx(plain.log_e_value)
    assert (scaled.start, plain.start) == (10, 10)


def test_a_fall_of_the_control_is_found_within_days_and_dated() -> None:
    rng = np.random.default_rng(2)
    delays = []
    for _ in range(30):
        told = _watched(_series(rng, 42, shift=-0.06))
        delays.append(99 if told is None else told - 21)
    assert np.median(delays) <= 10
    values = _series(rng, 42, shift=-0.06)
    found = level_change(values, [0.24 / 500] * 42, [day % 7 for day in range(42)])
    assert found is not None
    assert abs(found.start - 21) <= 2
    assert found.after - found.before == pytest.approx(-0.06, abs=0.02)


def test_nothing_is_told_before_a_weekday_came_twice_nor_of_constant_days() -> None:
    assert level_change([0.5] * 7, [0.01] * 7, list(range(7))) is None
    constant = level_change([0.5] * 21, [0.01] * 21, [day % 7 for day in range(21)])
    assert constant is not None
    assert constant.p_value == 1.0
    with pytest.raises(ValueError, match="one length"):
        level_change([0.5], [0.01, 0.01], [0])
    with pytest.raises(ValueError, match="positive"):
        level_change([0.5, 0.5], [0.01, 0.0], [0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("restless", [1.0, 2.0, 10.0])
def test_watched_every_day_a_steady_level_is_seldom_called_changed(
    restless: float, calibration: Calibration
) -> None:
    rng = np.random.default_rng(int(restless))
    runs, alpha = 2_000, 0.05
    told = sum(_watched(_series(rng, 42, restless=restless), alpha) is not None for _ in range(runs)) / runs
    calibration.record(
        "Change of the control's level",
        f"steady for 42 days, watched daily; days vary {restless:g} times as their units say",
        "called changed",
        nominal=alpha,
        observed=told,
        runs=runs,
        seed=int(restless),
        bound="at most",
    )
    assert told <= alpha + 2 * math.sqrt(alpha * (1 - alpha) / runs)
