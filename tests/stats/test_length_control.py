"""Length control against statsmodels, its definition, and coverage under a judge that prefers length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.special import expit
from tests.calibration import Calibration

from promptarena.stats.length_control import length_control

Vector = NDArray[np.float64]


def drawn(
    rng: np.random.Generator, cases: int, strength: float, effect: float, ties: float = 0.2
) -> tuple[Vector, Vector]:
    """Scores of a judge for whom length counts, and differences of lengths; the mean difference is not 0."""
    apart = rng.normal(60, 100, cases)
    chance = expit(strength + effect * np.tanh(apart / apart.std()))
    won = (rng.random(cases) < chance).astype(np.float64)
    # A tie keeps the mean: a case is tied for one win and one loss.
    tied = rng.random(cases) < ties
    return np.where(tied, (won + (rng.random(cases) < chance)) / 2, won), apart


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fit_is_that_of_a_binomial_glm_with_clustered_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, apart = drawn(rng, 150, 0.4, 1.1)
    clusters, weights = rng.integers(0, 40, 150), rng.uniform(0.5, 3, 150)
    design = sm.add_constant(np.tanh(apart / apart.std()))
    glm = sm.GLM(scores, design, family=sm.families.Binomial())
    fit = glm.fit(cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}, tol=1e-12)
    found = length_control(scores, apart, clusters)
    assert found is not None
    assert (found.strength, found.effect) == pytest.approx(tuple(fit.params), abs=1e-6)
    correction = found.clusters / (found.clusters - 1)
    assert found.covariance == pytest.approx(fit.cov_params() * correction, rel=1e-5)

    weighted = length_control(scores, apart, clusters, weights)
    fit = sm.GLM(scores, design, family=sm.families.Binomial(), var_weights=weights).fit(tol=1e-12)
    assert weighted is not None
    assert (weighted.strength, weighted.effect) == pytest.approx(tuple(fit.params), abs=1e-6)


def test_a_weight_of_two_is_a_case_and_its_copy_in_one_cluster() -> None:
    scores, apart = drawn(np.random.default_rng(9), 60, 0.2, 0.7)
    both = np.concatenate([apart, apart]), np.concatenate([scores, scores])
    copied = length_control(both[1], both[0], np.tile(np.arange(60), 2))
    weighted = length_control(scores, apart, None, np.full(60, 2.0))
    assert copied is not None
    assert weighted is not None
    assert copied.covariance == pytest.approx(weighted.covariance)


def test_answers_of_even_length_leave_the_win_rate_alone() -> None:
    scores = np.array([1.0, 1.0, 0.0, 0.5] * 10)
    apart = np.tile([-5.0, 5.0], 20)
    found = length_control(np.concatenate([scores, scores]), np.concatenate([apart, -apart]))
    assert found is not None
    assert found.win_rate == pytest.approx(scores.mean())
    assert found.effect == pytest.approx(0, abs=1e-9)
    assert found.effect_p_value() == pytest.approx(1)


def test_a_winner_by_length_alone_is_found_out() -> None:
    scores, apart = drawn(np.random.default_rng(4), 4000, 0.0, 2.0)
    found = length_control(scores, apart)
    assert found is not None
    assert scores.mean() > 0.6
    assert found.win_rate == pytest.approx(0.5, abs=0.03)
    assert found.effect_p_value() < 1e-6


def test_the_other_side_has_the_other_share() -> None:
    scores, apart = drawn(np.random.default_rng(5), 80, 0.3, 0.8)
    mine, theirs = length_control(scores, apart), length_control(1 - scores, -apart)
    assert mine is not None
    assert theirs is not None
    assert mine.win_rate == pytest.approx(1 - theirs.win_rate)
    assert mine.effect == pytest.approx(theirs.effect)
    low, high = mine.win_rate_interval()
    assert theirs.win_rate_interval() == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("scores", "apart"),
    [
        ([1.0, 0.0, 1.0], [1.0, 2.0, 3.0]),
        ([1.0, 0.0, 1.0, 0.0], [7.0, 7.0, 7.0, 7.0]),
        ([1.0, 1.0, 0.0, 0.0] * 3, [5.0, 6.0, -5.0, -6.0] * 3),
        ([1.0] * 9, list(range(9))),
    ],
)
def test_what_has_no_fit_has_none(scores: list[float], apart: list[float]) -> None:
    assert length_control(scores, apart) is None


@pytest.mark.parametrize(
    ("scores", "apart", "weights"),
    [([2.0], [1.0], None), ([1.0], [math.nan], None), ([1.0], [1.0, 2.0], None), ([1.0], [1.0], [0.0])],
)
def test_what_is_no_duel_is_refused(
    scores: list[float], apart: list[float], weights: list[float] | None
) -> None:
    with pytest.raises(ValueError):
        length_control(scores, apart, None, weights)


def _coverage(rng: np.random.Generator, runs: int, cases: int) -> float:
    covered = 0
    for _ in range(runs):
        found = length_control(*drawn(rng, cases, 0.5, 1.0))
        if found is None:
            continue
        low, high = found.win_rate_interval()
        covered += low <= float(expit(0.5)) <= high
    return covered / runs


def test_intervals_cover_the_win_rate_at_one_length() -> None:
    assert _coverage(np.random.default_rng(6), 500, 100) == pytest.approx(0.95, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("cases", [40, 100, 400])
def test_calibration_of_length_controlled_win_rates(cases: int, calibration: Calibration) -> None:
    runs = 2000
    assert calibration.record(
        "Length-controlled win rate", f"{cases} cases, a judge that prefers length, 20% ties", "coverage",
        nominal=0.95, observed=_coverage(np.random.default_rng(7), runs, cases), runs=runs, seed=7,
        slack=0.015 if cases < 100 else 0.005,
    ).kept  # fmt: skip
