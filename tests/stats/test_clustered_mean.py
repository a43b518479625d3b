"""Clustered means against statsmodels, a pairwise definition and simulated coverage; variance parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from tests.calibration import Calibration

from promptarena.stats.clustered_mean import clustered_mean, variance_parts
from promptarena.stats.effects import critical


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_errors_equal_those_of_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 12, 70)
    values, weights = rng.normal(size=70) + clusters / 4, rng.uniform(0.3, 4, 70)
    fit = sm.WLS(values, np.ones(70), weights=weights).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    found = clustered_mean(values, clusters, weights)
    assert found.value == pytest.approx(float(fit.params[0]))
    assert found.variance == pytest.approx(float(fit.bse[0]) ** 2)
    assert found.df == len(np.unique(clusters)) - 1


def test_the_variance_is_the_covariances_of_all_pairs_that_share_a_cluster() -> None:
    rng = np.random.default_rng(4)
    clusters, values = np.repeat(np.arange(6), [1, 2, 3, 1, 4, 2]), rng.normal(size=13)
    centred = values - values.mean()
    pairs = sum(centred[i] * centred[j] for i in range(13) for j in range(13) if clusters[i] == clusters[j])
    assert clustered_mean(values, clusters).variance == pytest.approx(pairs / 13**2 * 6 / 5)


def test_without_clusters_it_is_the_error_of_a_mean() -> None:
    values = np.random.default_rng(5).normal(size=30)
    assert clustered_mean(values).variance == pytest.approx(values.var(ddof=1) / 30)


@pytest.mark.parametrize(
    ("values", "clusters", "weights"),
    [([], None, None), ([1.0], None, None), ([1.0, 2.0], [1, 1], None), ([1.0, math.nan], None, None),
     ([1.0, 2.0], None, [1.0, 0.0])],
)  # fmt: skip
def test_what_has_no_error_is_refused(
    values: list[float], clusters: list[int] | None, weights: list[float] | None
) -> None:
    with pytest.raises(ValueError):
        clustered_mean(values, clusters, weights)


def test_intervals_of_paired_differences_cover_with_few_clusters() -> None:
    rng = np.random.default_rng(6)
    runs, covered = 2000, 0
    clusters = np.repeat(np.arange(15), 4)
    for _ in range(runs):
        values = rng.normal(size=15)[clusters] + rng.normal(size=60)
        found = clustered_mean(values, clusters)
        covered += abs(found.value) <= critical(0.05, found.df) * math.sqrt(found.variance)
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))


def test_a_bootstrap_over_rows_that_share_a_case_is_too_sure_of_itself() -> None:
    rng = np.random.default_rng(9)
    runs, draws, ours, bootstrapped = 400, 400, 0, 0
    clusters = np.repeat(np.arange(40), 5)
    for _ in range(runs):
        values = rng.normal(size=40)[clusters] + rng.normal(size=200)
        found = clustered_mean(values, clusters)
        ours += abs(found.value) <= critical(0.05, found.df) * math.sqrt(found.variance)
        means = values[rng.integers(0, 200, (draws, 200))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        bootstrapped += low <= 0 <= high
    assert ours / runs == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / runs))
    assert bootstrapped / runs < 0.8


def test_variance_is_split_between_cases_and_repeats() -> None:
    rng = np.random.default_rng(7)
    cases = rng.normal(0, 2.0, 4000)
    values = cases[:, None] + rng.normal(0, 1.0, (4000, 3))
    values[rng.random(values.shape) < 0.2] = np.nan
    found = variance_parts(values)
    assert found is not None
    assert found.between == pytest.approx(4.0, rel=0.08)
    assert found.within == pytest.approx(1.0, rel=0.08)


def test_without_repeats_nothing_is_said_of_their_variance() -> None:
    assert variance_parts([[1.0], [2.0]]) is None
    assert variance_parts([[1.0, math.nan], [2.0, math.nan]]) is None
    assert variance_parts([[1.0, 2.0]]) is None


def test_repeats_that_explain_everything_leave_nothing_between_cases() -> None:
    found = variance_parts([[0.0, 2.0], [2.0, 0.0]])
    assert found is not None
    assert found.between == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("groups", [8, 15, 60])
def test_calibration_of_clustered_means(groups: int, calibration: Calibration) -> None:
    rng, runs = np.random.default_rng(32), 10_000
    clusters = np.repeat(np.arange(groups), 4)
    covered = by_row = 0
    for _ in range(runs):
        values = rng.normal(size=groups)[clusters] + rng.normal(size=len(clusters))
        found = clustered_mean(values, clusters)
        covered += abs(found.value) <= critical(0.05, found.df) * math.sqrt(found.variance)
        plain = clustered_mean(values)
        by_row += abs(plain.value) <= critical(0.05, plain.df) * math.sqrt(plain.variance)
    setting = f"{groups} cases of 4 values, ICC .5"
    row = calibration.record(
        "Means of values that share a case",
        setting,
        "coverage",
        nominal=0.95,
        observed=covered / runs,
        runs=runs,
        seed=32,
        slack=0.01,
    )
    calibration.record(
        "Means of values that share a case",
        setting,
        "coverage, every value a case",
        nominal=0.95,
        observed=by_row / runs,
        runs=runs,
        seed=32,
        bound="beside",
    )
    assert row.kept
