"""The score test of two rates equals statsmodels', and errs as it says where events are rare and arms unequal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import xlogy
from scipy.stats import binom
from statsmodels.stats.proportion import test_proportions_2indep as score_oracle
from tests.calibration import Calibration

from promptarena.stats.effects import Effect, rate_estimate
from promptarena.stats.rate_contrasts import RateCounts, margin_rate_contrast
from promptarena.stats.rate_restricted import log_likelihood, rates_at_bound
from promptarena.stats.rate_score import rate_score

_COUNTS = [
    (600, 1_000, 650, 1_000),
    (3, 400, 11, 1_900),
    (0, 200, 10, 2_000),
    (95, 100, 80, 90),
    (0, 50, 0, 60),
]


@pytest.mark.filterwarnings(
    "ignore:.*divide:RuntimeWarning"
)  # the oracle computes ratios it is not asked for
@pytest.mark.parametrize("counts", _COUNTS)
def test_a_plain_difference_equals_statsmodels_score_test(counts: tuple[int, int, int, int]) -> None:
    s_c, n_c, s_t, n_t = counts
    plain = margin_rate_contrast(0.0, relative=False, higher_is_better=True)
    score = rate_score(RateCounts.of(*counts), plain)
    if s_c + s_t == 0:
        assert score.z == 0
        return
    oracle = score_oracle(s_t, n_t, s_c, n_c, compare="diff", method="score", correction=False)
    assert score.z == pytest.approx(oracle.statistic, abs=1e-6)


@pytest.mark.parametrize("counts", _COUNTS)
@pytest.mark.parametrize("margin", [0.02, 0.1])
def test_a_margin_equals_a_search_of_the_null(counts: tuple[int, int, int, int], margin: float) -> None:
    s_c, n_c, s_t, n_t = counts
    grid = np.linspace(margin, 1.0, 200_001)  # of the control's rate; the treatment's is less by the margin
    arms = (s_c, n_c - s_c, s_t, n_t - s_t)
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = (
            xlogy(arms[0], grid) + xlogy(arms[1], 1 - grid)
            + xlogy(arms[2], grid - margin) + xlogy(arms[3], 1 - grid + margin)
        )  # fmt: skip
    p = grid[np.argmax(likelihood)]
    q = p - margin
    z = (s_t / n_t - s_c / n_c + margin) / math.sqrt(p * (1 - p) / n_c + q * (1 - q) / n_t)
    contrast = margin_rate_contrast(margin, relative=False, higher_is_better=True)
    assert rate_score(RateCounts.of(*counts), contrast).z == pytest.approx(z, abs=1e-3)


@pytest.mark.parametrize("counts", _COUNTS[:4])
def test_a_ratio_margin_equals_statsmodels_score_test(counts: tuple[int, int, int, int]) -> None:
    s_c, n_c, s_t, n_t = counts
    score = rate_score(
        RateCounts.of(*counts), margin_rate_contrast(0.1, relative=True, higher_is_better=True)
    )
    if s_c == 0:
        assert score.z is not None
        return
    oracle = score_oracle(s_t, n_t, s_c, n_c, value=0.9, compare="ratio", method="score", correction=False)
    assert score.z is not None
    assert 2 * 0.5 * math.erfc(abs(score.z) / math.sqrt(2)) == pytest.approx(oracle.pvalue, abs=2e-4)


@pytest.mark.parametrize("margin", [0.03, 0.2])
@pytest.mark.parametrize("relative", [False, True])
def test_restricted_rates_are_the_best_on_the_edge(margin: float, relative: bool) -> None:
    contrast = margin_rate_contrast(margin, relative=relative, higher_is_better=False)
    arms = (40.0, 160.0, 30.0, 90.0)
    p, q = rates_at_bound(arms, contrast, 0.0)
    assert contrast.value(p, q) == pytest.approx(0, abs=1e-12)
    grid = np.linspace(0.0, 1.0, 4_001)
    treatment = -(contrast.offset + contrast.on_control * grid) / contrast.on_treatment
    inside = (treatment >= 0) & (treatment <= 1)
    best = max(log_likelihood(arms, c, t) for c, t in zip(grid[inside], treatment[inside], strict=True))
    assert log_likelihood(arms, p, q) >= best - 1e-9


def test_rare_events_in_unequal_arms_err_as_declared_where_the_observed_variance_does_not() -> None:
    rng = np.random.default_rng(8)
    runs, rate, n_c, n_t = 20_000, 0.005, 2_700, 300
    control, treatment = rng.binomial(n_c, rate, runs), rng.binomial(n_t, rate, runs)
    fewer_is_better = margin_rate_contrast(0.0, relative=False, higher_is_better=False)
    score_ships = wald_ships = 0
    for s_c, s_t in zip(control.tolist(), treatment.tolist(), strict=True):
        z = rate_score(RateCounts.of(s_c, n_c, s_t, n_t), fewer_is_better).z
        score_ships += z is not None and z > 1.96
        effect = Effect(rate_estimate(s_c, n_c), rate_estimate(s_t, n_t))
        wald_ships += effect.variance > 0 and -effect.z > 1.96
    assert score_ships / runs <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / runs)
    assert wald_ships / runs > 0.15


def test_an_arm_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="both arms"):
        rate_score(
            RateCounts.of(0, 0, 1, 2), margin_rate_contrast(0.0, relative=False, higher_is_better=True)
        )


def _tails(
    rate: float, n_c: int, n_t: int, critical: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Exact probabilities, without effect, to cross above and below, by the corrected and the plain score."""
    arms = [np.arange(int(binom.ppf(1e-7, n, rate)), int(binom.isf(1e-9, n, rate)) + 1) for n in (n_c, n_t)]
    plain = margin_rate_contrast(0.0, relative=False, higher_is_better=True)
    found = np.zeros((2, 2))
    for s_c in arms[0].tolist():
        for s_t in arms[1].tolist():
            p = binom.pmf(s_c, n_c, rate) * binom.pmf(s_t, n_t, rate)
            if p < 1e-12:
                continue
            score = rate_score(RateCounts.of(s_c, n_c, s_t, n_t), plain)
            for which, z in enumerate((score.even_z, score.z)):
                assert z is not None
                found[which] += p * np.array([z >= critical, z <= -critical])
    return (found[0, 0], found[0, 1]), (found[1, 0], found[1, 1])


