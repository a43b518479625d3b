"""Quantile effects from counts are as exact as from rows, and their intervals hold for units of many rows."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Calibration

from promptarena.stats.effects import Effect, Estimate, stratified
from promptarena.stats.moments import Moments
from promptarena.stats.quantiles import BIN_RATIO, SMALLEST, LogHistogram, bin_of, quantile_estimate

Array = NDArray[np.float64]
VALUES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40)


def _arm(q: float, rows: Array, *, exact: bool = True) -> Estimate:
    """From values of shape (units, rows a unit), as the two queries would count them."""
    histogram = LogHistogram.from_values(rows.ravel())
    cut = histogram.quantile(q)
    counts = Moments.from_values(
        np.column_stack([(rows <= cut).sum(axis=1), np.full(len(rows), rows.shape[1])])
    )
    return quantile_estimate(q, histogram, cut, counts, float(np.quantile(rows, q)) if exact else None)


def _lognormal(
    rng: np.random.Generator, units: int, rows: int, icc: float, sigma: float = 0.5, mu: float = 7.0
) -> Array:
    shared, own = rng.normal(size=(units, 1)), rng.normal(size=(units, rows))
    return np.asarray(np.exp(mu + sigma * (math.sqrt(icc) * shared + math.sqrt(1 - icc) * own)))


def _slack(runs: int) -> float:
    return 2.5 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(("exact", "tolerance"), [(True, 0.005), (False, 1.0)])
def test_the_worked_p95_difference_and_its_error(exact: bool, tolerance: float) -> None:
    rng = np.random.default_rng(123)
    control, treatment = rng.lognormal(7, 0.5, 20_000), rng.lognormal(7.03, 0.5, 20_000)
    effect = Effect(_arm(0.95, control[:, None], exact=exact), _arm(0.95, treatment[:, None], exact=exact))
    assert effect.difference == pytest.approx(85.40, abs=tolerance)
    assert 26.8 <= effect.standard_error <= 28.0


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_the_error_is_that_of_a_bootstrap_over_units(q: float) -> None:
    rng = np.random.default_rng(1)
    rows = _lognormal(rng, 1_000, 5, 0.4)
    again = [np.quantile(rows[rng.integers(0, 1_000, size=1_000)], q) for _ in range(400)]
    assert math.sqrt(_arm(q, rows).variance) == pytest.approx(np.std(again), rel=0.2)


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_clustered_intervals_cover_where_intervals_over_rows_do_not(q: float) -> None:
    rng = np.random.default_rng(2)
    runs, covered, covered_by_rows = 1_000, 0, 0
    for _ in range(runs):
        arms = [_lognormal(rng, 300, 5, 0.4) for _ in range(2)]
        low, high = Effect(_arm(q, arms[0]), _arm(q, arms[1])).interval(0.05)
        covered += low <= 0 <= high
        by_rows = [arm.reshape(-1, 1) for arm in arms]
        low, high = Effect(_arm(q, by_rows[0]), _arm(q, by_rows[1])).interval(0.05)
        covered_by_rows += low <= 0 <= high
    assert covered / runs == pytest.approx(0.95, abs=_slack(runs))
    assert covered_by_rows / runs < 0.95 - 2 * _slack(runs)


@pytest.mark.slow
@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
@pytest.mark.parametrize(
    ("units", "rows", "icc", "sigma"),
    [(2_000, 1, 0.0, 0.5), (500, 5, 0.4, 0.5), (500, 5, 0.4, 1.2), (200, 10, 0.4, 0.5), (5_000, 1, 0.0, 1.2)],
)
def test_coverage_of_quantile_differences(
    q: float, units: int, rows: int, icc: float, sigma: float, calibration: Calibration
) -> None:
    rng = np.random.default_rng(3)
    runs, covered = 3_000, 0
    for _ in range(runs):
        control, treatment = (_lognormal(rng, units, rows, icc, sigma) for _ in range(2))
        effect = Effect(_arm(q, control, exact=False), _arm(q, treatment, exact=False))
        low, high = effect.interval(0.05)
        covered += low <= 0 <= high
    calibration.record(
        "Differences of quantiles",
        f"p{100 * q:g}, {units} units an arm, {rows} rows a unit, ICC {icc:g}, lognormal sigma {sigma:g}",
        "coverage",
        nominal=0.95,
        observed=covered / runs,
        runs=runs,
        seed=3,
        slack=0.01 if q < 0.99 else 0.025,
    )
    # Far in the tail of few units the interval is a little long, never short.
    assert 0.94 - _slack(runs) <= covered / runs <= (0.96 if q < 0.99 else 0.975) + _slack(runs)


def test_relative_effects_are_fieller_s_and_cover() -> None:
    rng = np.random.default_rng(4)
    runs, covered = 600, 0
    for _ in range(runs):
        effect = Effect(
            _arm(0.95, _lognormal(rng, 300, 3, 0.4)),
            _arm(0.95, _lognormal(rng, 300, 3, 0.4, mu=7 + math.log(1.5))),
        )
        interval = effect.relative_interval(0.05)
        assert interval is not None
        covered += interval[0] <= 0.5 <= interval[1]
    assert covered / runs == pytest.approx(0.95, abs=_slack(runs))


def test_epochs_join_by_weight_and_a_drift_does_not_pass_for_an_effect() -> None:
    rng = np.random.default_rng(5)
    epochs = [
        (_lognormal(rng, n_c, 2, 0.4, mu=mu), _lognormal(rng, n_t, 2, 0.4, mu=mu))
        for mu, n_c, n_t in ((7.0, 3_800, 200), (7.3, 2_000, 2_000))
    ]
    weights = [0.5, 0.5]
    arms = [stratified([_arm(0.5, epoch[arm]) for epoch in epochs], weights) for arm in (0, 1)]
    low, high = Effect(arms[0], arms[1]).interval(0.05)
    assert low <= 0 <= high
    pooled = [_arm(0.5, np.concatenate([epoch[arm] for epoch in epochs])) for arm in (0, 1)]
    assert Effect(pooled[0], pooled[1]).p_value() < 1e-6


def test_without_the_exact_value_the_estimate_is_off_by_a_small_part_of_its_error() -> None:
    rng = np.random.default_rng(6)
    off = []
    for _ in range(100):
        rows = _lognormal(rng, 1_000, 3, 0.4)
        exact = _arm(0.95, rows)
        off.append((_arm(0.95, rows, exact=False).value - exact.value) / math.sqrt(exact.variance))
    assert math.sqrt(np.mean(np.square(off))) < 0.1


def test_rounded_values_are_not_known_better_than_their_rounding() -> None:
    rng = np.random.default_rng(7)
    runs, covered = 300, 0
    # Half of all answers are shorter than 50.5 tokens: the sample median is 50 or 51 by a coin's toss.
    for _ in range(runs):
        arms = [_arm(0.5, np.round(rng.normal(50.5, 12, size=(20_000, 1)))) for _ in range(2)]
        assert all(arm.variance >= 0.25 for arm in arms)
        low, high = Effect(arms[0], arms[1]).interval(0.05)
        covered += low <= 0 <= high
    assert covered / runs >= 0.95 - _slack(runs)


def test_rounding_that_does_not_matter_adds_nothing() -> None:
    rng = np.random.default_rng(8)
    smooth = rng.normal(1_500, 300, size=(5_000, 1))
    assert _arm(0.5, np.round(smooth)).variance == pytest.approx(_arm(0.5, smooth).variance, rel=0.1)


def test_few_distinct_values_have_no_quantile_error() -> None:
    turns = np.random.default_rng(9).integers(1, 6, size=(500, 1)).astype(np.float64)
    with pytest.raises(ValueError, match="too few distinct values"):
        _arm(0.5, turns)


def test_too_few_values_in_the_tail_are_refused() -> None:
    with pytest.raises(ValueError, match="too few values beyond"):
        _arm(0.99, _lognormal(np.random.default_rng(10), 150, 1, 0.0))


def test_values_all_on_one_side_of_the_cut_are_refused() -> None:
    rows = _lognormal(np.random.default_rng(11), 50, 2, 0.0)
    histogram = LogHistogram.from_values(rows.ravel())
    with pytest.raises(ValueError, match="same share"):
        quantile_estimate(0.5, histogram, 1e9, Moments.from_values(np.full((50, 2), 2.0)))


@pytest.mark.parametrize("q", [0.0, 1.0])
def test_a_quantile_at_an_end_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_estimate(q, LogHistogram.from_values([1.0]), 1.0, Moments.from_values([[1.0, 1.0]]))


@given(VALUES, VALUES)
def test_histograms_add_in_any_order_to_the_histogram_of_all(a: list[float], b: list[float]) -> None:
    whole = LogHistogram.from_values(a + b)
    for sum_ in (
        LogHistogram.from_values(a) + LogHistogram.from_values(b),
        LogHistogram.from_values(b) + LogHistogram.from_values(a),
    ):
        assert sum_.bins.tolist() == whole.bins.tolist()
        assert sum_.counts.tolist() == whole.counts.tolist()
    assert whole.total == len(a) + len(b)


@given(VALUES, st.floats(0.0, 1.0))
def test_a_histogram_s_quantile_lies_within_a_bin_of_the_sample_s(values: list[float], q: float) -> None:
    # Either order statistic next to the rank is right; the histogram must be within a bin of their range.
    low = float(np.quantile(values, q, method="inverted_cdf"))
    high = float(np.quantile(values, q, method="higher"))
    low, high = min(low, high), max(low, high)
    found = LogHistogram.from_values(values).quantile(q)
    wide = BIN_RATIO**1.01
    assert min(low * wide, low / wide) - 2 * SMALLEST <= found <= max(high * wide, high / wide) + 2 * SMALLEST


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=50))
def test_bins_keep_the_order_of_values(values: list[float]) -> None:
    assert (np.diff(bin_of(sorted(values))) >= 0).all()


@settings(max_examples=20, deadline=None)  # the first query starts the engine
@given(VALUES)
def test_sql_puts_values_into_the_same_bins(values: list[float]) -> None:
    query = """
        SELECT CASE WHEN abs(x) < 1e-9 THEN 0 ELSE sign(x) * (1 + floor(ln(abs(x) / 1e-9) / ln(1.002))) END
        FROM (SELECT unnest(?) AS x)
    """
    found = np.array([row[0] for row in duckdb.execute(query, [values]).fetchall()])
    # A value on an edge may fall to either side by the last bit of a logarithm.
    assert (np.abs(found - bin_of(values)) <= 1).all()
    assert np.mean(found == bin_of(values)) > 0.9 or len(values) < 20


def test_zero_has_a_bin_of_its_own_and_signs_mirror() -> None:
    assert bin_of([-2.0, -1e-12, 0.0, 1e-12, 2.0]).tolist() == [-bin_of([2.0])[0], 0, 0, 0, bin_of([2.0])[0]]


@pytest.mark.parametrize(("bins", "counts"), [([1, 2], [1]), ([1], [-1])])
def test_a_histogram_that_makes_no_sense_is_refused(bins: list[int], counts: list[int]) -> None:
    with pytest.raises(ValueError, match="one count"):
        LogHistogram.from_counts(bins, counts)


def test_an_empty_histogram_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="needs values"):
        LogHistogram.from_counts([], []).quantile(0.5)


def test_infinite_values_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        bin_of([1.0, math.inf])
