"""Segments: adjusted effects and harm, interaction at its level, Simpson's reversal called by its name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.oneway import anova_generic
from tests.calibration import Calibration

from promptarena.stats.effects import Effect, Estimate, margin_contrast, mean_estimate, rate_estimate
from promptarena.stats.moments import Moments
from promptarena.stats.multiplicity import adjust
from promptarena.stats.rate_contrasts import RateCounts
from promptarena.stats.segments import interaction, join, mix_finding, rate_interaction, segment_tests


def _means(rng: np.random.Generator, n: int, shift: float = 0.0, sd: float = 1.0) -> Effect:
    return Effect(
        mean_estimate(Moments.from_values(rng.normal(0, sd, n))),
        mean_estimate(Moments.from_values(rng.normal(shift, sd, n))),
    )


def _rates(control: tuple[int, int], treatment: tuple[int, int]) -> Effect:
    return Effect(rate_estimate(*control), rate_estimate(*treatment))


@pytest.fixture
def worked_table() -> list[Effect]:
    """Resolution: 85 against 80 and 70 against 65 within segments, 73 against 77 overall."""
    return [_rates((640, 800), (170, 200)), _rates((130, 200), (560, 800))]


def test_the_worked_table_is_named_simpson_s_reversal(worked_table: list[Effect]) -> None:
    finding = mix_finding(worked_table, higher_is_better=True)
    assert finding.is_reversal
    assert (finding.raw_treatment, finding.raw_control) == pytest.approx((0.73, 0.77))
    assert finding.within.difference == pytest.approx(0.05)
    assert finding.standardised.difference == pytest.approx(0.05)
    assert (finding.segments_better, finding.segments_worse) == (2, 0)
    assert finding.sentence() == (
        "Simpson's reversal: treatment is better in each of 2 segments (+0.05 on average), yet worse overall "
        "(0.73 against 0.77), because the variants hold different shares of the segments. "
        "Read the effect within segments."
    )


def test_the_worked_table_of_hundreds_is_a_reversal_too() -> None:
    effects = [_rates((64, 80), (17, 20)), _rates((13, 20), (56, 80))]
    assert mix_finding(effects, higher_is_better=True).is_reversal


def test_where_lower_is_better_the_same_table_reads_the_other_way(worked_table: list[Effect]) -> None:
    finding = mix_finding(worked_table, higher_is_better=False)
    assert finding.is_reversal
    assert (finding.segments_better, finding.segments_worse) == (0, 2)
    assert "treatment is worse in each of 2 segments" in finding.sentence()


def test_equal_mixes_do_not_reverse() -> None:
    finding = mix_finding(
        [_rates((640, 800), (680, 800)), _rates((130, 200), (140, 200))], higher_is_better=True
    )
    assert not finding.is_reversal
    assert finding.mix_p_value == pytest.approx(1.0)
    assert finding.raw_difference == pytest.approx(finding.standardised.difference)
    assert finding.sentence().startswith("No Simpson's reversal: treatment is better overall")


def test_randomised_arms_without_effect_are_seldom_called_reversed() -> None:
    rng = np.random.default_rng(1)
    called = 0
    for _ in range(2_000):
        sizes = rng.binomial(1_000, 0.5, size=2)
        effects = []
        for arm_sizes, rate in ((sizes, 0.8), (1_000 - sizes, 0.3)):
            wins = rng.binomial(arm_sizes, rate)
            effects.append(_rates((wins[0], arm_sizes[0]), (wins[1], arm_sizes[1])))
        called += mix_finding(effects, higher_is_better=True).is_reversal
    assert called / 2_000 <= 0.05


def test_within_is_mantel_and_haenszel_s_risk_difference(worked_table: list[Effect]) -> None:
    # (a, n1) treatment and (c, n0) control, as in the textbook.
    tables = [(170, 200, 640, 800), (560, 800, 130, 200)]
    denominator = sum(n1 * n0 / (n1 + n0) for _, n1, _, n0 in tables)
    difference = sum((a * n0 - c * n1) / (n1 + n0) for a, n1, c, n0 in tables) / denominator
    variance = (
        sum(
            (a * (n1 - a) * n0**3 + c * (n0 - c) * n1**3) / (n1 * n0 * (n1 + n0) ** 2)
            for a, n1, c, n0 in tables
        )
        / denominator**2
    )
    within = mix_finding(worked_table, higher_is_better=True).within
    assert within.difference == pytest.approx(difference, rel=1e-12)
    assert within.variance == pytest.approx(variance, rel=1e-12)


def test_a_ratio_mixes_by_its_denominators() -> None:
    effects = [
        Effect(Estimate(2.0, 0.01, 99, 100), Estimate(2.5, 0.01, 99, 100)),
        Effect(Estimate(1.0, 0.01, 99, 100), Estimate(1.1, 0.01, 99, 100)),
    ]
    finding = mix_finding(effects, higher_is_better=True, weights=[(300, 100), (100, 300)])
    assert finding.raw_control == pytest.approx((2.0 * 300 + 1.0 * 100) / 400)
    assert finding.raw_treatment == pytest.approx((2.5 * 100 + 1.1 * 300) / 400)


def test_a_segment_without_a_difference_is_not_counted_as_better() -> None:
    effects = [_rates((640, 800), (170, 200)), _rates((130, 200), (560, 800)), _rates((5, 10), (5, 10))]
    finding = mix_finding(effects, higher_is_better=True)
    assert finding.is_reversal
    assert "treatment is better in 2 of 3 segments" in finding.sentence()


def test_no_difference_at_all_is_called_neither_better_nor_worse() -> None:
    sentence = mix_finding([_rates((5, 10), (5, 10))] * 2, higher_is_better=True).sentence()
    assert "treatment is no different overall (0.5 against 0.5)" in sentence


@pytest.mark.parametrize("weights", [[(1.0, 1.0)], [(1.0, 0.0), (1.0, 1.0)]])
def test_a_mix_that_lacks_an_arm_is_refused(
    worked_table: list[Effect], weights: list[tuple[float, float]]
) -> None:
    with pytest.raises(ValueError, match="mix needs"):
        mix_finding(worked_table, higher_is_better=True, weights=weights)


def test_interaction_equals_cochran_s_q() -> None:
    effects = [
        Effect(Estimate(0.0, v / 2, math.inf, 50), Estimate(d, v / 2, math.inf, 50))
        for d, v in ((0.1, 0.01), (0.4, 0.02), (-0.2, 0.04))
    ]
    found = interaction(effects)
    oracle = combine_effects(np.array([0.1, 0.4, -0.2]), np.array([0.01, 0.02, 0.04]))
    assert found.statistic == pytest.approx(oracle.q, rel=1e-12)
    assert found.common == pytest.approx(oracle.mean_effect_fe, rel=1e-12)
    assert found.p_value == pytest.approx(chi2.sf(oracle.q, 2), rel=1e-9)
    assert found.excess == pytest.approx(oracle.i2, rel=1e-12)


def test_interaction_of_small_segments_equals_welch_s_anova() -> None:
    differences, variances, sizes = [0.1, 0.9, -0.4, 0.3], [1.0, 2.0, 0.5, 1.5], [12, 20, 9, 30]
    effects = [
        Effect(Estimate(0.0, 0.0, n - 1, n), Estimate(d, v / n, n - 1, n), own_df=n - 1)
        for d, v, n in zip(differences, variances, sizes, strict=True)
    ]
    found = interaction(effects)
    oracle = anova_generic(
        np.array(differences), np.array(variances), np.array(sizes), use_var="unequal", welch_correction=True
    )
    assert found.p_value == pytest.approx(oracle.pvalue, rel=1e-9)
    assert found.df_error == pytest.approx(oracle.df_denom, rel=1e-9)


def test_interaction_holds_its_level_in_small_segments_where_chi_square_does_not() -> None:
    rng = np.random.default_rng(2)
    runs, rejected, rejected_naively = 2_000, 0, 0
    for _ in range(runs):
        found = interaction(
            [_means(rng, n, 0.3, sd) for n, sd in ((12, 1), (12, 3), (15, 1), (30, 2), (12, 1)) * 2]
        )
        rejected += found.p_value < 0.05
        rejected_naively += chi2.sf(found.statistic, 9) < 0.05
    slack = 2.5 * math.sqrt(0.05 * 0.95 / runs)
    assert rejected / runs == pytest.approx(0.05, abs=slack)
    assert rejected_naively / runs > 0.05 + 2 * slack


def test_interaction_finds_an_effect_in_one_segment_only() -> None:
    rng = np.random.default_rng(3)
    found = interaction([_means(rng, 2_000, shift) for shift in (0.0, 0.0, 0.3)])
    assert found.p_value < 1e-6
    assert found.excess > 0.8


def test_interaction_needs_two_segments_that_vary() -> None:
    effect = Effect(Estimate(0.0, 0.0, 9, 10), Estimate(1.0, 0.0, 9, 10))
    for effects in ([effect, effect], [_means(np.random.default_rng(4), 10)]):
        with pytest.raises(ValueError, match="interaction needs"):
            interaction(effects)


def test_effects_and_harm_are_adjusted_as_one_family_of_what_can_be_tested() -> None:
    rng = np.random.default_rng(5)
    effects = {
        ("device", "phone"): _means(rng, 500, -0.3),
        ("device", "desk"): _means(rng, 500, 0.2),
        ("tier", "free"): _means(rng, 400),
        ("tier", "few"): _means(rng, 5, -9.0),
        ("tier", "alike"): Effect(Estimate(1.0, 0.0, 99, 100), Estimate(1.0, 0.0, 99, 100)),
    }
    tests = segment_tests(effects, dict.fromkeys(effects, (0.05, False)), higher_is_better=True)
    family = list(effects)[:3]
    p_values = [effects[key].p_value() for key in family]
    harm = [
        margin_contrast(effects[key], 0.05, relative=False, higher_is_better=True).harm_p_value()
        for key in family
    ]
    assert [tests[key].p_adjusted for key in family] == pytest.approx(adjust(p_values, "benjamini-hochberg"))
    assert [tests[key].harm_p_adjusted for key in family] == pytest.approx(adjust(harm, "benjamini-hochberg"))
    for key in (("tier", "few"), ("tier", "alike")):
        assert tests[key].p_value is None
        assert tests[key].harm_p_adjusted is None
    phone = tests["device", "phone"]
    assert phone.harm_p_adjusted is not None
    assert phone.harm_p_adjusted < 0.01


def test_a_relative_margin_of_a_zero_control_leaves_harm_untested() -> None:
    effect = Effect(Estimate(0.0, 0.01, 99, 100), Estimate(1.0, 0.01, 99, 100))
    test = segment_tests({"a": effect}, {"a": (0.1, True)}, higher_is_better=True)["a"]
    assert test.harm_p_value is None
    assert test.p_value is not None


@pytest.mark.parametrize("higher", [True, False])
def test_harm_at_the_margin_errs_at_its_level_and_beyond_it_is_found(higher: bool) -> None:
    rng = np.random.default_rng(6)
    runs, false_alarms, found = 1_500, 0, 0
    bad = -1.0 if higher else 1.0
    for _ in range(runs):
        at_margin = {i: _means(rng, 100, bad * 0.2) for i in range(5)}
        tests = segment_tests(at_margin, dict.fromkeys(at_margin, (0.2, False)), higher_is_better=higher)
        false_alarms += any((test.harm_p_adjusted or 1.0) < 0.05 for test in tests.values())
        harmed = {**at_margin, 0: _means(rng, 100, bad * 0.9)}
        test = segment_tests(harmed, dict.fromkeys(harmed, (0.2, False)), higher_is_better=higher)[0]
        found += (test.harm_p_adjusted or 1.0) < 0.05
    assert false_alarms / runs == pytest.approx(0.05, abs=2.5 * math.sqrt(0.05 * 0.95 / runs))
    assert found / runs > 0.95


def test_joined_effects_keep_the_covariance_of_their_arms() -> None:
    one = Effect(Estimate(1.0, 0.04, 99, 100), Estimate(1.5, 0.05, 99, 100), covariance=0.03, own_df=150.0)
    two = Effect(Estimate(2.0, 0.02, 99, 100), Estimate(2.1, 0.02, 99, 100), covariance=0.01, own_df=150.0)
    joined = join([one, two], [3, 1])
    assert joined.difference == pytest.approx(0.75 * 0.5 + 0.25 * 0.1)
    assert joined.variance == pytest.approx(0.75**2 * one.variance + 0.25**2 * two.variance)
    assert joined.df == pytest.approx(
        joined.variance**2 / ((0.75**2 * one.variance) ** 2 / 150 + (0.25**2 * two.variance) ** 2 / 150)
    )


def test_joined_effects_of_independent_arms_are_welch_s() -> None:
    rng = np.random.default_rng(7)
    effect = _means(rng, 40)
    assert join([effect], [2.0]).df == pytest.approx(effect.df)


def _rare(rng: np.random.Generator, rate: float, n_c: int, n_t: int) -> tuple[Effect, RateCounts]:
    s_c, s_t = int(rng.binomial(n_c, rate)), int(rng.binomial(n_t, rate))
    return Effect(rate_estimate(s_c, n_c), rate_estimate(s_t, n_t)), RateCounts.of(s_c, n_c, s_t, n_t)


def test_rare_events_in_small_arms_are_no_harm_and_no_interaction() -> None:
    rng = np.random.default_rng(21)
    runs, segments = 1_200, 4
    harmed = wald_harmed = differs = 0
    for _ in range(runs):
        drawn = [_rare(rng, 0.01, 1_800, 200) for _ in range(segments)]
        effects = dict(enumerate(effect for effect, _ in drawn))
        rates = {at: (counts, (1.0,)) for at, (_, counts) in enumerate(drawn)}
        for tested, which in ((segment_tests(effects, {}, higher_is_better=True, rates=rates), 0),
                              (segment_tests(effects, {}, higher_is_better=True), 1)):  # fmt: skip
            found = any(
                test.harm_p_adjusted is not None and test.harm_p_adjusted < 0.05 for test in tested.values()
            )
            harmed, wald_harmed = harmed + (found and which == 0), wald_harmed + (found and which == 1)
        difference = rate_interaction(list(rates.values()))
        differs += difference is not None and difference.p_value < 0.05
    slack = 2.5 * math.sqrt(0.05 * 0.95 / runs)
    assert harmed / runs <= 0.05 + slack
    assert differs / runs <= 0.05 + slack
    assert wald_harmed / runs > 0.3


def test_interaction_of_rates_is_that_of_effects_where_there_are_many_events() -> None:
    counts = [(500, 1_000, 560, 1_000), (300, 1_000, 310, 1_000), (700, 1_000, 745, 1_000)]
    effects = [Effect(rate_estimate(a, n), rate_estimate(b, m)) for a, n, b, m in counts]
    of_rates = rate_interaction([(RateCounts.of(*each), (1.0,)) for each in counts])
    assert of_rates is not None
    assert of_rates.statistic == pytest.approx(interaction(effects).statistic, rel=0.02)
    assert of_rates.common == pytest.approx(interaction(effects).common, abs=0.001)
    assert (
        rate_interaction([(RateCounts.of(*counts[0]), (1.0,)), (RateCounts.of(0, 9, 0, 9), (1.0,))]) is None
    )


@pytest.mark.slow
def test_calibration_of_interaction_and_of_harm_by_segment(calibration: Calibration) -> None:
    rng, runs = np.random.default_rng(22), 10_000
    ours = naive = 0
    for _ in range(runs):
        found = interaction(
            [_means(rng, n, 0.3, sd) for n, sd in ((12, 1), (12, 3), (15, 1), (30, 2), (12, 1)) * 2]
        )
        ours += found.p_value < 0.05
        naive += chi2.sf(found.statistic, 9) < 0.05
    setting = "ten segments of 12 to 30 units an arm, spreads 1 to 3, the same effect"
    level = calibration.record(
        "Segments: interaction",
        setting,
        "type I error",
        nominal=0.05,
        observed=ours / runs,
        runs=runs,
        seed=22,
    )
    calibration.record(
        "Segments: interaction",
        setting,
        "type I error of Cochran's Q against chi-square",
        nominal=0.05,
        observed=naive / runs,
        runs=runs,
        seed=22,
        bound="beside",
    )
    alarms = 0
    for _ in range(runs):
        at_margin = {i: _means(rng, 100, -0.2) for i in range(5)}
        tests = segment_tests(at_margin, dict.fromkeys(at_margin, (0.2, False)), higher_is_better=True)
        alarms += any((test.harm_p_adjusted or 1.0) < 0.05 for test in tests.values())
    harm = calibration.record(
        "Segments: harm, adjusted by Benjamini and Hochberg",
        "five segments of 100 units an arm, all exactly at their margin",
        "any segment called harmed",
        nominal=0.05,
        observed=alarms / runs,
        runs=runs,
        seed=22,
        bound="at most",
    )
    assert level.kept
    assert harm.kept
