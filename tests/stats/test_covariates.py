"""Adjusted effects equal tea-tasting's and least squares, keep units without covariates, and cover."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
import tea_tasting as tt
from numpy.typing import NDArray
from tests.calibration import Bound, Calibration

from promptarena.stats.covariates import AdjustedEffect, Components, adjusted_effect, with_missing_indicator
from promptarena.stats.effects import Effect, margin_contrast
from promptarena.stats.moments import Moments

Array = NDArray[np.float64]
ONE = Components()
INDICATED = Components((0,), ((1,), (2,)))
RATIO = Components(outcome=(0, 1), covariates=((2, 3),))


@pytest.fixture(scope="module")
def users() -> pa.Table:
    return tt.make_users_data(rng=42, covariates=True)


def _arms(users: pa.Table, *names: str) -> list[tuple[Moments, Moments]]:
    variant = np.asarray(users["variant"])
    values = np.column_stack([np.asarray(users[name], dtype=np.float64) for name in names])
    return [(Moments.from_values(values[variant == 0]), Moments.from_values(values[variant == 1]))]


def _adjusted(control: Array, treatment: Array, components: Components = ONE) -> AdjustedEffect:
    """From one row a unit: outcome, then covariates."""
    return adjusted_effect([(Moments.from_values(control), Moments.from_values(treatment))], components)


def _split(table: Array, treated: NDArray[np.int64], components: Components = ONE) -> AdjustedEffect:
    return _adjusted(table[treated == 0], table[treated == 1], components)


def _paired(y: Array, x: Array, components: Components = ONE) -> AdjustedEffect:
    """From outcomes of shape (2, n) and covariates of shape (2, n) or (2, n, k), control first."""
    return _adjusted(np.column_stack([y[0], x[0]]), np.column_stack([y[1], x[1]]), components)


def _independent(effect: Effect) -> Effect:
    """The mistake: each adjusted arm with its residual variance alone, as if nothing were shared."""
    return replace(
        effect,
        control=replace(effect.control, variance=effect.variance / 2),
        treatment=replace(effect.treatment, variance=effect.variance / 2),
        covariance=0.0,
    )


def test_revenue_equals_tea_tasting(users: pa.Table) -> None:
    effect = adjusted_effect(_arms(users, "revenue", "revenue_covariate"), Components()).effect
    assert effect.difference == pytest.approx(0.73101445, abs=1e-8)
    assert effect.interval(0.05) == pytest.approx((0.20228702, 1.25974187), abs=1e-6)


@pytest.mark.parametrize(
    ("names", "components", "metric", "difference"),
    [
        (("orders", "orders_covariate"), Components(), tt.Mean("orders", "orders_covariate"), 0.05830389),
        (
            ("orders", "sessions", "orders_covariate", "sessions_covariate"),
            RATIO,
            tt.RatioOfMeans("orders", "sessions", "orders_covariate", "sessions_covariate"),
            0.03173426,
        ),
    ],
)
def test_orders_and_orders_a_session_equal_tea_tasting(
    users: pa.Table,
    names: tuple[str, ...],
    components: Components,
    metric: tt.Mean,
    difference: float,
) -> None:
    effect = adjusted_effect(_arms(users, *names), components).effect
    oracle = tt.Experiment(it=metric).analyze(users)["it"]
    assert effect.difference == pytest.approx(difference, abs=1e-8)
    assert effect.interval(0.05) == pytest.approx(
        (oracle.effect_size_ci_lower, oracle.effect_size_ci_upper), abs=1e-6
    )
    assert effect.p_value() == pytest.approx(oracle.pvalue, abs=1e-6)
    # The ratio's covariate mean is a unit-weighted mean of the arms' ratios here, the ratio of sums there.
    assert effect.control.value == pytest.approx(oracle.control, abs=1e-6)


def test_within_arms_equals_least_squares_on_variant_and_two_covariates() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    treated = np.arange(400) % 2
    # An effect of 40 residual deviations: over all units it would leak into the slopes.
    y = 3 + 12 * treated + x @ np.array([1.0, -2.0]) + 0.3 * rng.normal(size=400)
    table = np.column_stack([y, x])
    adjusted = _split(table, treated, INDICATED)
    oracle = sm.OLS(y, sm.add_constant(np.column_stack([treated, x]))).fit(cov_type="HC1")
    assert adjusted.slopes_from == "within arms"
    assert adjusted.effect.difference == pytest.approx(oracle.params[1], abs=1e-10)
    assert adjusted.slopes == pytest.approx(tuple(oracle.params[2:]), abs=1e-10)
    assert adjusted.effect.standard_error == pytest.approx(oracle.bse[1], rel=0.01)


def test_slopes_over_all_units_shrink_the_effect_by_the_share_of_the_variant_that_covariates_explain() -> (
    None
):
    rng = np.random.default_rng(2)
    x, treated = rng.normal(size=200), np.arange(200) % 2
    y = x + 0.1 * treated + rng.normal(size=200)
    table = np.column_stack([y, x])
    over_all = _split(table, treated)
    assert over_all.slopes_from == "all units"
    within = sm.OLS(y, sm.add_constant(np.column_stack([treated, x]))).fit().params[1]
    explained = np.corrcoef(x, treated)[0, 1] ** 2
    assert over_all.effect.difference == pytest.approx(within * (1 - explained), rel=1e-12)


def test_without_a_leak_limit_a_large_effect_would_be_shrunk() -> None:
    rng = np.random.default_rng(3)
    runs, shrunk = 300, []
    for _ in range(runs):
        x, treated = rng.normal(size=100), np.arange(100) % 2
        y = 0.98 * x + 10 * treated + math.sqrt(1 - 0.98**2) * rng.normal(size=100)
        slope = np.cov(x, y)[0, 1] / x.var(ddof=1)
        residual = y - slope * x
        published = residual[treated == 1].mean() - residual[treated == 0].mean()
        effect = _split(np.column_stack([y, x]), treated).effect
        shrunk.append(
            ((published - 10) / effect.standard_error, (effect.difference - 10) / effect.standard_error)
        )
    published_bias, our_bias = np.mean(shrunk, axis=0)
    assert published_bias < -1
    assert abs(our_bias) < 3 / math.sqrt(runs)


def test_the_joint_covariance_of_arms_is_that_of_repeated_experiments() -> None:
    rng = np.random.default_rng(4)
    seen, claimed = [], []
    for _ in range(3_000):
        x = [rng.normal(size=60), rng.normal(size=140)]
        # Slopes and spreads that differ by arm, unequal arms: nothing cancels.
        y = [5 + 2 * x[0] + rng.normal(size=60), 6 + 3 * x[1] + 2 * rng.normal(size=140)]
        effect = _adjusted(np.column_stack([y[0], x[0]]), np.column_stack([y[1], x[1]])).effect
        seen.append((effect.control.value, effect.treatment.value))
        claimed.append((effect.control.variance, effect.covariance, effect.treatment.variance))
    observed = np.cov(np.array(seen).T)
    assert np.mean(claimed, axis=0) == pytest.approx(
        (observed[0, 0], observed[0, 1], observed[1, 1]), rel=0.1
    )


def test_relative_interval_covers_at_correlation_98_and_a_doubled_mean_where_independent_arms_do_not() -> (
    None
):
    right, wrong, runs = _relative_coverage(np.random.default_rng(5), n=200, sd=0.3, runs=2_000)
    slack = 2.5 * math.sqrt(0.05 * 0.95 / runs)
    assert right == pytest.approx(0.95, abs=slack)
    assert wrong == pytest.approx(0.71, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 200, 1_000])
@pytest.mark.parametrize("sd", [0.1, 0.3, 1.0])
def test_relative_interval_covers_94_to_96_percent_at_any_size_and_spread(
    n: int, sd: float, calibration: Calibration
) -> None:
    if sd == 1.0 and n == 50:
        n = 100  # a control mean seven of its standard errors from zero is no longer normal enough
    right, wrong, runs = _relative_coverage(np.random.default_rng(6), n=n, sd=sd, runs=10_000)
    figures: tuple[tuple[str, float, Bound], ...] = (
        ("coverage", right, "about"),
        ("coverage, arms taken as independent", wrong, "beside"),
    )
    for figure, observed, bound in figures:
        calibration.record(
            "Relative effects under CUPED",
            f"{n} units an arm, sd {sd:g} of the mean, correlation .98, true lift 1.0",
            figure,
            nominal=0.95,
            observed=observed,
            runs=runs,
            seed=6,
            slack=0.01 if bound == "about" else 0.0,
            bound=bound,
        )
    assert 0.94 - 2 * math.sqrt(0.05 * 0.95 / runs) <= right <= 0.96 + 2 * math.sqrt(0.05 * 0.95 / runs)


def _relative_coverage(rng: np.random.Generator, *, n: int, sd: float, runs: int) -> tuple[float, float, int]:
    right = wrong = 0
    for _ in range(runs):
        x = rng.normal(size=(2, n))
        y = 1 + sd * (0.98 * x + math.sqrt(1 - 0.98**2) * rng.normal(size=(2, n)))
        y[1] += 1.0
        effect = _paired(y, x).effect
        for which, interval in enumerate(
            (effect.relative_interval(0.05), _independent(effect).relative_interval(0.05))
        ):
            assert interval is not None
            covers = interval[0] <= 1.0 <= interval[1]
            right, wrong = right + (covers and which == 0), wrong + (covers and which == 1)
    return right / runs, wrong / runs, runs


def test_a_percent_margin_errs_at_its_level_under_adjustment() -> None:
    rng = np.random.default_rng(7)
    runs, n, errors, naive_errors = 4_000, 200, 0, 0
    for _ in range(runs):
        x = rng.normal(size=(2, n))
        y = 1 + 0.5 * (0.98 * x + math.sqrt(1 - 0.98**2) * rng.normal(size=(2, n)))
        y[1] += 0.5  # on the boundary: exactly 50% worse
        effect = _paired(y, x).effect
        p, naive = (
            margin_contrast(each, 0.5, relative=True, higher_is_better=False).p_value()
            for each in (effect, _independent(effect))
        )
        errors, naive_errors = errors + (p < 0.05), naive_errors + (naive < 0.05)
    slack = 2.5 * math.sqrt(0.05 * 0.95 / runs)
    assert errors / runs == pytest.approx(0.05, abs=slack)
    assert naive_errors / runs > 0.05 + 5 * slack


def test_a_missing_covariate_keeps_its_unit_and_what_stands_in_for_it_does_not_matter() -> None:
    table, treated = _with_missing(np.random.default_rng(8), 600)
    by_rows = [_split(_filled(table, filler), treated, INDICATED).effect for filler in (0.0, 1e2)]
    from_moments = [
        adjusted_effect([_indicated(table, treated, filler)], INDICATED).effect for filler in (0.0, 5.0)
    ]
    for effect in (*by_rows, *from_moments):
        assert effect.control.n + effect.treatment.n == 600
        assert effect.difference == pytest.approx(by_rows[0].difference, rel=1e-7)
        assert effect.standard_error == pytest.approx(by_rows[0].standard_error, rel=1e-7)


def test_units_without_covariates_sharpen_the_estimate_and_its_interval_covers_the_effect_on_all_units() -> (
    None
):
    rng = np.random.default_rng(9)
    covered, complete_covered, ratios, runs = 0, 0, [], 1_500
    for _ in range(runs):
        table, treated = _with_missing(rng, 300)
        effect = adjusted_effect([_indicated(table, treated, 5.0)], INDICATED).effect
        low, high = effect.interval(0.05)
        has = ~np.isnan(table[:, 1])
        complete = _split(table[has], treated[has]).effect
        complete_low, complete_high = complete.interval(0.05)
        # 60% of units have a covariate and an effect of .5, the new ones have none.
        covered += low <= 0.3 <= high
        complete_covered += complete_low <= 0.3 <= complete_high
        ratios.append(effect.variance / _raw_variance(table[:, 0], treated))
    assert covered / runs == pytest.approx(0.95, abs=2.5 * math.sqrt(0.05 * 0.95 / runs))
    assert complete_covered / runs < 0.5
    assert np.mean(ratios) < 0.2


def _with_missing(rng: np.random.Generator, n: int) -> tuple[Array, NDArray[np.int64]]:
    absent, treated = rng.random(n) < 0.4, np.arange(n) % 2
    x = rng.normal(5, 1, size=n)
    # New users behave differently: being missing says something.
    y = np.where(absent, 2.0, 0.9 * x + 0.5 * treated) + 0.4 * rng.normal(size=n)
    return np.column_stack([y, np.where(absent, np.nan, x)]), treated


def _raw_variance(y: Array, treated: NDArray[np.int64]) -> float:
    return math.fsum(y[treated == arm].var(ddof=1) / (treated == arm).sum() for arm in (0, 1))


def _filled(table: Array, filler: float) -> Array:
    absent = np.isnan(table[:, 1])
    return np.column_stack([table[:, 0], np.where(absent, filler, table[:, 1]), absent])


def _indicated(table: Array, treated: NDArray[np.int64], filler: float) -> tuple[Moments, Moments]:
    absent = np.isnan(table[:, 1])
    control, treatment = (
        with_missing_indicator(
            Moments.from_values(table[(treated == arm) & ~absent]),
            Moments.from_values(table[(treated == arm) & absent, :1]),
            [filler],
        )
        for arm in (0, 1)
    )
    return control, treatment


def test_a_constant_covariate_changes_nothing() -> None:
    rng = np.random.default_rng(10)
    control, treatment = (np.column_stack([rng.normal(size=50), np.full(50, 1e6 / 3)]) for _ in (0, 1))
    adjusted = _adjusted(control, treatment)
    assert adjusted.slopes == (0.0,)
    assert adjusted.effect.difference == adjusted.unadjusted.difference
    assert adjusted.variance_removed == 0


def test_a_covariate_given_twice_adjusts_as_once() -> None:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(2, 80))
    y = x + rng.normal(size=(2, 80))
    once = _paired(y, x)
    twice = _paired(y, np.stack([x, 3 * x], axis=2), INDICATED)
    assert twice.effect.difference == pytest.approx(once.effect.difference, rel=1e-9)
    assert twice.effect.variance == pytest.approx(once.effect.variance, rel=1e-9)


def test_variance_falls_by_the_squared_correlation() -> None:
    rng = np.random.default_rng(12)
    x = rng.normal(size=(2, 50_000))
    y = 0.8 * x + 0.6 * rng.normal(size=(2, 50_000))
    adjusted = _paired(y, x)
    assert adjusted.variance_removed == pytest.approx(0.64, abs=0.01)


def test_moments_far_from_zero_adjust_as_well() -> None:
    rng = np.random.default_rng(13)
    x = rng.normal(size=(2, 500))
    y = x + rng.normal(size=(2, 500))
    near, far = (_paired(y + offset, x + offset).effect for offset in (0.0, 1e6))
    assert far.difference == pytest.approx(near.difference, rel=1e-6)
    assert far.standard_error == pytest.approx(near.standard_error, rel=1e-6)


def test_one_stratum_alone_and_two_equal_halves_agree() -> None:
    rng = np.random.default_rng(14)
    pairs = []
    for _ in range(2):
        x = rng.normal(size=(2, 5_000))
        y = 2 * x + rng.normal(size=(2, 5_000))
        pairs.append(tuple(Moments.from_values(np.column_stack([y[arm], x[arm]])) for arm in (0, 1)))
    apart = adjusted_effect([(c, t) for c, t in pairs], Components()).effect
    together = adjusted_effect([(pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1])], Components()).effect
    assert apart.difference == pytest.approx(together.difference, abs=0.02 * together.standard_error)
    assert apart.standard_error == pytest.approx(together.standard_error, rel=0.01)


def test_strata_keep_a_ramp_during_a_drift_from_passing_for_an_effect() -> None:
    rng = np.random.default_rng(15)
    runs, pooled, stratified = 400, 0, 0
    for _ in range(runs):
        strata = []
        for level, sizes in ((0.0, (1_900, 100)), (0.5, (1_000, 1_000))):
            arms = []
            for n in sizes:
                x = rng.normal(size=n)
                arms.append(Moments.from_values(np.column_stack([level + x + rng.normal(size=n), x])))
            strata.append((arms[0], arms[1]))
        stratified += adjusted_effect(strata, Components()).effect.p_value() < 0.05
        whole = (strata[0][0] + strata[1][0], strata[0][1] + strata[1][1])
        pooled += adjusted_effect([whole], Components()).effect.p_value() < 0.05
    assert pooled / runs > 0.9
    assert stratified / runs == pytest.approx(0.05, abs=2.5 * math.sqrt(0.05 * 0.95 / runs))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "k"), [(20, 1), (20, 2), (50, 5), (500, 5)])
def test_the_difference_covers_down_to_twenty_units_a_covariate(
    n: int, k: int, calibration: Calibration
) -> None:
    rng = np.random.default_rng(16)
    runs, covered = 10_000, 0
    components = Components((0,), tuple((1 + i,) for i in range(k)))
    for _ in range(runs):
        x = rng.normal(size=(2, n, k))
        y = x.sum(axis=2) + rng.normal(size=(2, n))
        low, high = _paired(y, x, components).effect.interval(0.05)
        covered += low <= 0 <= high
    calibration.record(
        "Differences under CUPED",
        f"{n} units an arm, {k} covariates",
        "coverage",
        nominal=0.95,
        observed=covered / runs,
        runs=runs,
        seed=16,
        slack=0.015,
    )
    assert covered / runs >= 0.935 - 2 * math.sqrt(0.05 * 0.95 / runs)
    assert covered / runs <= 0.96


@pytest.mark.parametrize(
    ("pair", "components", "message"),
    [
        (([[1, 2], [2, 1]], [[1, 2], [2, 1]]), Components(), "20 units"),
        (([[1, 2]], [[float(i), i % 3] for i in range(40)]), Components(), "at least 2 units"),
        (([[float(i), 0, i % 3, 1] for i in range(30)],) * 2, RATIO, "denominators"),
    ],
)
def test_what_cannot_be_adjusted_is_refused(
    pair: tuple[list[list[float]], list[list[float]]], components: Components, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _adjusted(np.array(pair[0]), np.array(pair[1]), components)


def test_an_outcome_of_three_components_is_refused() -> None:
    with pytest.raises(ValueError, match="ratio"):
        Components((0, 1, 2), ((3,),))


def test_a_filler_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="filler"):
        with_missing_indicator(Moments.empty(2), Moments.empty(1), [0.0, 0.0])
