"""Spreads: N times the squared standard error, held to simulated estimates."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from promptarena.stats.spread import (
    Spread,
    clustered_factor,
    cuped_factor,
    mean_spread,
    prediction_powered_factor,
    quantile_spread,
    rate_spread,
    win_rate_spread,
)

RUNS = 4000


def simulated(estimates: NDArray[np.float64], units: int) -> float:
    return units * float(estimates.var(ddof=1))


def close(spread: float) -> object:
    # A variance of 4,000 estimates has a relative error of sqrt(2 / 4000) = 2.2%.
    return pytest.approx(spread, rel=0.09)


def test_of_rates() -> None:
    rng = np.random.default_rng(1)
    control, treatment = rng.binomial(600, 0.3, RUNS) / 600, rng.binomial(200, 0.4, RUNS) / 200
    spread = rate_spread(0.3, 0.4, (0.75, 0.25))
    assert simulated(treatment - control, 800) == close(spread.alternative)
    pooled = 0.75 * 0.3 + 0.25 * 0.4
    assert spread.null == pytest.approx(pooled * (1 - pooled) * (1 / 0.75 + 1 / 0.25))


def test_of_means_and_a_relative_margin() -> None:
    rng = np.random.default_rng(2)
    control = 3 + 2.0 * rng.standard_normal(RUNS) / math.sqrt(120)
    treatment = 3 + 5.0 * rng.standard_normal(RUNS) / math.sqrt(80)
    spread = mean_spread(2.0, (0.6, 0.4), treatment_sd=5.0, control_scale=1.1)
    assert simulated(treatment - 1.1 * control, 200) == close(spread.alternative)
    assert spread.null == spread.alternative


def test_of_quantiles() -> None:
    rng = np.random.default_rng(3)
    density = 0.05  # of a unit exponential at its .95 quantile
    arms = np.quantile(rng.exponential(size=(2, RUNS, 1000)), 0.95, axis=2)
    assert simulated(arms[0] - arms[1], 2000) == close(quantile_spread(0.95, density).alternative)


@pytest.mark.parametrize(("win_rate", "ties"), [(0.5, 0.3), (0.65, 0.2), (0.9, 0.0)])
def test_of_win_rates(win_rate: float, ties: float) -> None:
    rng = np.random.default_rng(4)
    wins = win_rate - ties / 2
    counts = rng.multinomial(300, [wins, ties, 1 - wins - ties], size=RUNS)
    estimates = (counts[:, 0] + counts[:, 1] / 2) / 300
    assert simulated(estimates, 300) == close(win_rate_spread(win_rate, ties).alternative)
    assert win_rate_spread(win_rate, ties).null == win_rate_spread(0.5, ties).alternative


def test_rows_of_a_unit_that_agree_say_less() -> None:
    rng = np.random.default_rng(5)
    shared = rng.standard_normal((RUNS, 1)) * math.sqrt(0.4)
    means = (shared + rng.standard_normal((RUNS, 5)) * math.sqrt(0.6)).mean(axis=1)
    assert means.var(ddof=1) == close(clustered_factor(5, 0.4))
    assert clustered_factor(1, 0.4) == 1


def test_a_covariate_takes_its_share_of_variance() -> None:
    rng = np.random.default_rng(6)
    covariate = rng.standard_normal(20_000)
    values = 0.7 * covariate + math.sqrt(1 - 0.49) * rng.standard_normal(20_000)
    assert (values - 0.7 * covariate).var() == pytest.approx(cuped_factor(0.7), rel=0.05)


def test_predictions_help_as_much_as_they_agree() -> None:
    rng = np.random.default_rng(7)
    labelled, unlabelled = 100, 400
    predictions = rng.standard_normal((RUNS, labelled + unlabelled))
    labels = 0.8 * predictions[:, :labelled] + 0.6 * rng.standard_normal((RUNS, labelled))
    tuned = 0.8 * unlabelled / (labelled + unlabelled)
    estimates = labels.mean(axis=1) + tuned * (
        predictions[:, labelled:].mean(axis=1) - predictions[:, :labelled].mean(axis=1)
    )
    factor = prediction_powered_factor(0.8, labelled / (labelled + unlabelled))
    assert simulated(estimates, labelled) == close(factor)
    assert prediction_powered_factor(0.8, 1.0) == pytest.approx(1)


def test_a_factor_scales_both() -> None:
    assert Spread(2.0, 3.0).times(0.5) == Spread(1.0, 1.5)


@pytest.mark.parametrize(
    "refused",
    [
        lambda: rate_spread(0.0, 0.5),
        lambda: rate_spread(0.5, 1.0),
        lambda: rate_spread(math.nan, 0.5),
        lambda: rate_spread(0.5, 0.5, (0.7, 0.7)),
        lambda: mean_spread(0.0),
        lambda: mean_spread(math.nan),
        lambda: mean_spread(1.0, (0.0, 1.0)),
        lambda: quantile_spread(1.0, 1.0),
        lambda: quantile_spread(0.5, 0.0),
        lambda: win_rate_spread(0.9, 0.3),
        lambda: win_rate_spread(0.5, 1.0),
        lambda: win_rate_spread(1.0),
        lambda: clustered_factor(0.5, 0.1),
        lambda: clustered_factor(5, 1.1),
        lambda: cuped_factor(1.0),
        lambda: prediction_powered_factor(0.5, 0.0),
    ],
)
def test_arguments_out_of_range_are_refused(refused: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        refused()
