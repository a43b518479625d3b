"""Bets on a bounded mean gain nothing under the null, whatever the dependence, and stop duels early."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Calibration

from promptarena.stats.betting import log_wealth_above, log_wealth_below, mean_bounds
from promptarena.stats.line_crossing import crossing_distance, crossing_rate

Vector = NDArray[np.float64]

duel_scores = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), max_size=60)


def _wealth_by_definition(scores: list[float], mean: float, alpha: float, planned: int | None) -> float:
    wealth, total, squares, gained = 1.0, 0.5, 0.25, 0.0
    for i, score in enumerate(scores, start=1):
        if planned is None:
            stake = math.sqrt(2 * math.log(1 / alpha) / (squares / i * i * math.log(i + 1)))
        else:
            unit, taken = math.sqrt(squares / i * planned), (i - 1) / planned
            distance = max(crossing_distance(alpha, 0.75) + 0.75 * taken - gained / unit, 0.0)
            stake = float(crossing_rate(distance, 0.75, max(1 - taken, 1 / planned))) / unit
        wealth *= 1 + min(stake, (0.5 if planned is None else 0.75) / mean) * (score - mean)
        gained += score - mean
        total += score
        squares += (score - total / (i + 1)) ** 2
    return wealth


@given(scores=duel_scores.filter(bool), mean=st.floats(0.05, 0.95), planned=st.sampled_from([None, 40]))
def test_wealth_follows_its_definition_score_by_score(
    scores: list[float], mean: float, planned: int | None
) -> None:
    direct = _wealth_by_definition(scores, mean, 0.05, planned)
    log_wealth = log_wealth_above(scores, mean, alpha=0.05, planned=planned)
    assert log_wealth[-1] == pytest.approx(math.log(direct), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("planned", [None, 9])
@pytest.mark.parametrize("mean", [0.1, 0.5, 0.8])
def test_no_wealth_is_expected_at_the_null_mean(mean: float, planned: int | None) -> None:
    paths = np.array(list(itertools.product([0.0, 1.0], repeat=9)))
    chances = np.prod(np.where(paths == 1, mean, 1 - mean), axis=1)
    wealth = [math.exp(log_wealth_above(path, mean, alpha=0.05, planned=planned)[-1]) for path in paths]
    assert chances @ wealth == pytest.approx(1.0, abs=1e-12)


@given(scores=duel_scores, mean=st.floats(0.0, 0.9))
def test_wealth_falls_as_the_null_mean_rises(scores: list[float], mean: float) -> None:
    near = log_wealth_above(scores, mean, alpha=0.05)
    far = log_wealth_above(scores, min(mean + 0.05, 0.95), alpha=0.05)
    assert (far <= near + 1e-12).all()


@given(scores=duel_scores, alpha=st.floats(0.001, 0.3))
def test_bounds_are_where_the_wealth_has_reached_its_limit(scores: list[float], alpha: float) -> None:
    low, high = mean_bounds(scores, alpha=alpha)
    assert 0 <= low <= 1
    assert 0 <= high <= 1
    target = math.log(2 / alpha)
    if 0 < low < 1:
        assert log_wealth_above(scores, low, alpha=alpha / 2).max() == pytest.approx(target, abs=1e-6)
    if 0 < high < 1:
        assert log_wealth_below(scores, high, alpha=alpha / 2).max() == pytest.approx(target, abs=1e-6)


@given(scores=duel_scores, planned=st.sampled_from([60, 30]), alpha=st.sampled_from([0.05, 0.01, 0.2]))
def test_of_a_planned_duel_every_mean_beyond_a_bound_was_once_refused(
    scores: list[float], planned: int, alpha: float
) -> None:
    low, high = mean_bounds(scores, alpha=alpha, planned=planned)
    target = math.log(2 / alpha) - 1e-9
    for mean in np.linspace(0, 0.99, 100).tolist():
        if mean < low:
            assert log_wealth_above(scores, mean, alpha=alpha / 2, planned=planned).max() >= target
        if 1 - mean > high:
            assert log_wealth_below(scores, 1 - mean, alpha=alpha / 2, planned=planned).max() >= target


@given(scores=duel_scores)
def test_swapping_winners_and_losers_mirrors_the_bounds(scores: list[float]) -> None:
    low, high = mean_bounds(scores, alpha=0.05, planned=60)
    assert mean_bounds([1 - score for score in scores], alpha=0.05, planned=60) == pytest.approx(
        (1 - high, 1 - low), abs=1e-9
    )


def test_scores_that_are_all_alike_bound_one_side() -> None:
    assert mean_bounds([], alpha=0.05) == (0.0, 1.0)
    assert mean_bounds([0.0] * 100, alpha=0.05)[0] == 0.0
    low, high = mean_bounds([1.0] * 100, alpha=0.05)
    assert 0.9 < low < 1
    assert high == 1.0


@pytest.mark.parametrize("bad", [[1.1], [-0.1], [math.nan], [[0.5]]])
def test_what_is_not_a_score_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="scores"):
        mean_bounds(bad, alpha=0.05)


def test_a_null_an_error_or_a_plan_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="null mean"):
        log_wealth_above([1.0], 1.0, alpha=0.05)
    with pytest.raises(ValueError, match="alpha"):
        log_wealth_above([1.0], 0.5, alpha=1.0)
    with pytest.raises(ValueError, match="planned"):
        log_wealth_above([1.0], 0.5, alpha=0.05, planned=0)


def _duels(rng: np.random.Generator, win_rate: float, consistency: float, trials: int) -> Vector:
    """One score a case: the judge is swap-consistent, or contradicts itself and the case is a tie."""
    wins = (rng.random((trials, 200)) < win_rate).astype(np.float64)
    return np.where(rng.random((trials, 200)) < consistency, wins, 0.5)


def _stopping(duels: Vector, alpha: float, planned: int | None) -> tuple[float, float, float]:
    """Share that ever decide for the first side, share that ever decide at all, mean share of cases used."""
    limit, cases = math.log(1 / alpha), duels.shape[1]
    better = decided = used = 0.0
    for scores in duels:
        above = log_wealth_above(scores, 0.5, alpha=alpha, planned=planned) >= limit
        below = log_wealth_below(scores, 0.5, alpha=alpha, planned=planned) >= limit
        either = above | below
        better += bool(above.any())
        decided += bool(either.any())
        used += (int(either.argmax()) + 1 if either.any() else cases) / cases
    return better / len(duels), decided / len(duels), used / len(duels)


def _fixed_power(duels: Vector) -> float:
    n = duels.shape[1]
    z = (duels.mean(axis=1) - 0.5) / (duels.std(axis=1, ddof=1) / math.sqrt(n))
    return float((z > 1.959964).mean())


def test_a_planned_duel_keeps_power_with_half_of_the_cases() -> None:
    duels = _duels(np.random.default_rng(3), 0.65, 1.0, trials=1000)
    better, _, used = _stopping(duels, 0.025, planned=200)
    assert better >= _fixed_power(duels) - 0.05
    assert used <= 0.50


@pytest.mark.parametrize("planned", [None, 200])
def test_peeking_at_an_even_duel_errs_no_more_often_than_declared(planned: int | None) -> None:
    duels = _duels(np.random.default_rng(5), 0.5, 0.8, trials=1000)
    _, decided, _ = _stopping(duels, 0.025, planned=planned)
    assert decided <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1000)


@pytest.mark.slow
@pytest.mark.parametrize("consistency", [0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_calibration_of_early_stopped_duels(consistency: float, calibration: Calibration) -> None:
    rng, trials = np.random.default_rng(13), 20_000
    error = math.sqrt(0.05 * 0.95 / trials)
    for planned in (None, 200):
        _, decided, _ = _stopping(_duels(rng, 0.5, consistency, trials), 0.025, planned)
        calibration.record(
            "Early-stopped duels by a betting sequence",
            f"200 cases, swap consistency {consistency:g}, {'planned' if planned else 'open-ended'}",
            "type I error",
            nominal=0.05,
            observed=decided,
            runs=trials,
            seed=13,
            bound="at most",
        )
        assert decided <= 0.05 + 2 * error
    duels = _duels(rng, 0.65, consistency, trials // 4)
    better, _, used = _stopping(duels, 0.025, planned=200)
    fixed = _fixed_power(duels)
    for figure, nominal, observed in (
        ("power at win rate .65; nominal: looked at once", fixed, better),
        ("share of the cases used at win rate .65", None, used),
    ):
        calibration.record(
            "Early-stopped duels by a betting sequence",
            f"200 cases, swap consistency {consistency:g}, planned",
            figure,
            nominal=nominal,
            observed=observed,
            runs=len(duels),
            seed=13,
            bound="at least" if nominal else "beside",
            slack=0.10 if nominal else 0.0,
        )
    assert better >= fixed - 0.10


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("rate", [0.5, 0.05])
def test_calibration_of_coverage_up_to_100_000_scores(
    rate: float, alpha: float, calibration: Calibration
) -> None:
    rng, trials = np.random.default_rng(17), 2000
    for planned in (None, 10_000):
        missed = 0
        for _ in range(trials):
            scores = (rng.random(100_000) < rate).astype(np.float64)
            above = log_wealth_above(scores, rate, alpha=alpha / 2, planned=planned).max()
            below = log_wealth_below(scores, rate, alpha=alpha / 2, planned=planned).max()
            missed += max(above, below) >= math.log(2 / alpha)
        error = math.sqrt(alpha * (1 - alpha) / trials)
        calibration.record(
            "Betting sequences for a mean in [0, 1]",
            f"rate {rate:g}, all of 100,000 looks, {'planned for 10,000' if planned else 'open-ended'}, alpha {alpha:g}",
            "ever misses",
            nominal=alpha,
            observed=missed / trials,
            runs=trials,
            seed=17,
            bound="at most",
        )
        assert missed / trials <= alpha + 2 * error