def test_both_tails_err_alike_where_rare_events_meet_unequal_arms() -> None:
    even, plain = _tails(0.02, 900, 100, 1.96)
    assert even[0] <= 0.0255
    assert even[1] <= 0.0255
    assert plain[0] > 0.035
    early, plain_early = _tails(0.02, 900, 100, 3.5)
    assert early[0] < 2.3e-4 < plain_early[0] / 5


def test_of_equal_arms_without_a_margin_there_is_nothing_to_correct() -> None:
    plain = margin_rate_contrast(0.0, relative=False, higher_is_better=True)
    score = rate_score(RateCounts.of(3, 400, 11, 400), plain)
    assert score.even_z == pytest.approx(score.z, abs=1e-12)
    nothing = rate_score(RateCounts.of(0, 50, 0, 60), plain)
    assert nothing.even_z == 0


def test_the_correction_is_the_expansion_solved() -> None:
    plain = margin_rate_contrast(0.0, relative=False, higher_is_better=True)
    score = rate_score(RateCounts.of(20, 1_800, 6, 200), plain)
    a = score.third / score.variance**1.5 / 6
    assert score.even_z is not None
    assert score.z == pytest.approx(score.even_z + a * (score.even_z**2 - 1), rel=1e-12)
    pooled = 26 / 2_000
    third = pooled * (1 - pooled) * (1 - 2 * pooled) * (1 / 200**2 - 1 / 1_800**2)
    assert score.third == pytest.approx(third, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "n_c", "n_t"), [(0.6, 100, 100), (0.02, 500, 500), (0.005, 2_700, 300), (0.02, 900, 100)]
)
def test_calibration_of_score_tests(rate: float, n_c: int, n_t: int, calibration: Calibration) -> None:
    rng, runs = np.random.default_rng(34), 20_000
    more_is_better = margin_rate_contrast(0.0, relative=False, higher_is_better=True)
    score = wald = 0
    for s_c, s_t in zip(rng.binomial(n_c, rate, runs), rng.binomial(n_t, rate, runs), strict=True):
        z = rate_score(RateCounts.of(int(s_c), n_c, int(s_t), n_t), more_is_better).even_z
        score += z is not None and abs(z) > 1.96
        effect = Effect(rate_estimate(int(s_c), n_c), rate_estimate(int(s_t), n_t))
        wald += effect.variance > 0 and abs(effect.z) > 1.96
    setting = f"rate {rate:g}, {n_c:,} units against {n_t:,}"
    row = calibration.record(
        "Score tests of rates",
        setting,
        "type I error",
        nominal=0.05,
        observed=score / runs,
        runs=runs,
        seed=34,
        bound="at most",
        slack=0.005,
    )
    calibration.record(
        "Score tests of rates",
        setting,
        "type I error with the observed variance",
        nominal=0.05,
        observed=wald / runs,
        runs=runs,
        seed=34,
        bound="beside",
    )
    assert row.kept
