"""Effects equal tea-tasting and statsmodels, cover at the nominal rate, and refuse what they cannot know."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tea_tasting as tt
from statsmodels.stats.proportion import confint_proportions_2indep
from tests.calibration import Bound, Calibration

from promptarena.stats.effects import (
    Effect,
    Estimate,
    fieller,
    margin_contrast,
    mean_estimate,
    newcombe_interval,
    rate_estimate,
    ratio_estimate,
    stratified,
)
from promptarena.stats.moments import Moments


@pytest.fixture(scope="module")
def users() -> dict[int, dict[str, np.ndarray]]:
    table = tt.make_users_data(rng=42)
    variant = np.asarray(table["variant"])
    return {
        which: {name: np.asarray(table[name])[variant == which] for name in ("sessions", "orders", "revenue")}
        for which in (0, 1)
    }


def _mean_effect(users: dict[int, dict[str, np.ndarray]], name: str) -> Effect:
    control, treatment = (mean_estimate(Moments.from_values(users[which][name])) for which in (0, 1))
    return Effect(control, treatment)


@pytest.mark.parametrize(
    ("name", "difference", "low", "high", "p_value"),
    [
        ("sessions", -0.01324325, -0.07496462, 0.04847812, 0.6740207),
        ("revenue", 0.48908310, -0.13261881, 1.11078502, 0.1230699),
    ],
)
def test_means_equal_tea_tasting(
    users: dict[int, dict[str, np.ndarray]],
    name: str,
    difference: float,
    low: float,
    high: float,
    p_value: float,
) -> None:
    effect = _mean_effect(users, name)
    assert effect.difference == pytest.approx(difference, abs=1e-8)
    assert effect.interval(0.05) == pytest.approx((low, high), abs=1e-8)
    assert effect.p_value() == pytest.approx(p_value, abs=1e-7)


def test_ratio_by_the_delta_method_equals_tea_tasting(users: dict[int, dict[str, np.ndarray]]) -> None:
    arms = (Moments.from_values(np.column_stack([users[w]["orders"], users[w]["sessions"]])) for w in (0, 1))
    control, treatment = map(ratio_estimate, arms)
    effect = Effect(control, treatment)
    assert effect.difference == pytest.approx(0.02330501, abs=1e-8)
    assert effect.interval(0.05) == pytest.approx((-0.00245943, 0.04906944), abs=1e-8)
    assert effect.p_value() == pytest.approx(0.0762376, abs=1e-7)


def test_missing_values_in_half_the_rows_change_n_and_the_error(
    users: dict[int, dict[str, np.ndarray]],
) -> None:
    whole = mean_estimate(Moments.from_values(users[0]["revenue"]))
    half = mean_estimate(Moments.from_values(users[0]["revenue"][::2]))
    assert half.n == math.ceil(whole.n / 2)
    assert math.sqrt(half.variance / whole.variance) == pytest.approx(math.sqrt(2), rel=0.05)


def test_a_ratio_of_cluster_sums_equals_the_leave_one_cluster_out_jackknife() -> None:
    rng = np.random.default_rng(4)
    rows = rng.integers(1, 8, size=400)
    sums = np.array([rng.normal(rng.normal(2, 1), 1, size=n).sum() for n in rows])
    estimate = ratio_estimate(Moments.from_values(np.column_stack([sums, rows])))
    left_out = (sums.sum() - sums) / (rows.sum() - rows)
    n = len(rows)
    jackknife = (n - 1) / n * np.sum((left_out - left_out.mean()) ** 2)
    assert estimate.value == pytest.approx(sums.sum() / rows.sum())
    assert estimate.variance == pytest.approx(jackknife, rel=0.02)


def test_rates_equal_statsmodels_wald_interval() -> None:
    effect = Effect(rate_estimate(460, 10_000), rate_estimate(690, 10_000))
    oracle = confint_proportions_2indep(690, 10_000, 460, 10_000, method="wald", compare="diff")
    assert effect.interval(0.05) == pytest.approx(oracle, abs=1e-12)


@pytest.mark.parametrize("counts", [(0, 50, 0, 40), (3, 50, 0, 40), (50, 50, 1, 40)])
def test_few_events_equal_statsmodels_newcombe_interval(counts: tuple[int, int, int, int]) -> None:
    oracle = confint_proportions_2indep(*counts, method="newcomb", compare="diff")
    assert newcombe_interval(*counts, 0.05) == pytest.approx(oracle, abs=1e-9)


def test_fieller_is_the_set_of_ratios_that_a_test_would_not_reject() -> None:
    effect = Effect(Estimate(2.0, 0.04, math.inf, 100), Estimate(2.5, 0.09, math.inf, 100))
    interval = effect.relative_interval(0.05)
    assert interval is not None
    ratios = np.linspace(-0.5, 1.5, 200_001) + 1
    kept = np.abs(2.5 - ratios * 2.0) <= 1.959964 * np.sqrt(0.09 + ratios**2 * 0.04)
    assert interval == pytest.approx((ratios[kept].min() - 1, ratios[kept].max() - 1), abs=2e-5)


def test_fieller_says_when_it_is_unbounded() -> None:
    assert fieller(1.0, 0.1, 0.01, 0.01, 0.0, 1.96) is None


def test_a_negative_control_mean_does_not_turn_the_relative_interval_round() -> None:
    better = Effect(Estimate(-10.0, 0.01, math.inf, 100), Estimate(-8.0, 0.01, math.inf, 100))
    relative, interval = better.relative_difference(), better.relative_interval(0.05)
    assert relative == pytest.approx(0.2)
    assert interval is not None
    assert interval[0] < 0.2 < interval[1]
    assert interval[0] > 0


def test_no_relative_difference_where_control_is_zero() -> None:
    effect = Effect(Estimate(0.0, 0.01, 9, 10), Estimate(1.0, 0.01, 9, 10))
    assert effect.relative_difference() is None
    assert effect.relative_interval(0.05) is None


def test_relative_interval_covers_at_the_nominal_rate() -> None:
    rng = np.random.default_rng(5)
    runs, n, truth = 4_000, 60, 1.3
    control = rng.exponential(1.0, size=(runs, n))
    treatment = truth * rng.exponential(1.0, size=(runs, n))
    covered = 0
    for c, t in zip(control, treatment, strict=True):
        interval = Effect(
            mean_estimate(Moments.from_values(c)), mean_estimate(Moments.from_values(t))
        ).relative_interval(0.05)
        assert interval is not None
        covered += interval[0] <= truth - 1 <= interval[1]
    assert covered / runs == pytest.approx(0.95, abs=2.5 * math.sqrt(0.05 * 0.95 / runs) + 0.005)


@pytest.mark.parametrize("better", [True, False])
def test_a_percent_margin_is_one_linear_contrast(better: bool) -> None:
    effect = Effect(Estimate(100.0, 4.0, math.inf, 50), Estimate(105.0, 9.0, math.inf, 50))
    contrast = margin_contrast(effect, 0.10, relative=True, higher_is_better=better)
    sign = 1 if better else -1
    assert contrast.value == pytest.approx(sign * 5 + 10)
    # T - 1.1 C for lower-is-better, T - 0.9 C for higher-is-better.
    weight = 0.9 if better else 1.1
    assert contrast.variance == pytest.approx(9 + weight**2 * 4)


def test_a_percent_margin_with_negative_control_means_a_share_of_its_size() -> None:
    effect = Effect(Estimate(-100.0, 4.0, math.inf, 50), Estimate(-105.0, 9.0, math.inf, 50))
    contrast = margin_contrast(effect, 0.10, relative=True, higher_is_better=True)
    assert contrast.value == pytest.approx(-5 + 10)


def test_a_plug_in_percent_margin_errs_more_often_than_the_contrast() -> None:
    rng = np.random.default_rng(6)
    runs, n, margin = 20_000, 200, 0.5
    # On the boundary of the null: treatment's mean is exactly 1.5 times control's, and lower is better.
    control = rng.normal(1.0, 1.0, size=(runs, n))
    treatment = rng.normal(1.5, 1.0, size=(runs, n))
    plug_in = contrast_errors = 0
    for c, t in zip(control, treatment, strict=True):
        effect = Effect(mean_estimate(Moments.from_values(c)), mean_estimate(Moments.from_values(t)))
        plug_in += (
            margin_contrast(
                effect, margin * effect.control.value, relative=False, higher_is_better=False
            ).p_value()
            < 0.05
        )
        contrast_errors += (
            margin_contrast(effect, margin, relative=True, higher_is_better=False).p_value() < 0.05
        )
    slack = 2 * math.sqrt(0.05 * 0.95 / runs)
    assert contrast_errors / runs <= 0.05 + slack
    assert plug_in / runs > 0.05 + 5 * slack


def test_strata_keep_a_change_of_allocation_from_passing_for_an_effect() -> None:
    rng = np.random.default_rng(7)
    runs, false_pooled, false_stratified = 400, 0, 0
    for _ in range(runs):
        # A ramp from 5% to 50% while the mean drifts up: no effect within either epoch.
        epochs = [
            (rng.normal(level, 1, control), rng.normal(level, 1, treatment))
            for level, control, treatment in ((0.0, 1900, 100), (0.5, 1000, 1000))
        ]
        control, treatment = (
            mean_estimate(Moments.from_values(np.concatenate(arm))) for arm in zip(*epochs, strict=True)
        )
        pooled = Effect(control, treatment)
        sizes = np.array([len(c) + len(t) for c, t in epochs])
        weights = sizes / sizes.sum()
        arms = [
            stratified([mean_estimate(Moments.from_values(epoch[arm])) for epoch in epochs], weights)
            for arm in (0, 1)
        ]
        false_pooled += pooled.p_value() < 0.05
        false_stratified += Effect(arms[0], arms[1]).p_value() < 0.05
    assert false_pooled / runs > 0.9
    assert false_stratified / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)


def test_no_variance_is_refused_not_taken_for_certainty() -> None:
    effect = Effect(Estimate(1.0, 0.0, 9, 10), Estimate(2.0, 0.0, 9, 10))
    for ask in (lambda: effect.z, lambda: effect.interval(0.05)):
        with pytest.raises(ValueError, match="no variance"):
            ask()


def test_a_ratio_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="denominators"):
        ratio_estimate(Moments.from_values([[1.0, 0.0], [2.0, 0.0]]))


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 400])
def test_calibration_of_relative_intervals_and_percent_margins(n: int, calibration: Calibration) -> None:
    rng, runs, truth = np.random.default_rng(25), 10_000, 1.3
    covered = {"Fieller": 0, "plug-in": 0}
    wrong = {"contrast": 0, "plug-in": 0}
    for _ in range(runs):
        control, treatment = rng.exponential(1.0, n), truth * rng.exponential(1.0, n)
        effect = Effect(
            mean_estimate(Moments.from_values(control)), mean_estimate(Moments.from_values(treatment))
        )
        interval = effect.relative_interval(0.05)
        assert interval is not None
        covered["Fieller"] += interval[0] <= truth - 1 <= interval[1]
        low, high = (end / effect.control.value for end in effect.interval(0.05))
        covered["plug-in"] += low <= truth - 1 <= high
        margins = {
            "contrast": margin_contrast(effect, truth - 1, relative=True, higher_is_better=False),
            "plug-in": margin_contrast(
                effect, (truth - 1) * effect.control.value, relative=False, higher_is_better=False
            ),
        }
        for name, margin in margins.items():
            wrong[name] += margin.p_value() < 0.05
    setting = f"exponential values, {n} units an arm, treatment 1.3 times control"
    figures: tuple[tuple[str, float, int, float, Bound], ...] = (
        ("coverage of Fieller's interval", 0.95, covered["Fieller"], 0.01, "about"),
        ("coverage, control's mean taken as known", 0.95, covered["plug-in"], 0.0, "beside"),
        ("type I error at a margin of 30%", 0.05, wrong["contrast"], 0.01, "about"),
        ("type I error, control's mean taken as known", 0.05, wrong["plug-in"], 0.0, "beside"),
    )
    rows = [
        calibration.record(
            "Relative effects and percent margins",
            setting,
            figure,
            nominal=nominal,
            observed=found / runs,
            runs=runs,
            seed=25,
            slack=slack,
            bound=bound,
        )
        for figure, nominal, found, slack, bound in figures
    ]
    assert all(row.kept is not False for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("units", [50, 500])
def test_calibration_of_ratios_by_the_delta_method(units: int, calibration: Calibration) -> None:
    rng, runs, truth = np.random.default_rng(26), 10_000, 2.0
    ours = by_row = 0
    for _ in range(runs):
        arms, rows = [], []
        for _arm in range(2):
            sizes = 1 + rng.poisson(4, units)
            level = truth + rng.normal(0, 0.8, units)
            sums = sizes * level + rng.normal(0, 1, units) * np.sqrt(sizes)
            arms.append(ratio_estimate(Moments.from_values(np.column_stack([sums, sizes]))))
            total, squares = (
                sizes.sum(),
                (sizes * (level - sums.sum() / sizes.sum()) ** 2).sum() + sizes.sum(),
            )
            rows.append(squares / total / total)
        effect = Effect(arms[0], arms[1])
        low, high = effect.interval(0.05)
        ours += low <= 0 <= high
        by_row += abs(effect.difference) <= 1.96 * math.sqrt(sum(rows))
    setting = f"{units} units an arm of 5 rows on average, ICC .4, no difference"
    row = calibration.record(
        "Ratios of sums",
        setting,
        "coverage",
        nominal=0.95,
        observed=ours / runs,
        runs=runs,
        seed=26,
        slack=0.01,
    )
    calibration.record(
        "Ratios of sums",
        setting,
        "coverage, every row a unit",
        nominal=0.95,
        observed=by_row / runs,
        runs=runs,
        seed=26,
        bound="beside",
    )
    assert row.kept
