"""Sample ratio and independence equal outside oracles, keep their error, and see what they should."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chi2_contingency, chisquare
from tests.calibration import Calibration

from promptarena.stats.balance import (
    BALANCE_ALPHA,
    balance_threshold,
    independence_test,
    sample_ratio_log_e_value,
    sample_ratio_test,
)

units = st.integers(30, 5000)


@given(counts=st.lists(units, min_size=2, max_size=5))
def test_one_stratum_is_pearsons_test(counts: list[int]) -> None:
    weights = np.arange(1, len(counts) + 1)
    expected = weights / weights.sum() * sum(counts)
    if expected.min() >= 10:
        assert sample_ratio_test(counts, weights) == pytest.approx(chisquare(counts, expected).pvalue)


def test_strata_add_their_statistics_and_their_degrees_of_freedom() -> None:
    parts = [[520, 480, 510], [300, 290, 340]]
    found = [chisquare(part) for part in parts]
    joined = sample_ratio_test(parts, [1, 1, 1])
    statistic = sum(part.statistic for part in found)
    assert joined == pytest.approx(math.exp(-statistic / 2) * (1 + statistic / 2))  # chi-square with 4 df


def test_a_ramp_is_not_a_mismatch_but_pooling_it_would_be() -> None:
    ramp = [[9500, 500], [5000, 5000]]
    assert sample_ratio_test(ramp, [[0.95, 0.05], [0.5, 0.5]]) == pytest.approx(1.0)
    pooled = sample_ratio_test(np.sum(ramp, axis=0), [0.5, 0.5])
    assert pooled is not None
    assert pooled < 1e-9
    assert sample_ratio_log_e_value(ramp, [[0.95, 0.05], [0.5, 0.5]]) < 0


def test_a_mismatch_that_two_epochs_hide_from_their_sum_is_seen() -> None:
    counts = [[5300, 4700], [4700, 5300]]
    together = sample_ratio_test(np.sum(counts, axis=0), [1, 1])
    apart = sample_ratio_test(counts, [1, 1])
    assert together == pytest.approx(1.0)
    assert apart is not None
    assert apart < BALANCE_ALPHA
    assert sample_ratio_log_e_value(counts, [1, 1]) > -math.log(BALANCE_ALPHA)


def test_a_variant_of_no_weight_has_no_degree_of_freedom_and_may_have_no_units() -> None:
    assert sample_ratio_test([520, 480, 0], [1, 1, 0]) == sample_ratio_test([520, 480], [1, 1])
    assert sample_ratio_log_e_value([520, 480, 0], [1, 1, 0]) == pytest.approx(
        sample_ratio_log_e_value([520, 480], [1, 1])
    )
    assert sample_ratio_test([520, 480, 1], [1, 1, 0]) == 0.0
    assert sample_ratio_log_e_value([520, 480, 1], [1, 1, 0]) == math.inf


@pytest.mark.parametrize("counts", [[0, 0], [3, 4], [[0, 0], [5, 5]]])
def test_too_few_units_are_no_test(counts: list[int]) -> None:
    assert sample_ratio_test(counts, [1, 1]) is None
    assert sample_ratio_test([1000], [1]) is None


def test_an_empty_epoch_changes_nothing() -> None:
    assert sample_ratio_test([[520, 480], [0, 0]], [1, 1]) == sample_ratio_test([520, 480], [1, 1])


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.99, 0.01], [0.9, 0.05, 0.05], [0.97, 0.01, 0.01, 0.01]])
@pytest.mark.parametrize("n", [30, 300, 3000])
def test_small_cells_raise_no_more_false_alarms_than_a_few_in_a_thousand(
    weights: list[float], n: int
) -> None:
    rng, trials = np.random.default_rng(3), 20_000
    tables, how_often = np.unique(rng.multinomial(n, weights, size=trials), axis=0, return_counts=True)
    p_values = [sample_ratio_test(table, weights) for table in tables]
    alarms = sum(
        count
        for p, count in zip(p_values, how_often.tolist(), strict=True)
        if p is not None and p < BALANCE_ALPHA
    )
    assert alarms / trials <= 2 * BALANCE_ALPHA + 2 * math.sqrt(BALANCE_ALPHA / trials)


def test_evidence_is_the_likelihood_averaged_over_the_priors() -> None:
    weights, (a, b) = [0.3, 0.7], (40, 60)
    total = 0.0
    for concentration in (1e2, 1e3, 1e4, 1e5, 1e6):
        alpha, beta = concentration * 0.3, concentration * 0.7
        log_norm = math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(concentration)

        def integrand(p: float, alpha: float = alpha, beta: float = beta, norm: float = log_norm) -> float:
            prior = (alpha - 1) * math.log(p) + (beta - 1) * math.log1p(-p) - norm
            return math.exp(prior + a * math.log(p / 0.3) + b * math.log((1 - p) / 0.7))

        spread = 12 * math.sqrt(0.21 / concentration)
        total += quad(
            integrand, max(0.3 - spread, 1e-9), min(0.3 + spread, 1 - 1e-9), points=[0.3], limit=500
        )[0]
    assert sample_ratio_log_e_value([a, b], weights) == pytest.approx(math.log(total / 5), rel=1e-6)


@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.8, 0.15, 0.05]])
def test_no_evidence_is_expected_where_the_shares_are_right(weights: list[float]) -> None:
    n, total = 15, 0.0
    for table in itertools.product(range(n + 1), repeat=len(weights)):
        if sum(table) == n:
            ways = math.factorial(n) / math.prod(math.factorial(count) for count in table)
            chance = math.prod(weight**count for weight, count in zip(weights, table, strict=True))
            total += ways * chance * math.exp(sample_ratio_log_e_value(table, weights))
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("n", [10**3, 10**4, 10**5, 10**7])
def test_a_deviation_of_five_standard_errors_is_seen_at_any_size(n: int) -> None:
    shift = 2.5 * math.sqrt(n)
    for sign in (1, -1):
        evidence = sample_ratio_log_e_value([n / 2 + sign * shift, n / 2 - sign * shift], [0.5, 0.5])
        assert evidence > -math.log(BALANCE_ALPHA)
    assert sample_ratio_log_e_value([n / 2, n / 2], [0.5, 0.5]) < 0


def test_looking_after_every_unit_raises_few_false_alarms() -> None:
    rng, trials, alpha = np.random.default_rng(5), 150, 0.05
    alarms = 0
    for _ in range(trials):
        first = np.cumsum(rng.random(1000) < 0.5)
        alarms += any(
            sample_ratio_log_e_value([first[n - 1], n - first[n - 1]], [1, 1]) > -math.log(alpha)
            for n in range(10, 1001, 25)
        )
    assert alarms / trials <= alpha + 2 * math.sqrt(alpha * (1 - alpha) / trials)


@given(table=st.lists(st.lists(units, min_size=3, max_size=3), min_size=2, max_size=4))
def test_one_table_is_pearsons_test_of_independence(table: list[list[int]]) -> None:
    oracle = chi2_contingency(table, correction=False)
    if oracle.expected_freq.min() >= 5:
        assert independence_test(table) == pytest.approx(oracle.pvalue, rel=1e-6)
        turned = [row[::-1] for row in table[::-1]]
        assert independence_test(turned) == pytest.approx(oracle.pvalue, rel=1e-6)


@pytest.mark.parametrize(("first", "alarm"), [(1, True), (6, False)])
def test_few_crossovers_on_one_side_only_are_seen(first: int, alarm: bool) -> None:
    p_value = independence_test([[first, 3000 - first], [18, 3000 - 18]])
    assert p_value is not None
    assert (p_value < BALANCE_ALPHA) == alarm


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_rare_events_raise_no_more_false_alarms_than_a_few_in_a_thousand(share: float) -> None:
    rng, trials = np.random.default_rng(9), 20_000
    sizes = np.array([round(5000 * share), round(5000 * (1 - share))])
    for rate in (0.002, 0.005, 0.02):
        tables, how_often = np.unique(rng.binomial(sizes, rate, size=(trials, 2)), axis=0, return_counts=True)
        p_values = [independence_test(np.stack([table, sizes - table], axis=1)) for table in tables]
        alarms = sum(
            count
            for p, count in zip(p_values, how_often.tolist(), strict=True)
            if p is not None and p < BALANCE_ALPHA
        )
        assert alarms / trials <= 2 * BALANCE_ALPHA + 2 * math.sqrt(BALANCE_ALPHA / trials)


def test_independence_is_asked_within_strata() -> None:
    # Phones come late, when half instead of a twentieth is treated: pooled, that looks like a mismatch.
    early, late = [[8550, 950], [450, 50]], [[1000, 4000], [1000, 4000]]
    assert independence_test([early, late]) == pytest.approx(1.0)
    pooled = independence_test(np.add(early, late))
    assert pooled is not None
    assert pooled < 1e-9


def test_rare_values_are_pooled_and_empty_ones_ignored() -> None:
    common = [[500, 400], [510, 390]]
    assert independence_test([[500, 400, 0], [510, 390, 0]]) == pytest.approx(independence_test(common))
    # Eight values of a unit or two each are together one value of 4 against 8.
    rare = [[500, 400] + [1] * 4 + [0] * 4, [510, 390] + [0] * 4 + [2] * 4]
    assert independence_test(rare) == pytest.approx(independence_test([[500, 400, 4], [510, 390, 8]]))
    assert independence_test([[500, 1], [510, 2]]) is None
    assert independence_test([[0, 0], [10, 500]]) is None
    assert independence_test([[0, 0], [0, 0]]) is None


def test_a_threshold_is_shared() -> None:
    assert balance_threshold(1) == BALANCE_ALPHA
    assert balance_threshold(5, 0.05) == pytest.approx(0.01)
    with pytest.raises(ValueError, match="at least one"):
        balance_threshold(0)


@pytest.mark.parametrize(
    ("counts", "weights", "message"),
    [
        ([1, 2], [1, 1, 1], "do not fit"),
        ([[1, 2], [3, 4], [5, 6]], [[1, 1], [1, 1]], "do not fit"),
        ([-1, 2], [1, 1], "counts"),
        ([math.nan, 2], [1, 1], "counts"),
        ([1, 2], [1, -1], "weights"),
        ([1, 2], [0, 0], "positive weight"),
    ],
)
def test_counts_and_weights_that_cannot_be_are_refused(
    counts: list[float], weights: list[float], message: str
) -> None:
    for test in (sample_ratio_test, sample_ratio_log_e_value):
        with pytest.raises(ValueError, match=message):
            test(counts, weights)


@pytest.mark.parametrize("counts", [[1, 2], [[1, -2], [3, 4]], [[1, math.nan], [3, 4]]])
def test_tables_that_cannot_be_are_refused(counts: list[float]) -> None:
    with pytest.raises(ValueError, match="counts"):
        independence_test(counts)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [[0.5, 0.5], [0.9, 0.1], [0.4, 0.3, 0.3]])
def test_calibration_of_anytime_sample_ratio_false_alarms(
    weights: list[float], calibration: Calibration
) -> None:
    rng, trials = np.random.default_rng(7), 2000
    sizes = np.unique(np.geomspace(10, 100_000, 100).round().astype(int))
    peaks = np.array(
        [
            max(
                sample_ratio_log_e_value(counts, weights)
                for counts in np.cumsum(rng.multinomial(np.diff(sizes, prepend=0), weights), axis=0)
            )
            for _ in range(trials)
        ]
    )
    for alpha in (0.05, 0.001):
        alarms = float((peaks >= -math.log(alpha)).mean())
        error = math.sqrt(alpha * (1 - alpha) / trials)
        calibration.record(
            "Anytime test of the sample ratio",
            f"weights {weights}, 100 looks from 10 to 100,000 units, alpha {alpha:g}",
            "false alarms",
            nominal=alpha,
            observed=alarms,
            runs=trials,
            seed=7,
            bound="at most",
        )
        assert alarms <= alpha + 2 * error


@pytest.mark.slow
def test_calibration_of_the_sample_ratio_read_once(calibration: Calibration) -> None:
    rng, runs = np.random.default_rng(35), 200_000
    rows = []
    for n in (20, 1_000):
        tables, often = np.unique(rng.multinomial(n, [0.6, 0.3, 0.1], size=runs), axis=0, return_counts=True)
        p_values = [sample_ratio_test(table, [0.6, 0.3, 0.1]) for table in tables]
        for alpha in (0.05, 0.001):
            alarms = often[[p is not None and p < alpha for p in p_values]].sum() / runs
            rows.append(
                calibration.record(
                    "Sample ratio read once",
                    f"weights .6, .3, .1, {n:,} units, alpha {alpha:g}",
                    "false alarms",
                    nominal=alpha,
                    observed=float(alarms),
                    runs=runs,
                    seed=35,
                    bound="at most",
                    slack=alpha if n < 100 else 0.05 * alpha,
                )
            )
    assert all(row.kept for row in rows)
