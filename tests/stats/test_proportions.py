"""Proportions against statsmodels, a slow direct definition, exact enumeration and simulation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint
from tests.calibration import Calibration

from promptarena.stats.proportions import Proportion, proportion

verdicts = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=40)


@given(wins=st.integers(0, 60), losses=st.integers(0, 60), confidence=st.floats(0.5, 0.999))
def test_yes_or_no_answers_get_wilsons_interval_exactly(wins: int, losses: int, confidence: float) -> None:
    n = wins + losses
    if n == 0:
        return
    found = proportion([1.0] * wins + [0.0] * losses, confidence=confidence)
    low, high = proportion_confint(wins, n, alpha=1 - confidence, method="wilson")
    assert found.interval == pytest.approx((low, high), abs=1e-9)
    assert found.effective_n == pytest.approx(n)


@given(scores=verdicts)
def test_what_is_won_by_one_side_is_lost_by_the_other(scores: list[float]) -> None:
    mine, theirs = proportion(scores), proportion([1 - score for score in scores])
    assert (1 - mine.high, 1 - mine.low) == pytest.approx(theirs.interval, abs=1e-9)


@given(scores=verdicts, copies=st.integers(2, 6))
def test_asking_about_the_same_cases_again_adds_no_certainty(scores: list[float], copies: int) -> None:
    once = proportion(scores)
    cases = np.repeat(np.arange(len(scores)), copies)
    again = proportion(np.repeat(scores, copies), cases)
    assert again.interval == pytest.approx(once.interval, abs=1e-9)
    assert again.clusters == once.n


@given(scores=verdicts)
def test_the_interval_is_inside_the_unit_range_and_holds_the_value(scores: list[float]) -> None:
    found = proportion(scores)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high, "no number of cases is certainty"


@given(
    groups=st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=4), min_size=2, max_size=9
    )
)
def test_the_effective_number_comes_from_the_variance_summed_over_pairs(groups: list[list[float]]) -> None:
    size = sum(map(len, groups)) / len(groups)
    weighted = [(score, number, 1.0) for number, group in enumerate(groups) for score in group]
    weighted += [(1.0, -1, size), (0.0, -2, size)]
    total = sum(weight for *_, weight in weighted)
    mean = sum(score * weight for score, _, weight in weighted) / total
    covariances = sum(
        weight * other_weight * (score - mean) * (other - mean)
        for score, group, weight in weighted
        for other, other_group, other_weight in weighted
        if group == other_group
    )
    effect = (covariances / total**2) / (mean * (1 - mean) / total)
    scores = [score for group in groups for score in group]
    names = [f"case-{number}" for number, group in enumerate(groups) for _ in group]
    assert proportion(scores, names).effective_n == pytest.approx(len(scores) / effect)


def test_ties_tell_more_than_coin_tosses_but_not_everything() -> None:
    ties = proportion([0.5] * 80)
    assert ties.value == 0.5
    assert 80 < ties.effective_n < math.inf
    assert 0.48 < ties.low < 0.5 < ties.high < 0.52


@pytest.mark.parametrize(
    ("scores", "clusters"),
    [([], None), ([0.5, 1.1], None), ([-0.1], None), ([math.nan], None), ([[1.0]], None), ([1.0, 0.0], [1])],
)
def test_what_is_no_proportion_is_refused(scores: list[float], clusters: list[int] | None) -> None:
    with pytest.raises(ValueError):
        proportion(scores, clusters)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, math.nan])
def test_a_confidence_outside_0_and_1_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError):
        proportion([1.0, 0.0], confidence=confidence)


def _all_outcomes(n: int, win: float, tie: float) -> Iterator[tuple[float, Proportion]]:
    """Every result of n cases with its probability."""
    loss = 1 - win - tie
    for wins in range(n + 1):
        for ties in range(n - wins + 1):
            losses = n - wins - ties
            if (tie == 0 and ties) or (loss < 1e-9 and losses):
                continue
            log = math.lgamma(n + 1) - math.lgamma(wins + 1) - math.lgamma(ties + 1) - math.lgamma(losses + 1)
            log += wins * math.log(win) + (ties * math.log(tie) if ties else 0)
            log += losses * math.log(loss) if losses else 0
            if log > -20:
                yield math.exp(log), proportion([1.0] * wins + [0.5] * ties + [0.0] * losses)


@pytest.mark.parametrize(("win", "tie"), [(0.5, 0.0), (0.35, 0.3), (0.05, 0.9), (0.9, 0.05)])
def test_the_interval_covers_as_declared_over_all_results_of_forty_cases(win: float, tie: float) -> None:
    truth = win + tie / 2
    covered = sum(p for p, found in _all_outcomes(40, win, tie) if found.low <= truth <= found.high)
    assert covered > 0.93


@pytest.mark.parametrize(("rate", "correlation", "size"), [(0.5, 0.4, 2), (0.8, 0.6, 4)])
def test_clustered_intervals_cover_where_unclustered_ones_do_not(
    rate: float, correlation: float, size: int
) -> None:
    runs = 600
    clustered, plain = _clustered_coverage(np.random.default_rng(20240611), runs, 40, rate, correlation, size)
    assert clustered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
    assert plain < clustered


def _clustered_coverage(
    rng: np.random.Generator, runs: int, cases: int, rate: float, correlation: float, size: int
) -> tuple[float, float]:
    """How often the interval holds the truth, with and without regard to cases."""
    concentration = 1 / correlation - 1
    clustered = plain = 0
    names = np.repeat(np.arange(cases), size)
    for _ in range(runs):
        chance = rng.beta(rate * concentration, (1 - rate) * concentration, cases)
        scores = (rng.random(cases * size) < np.repeat(chance, size)).astype(float)
        with_cases, without = proportion(scores, names), proportion(scores)
        clustered += with_cases.low <= rate <= with_cases.high
        plain += without.low <= rate <= without.high
    return clustered / runs, plain / runs


@given(
    scores=st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(1, 4)), min_size=1, max_size=12)
)
def test_a_weight_is_as_many_scores_of_one_cluster(scores: list[tuple[float, int]]) -> None:
    values, weights = zip(*scores, strict=True)
    copies = [(value, number) for number, (value, weight) in enumerate(scores) for _ in range(weight)]
    repeated, clusters = zip(*copies, strict=True)
    weighted, expected = proportion(values, None, weights), proportion(repeated, clusters)
    assert weighted.value == pytest.approx(expected.value)
    assert weighted.interval == pytest.approx(expected.interval)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -1.0], [1.0, math.inf], [1.0, math.nan]])
def test_what_is_no_weight_is_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError):
        proportion([1.0, 0.0], None, weights)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "correlation", "size"), [(0.5, 0.4, 2), (0.8, 0.6, 4), (0.95, 0.3, 3)])
@pytest.mark.parametrize("cases", [40, 200])
def test_calibration_of_clustered_win_rates(
    rate: float, correlation: float, size: int, cases: int, calibration: Calibration
) -> None:
    rng, runs = np.random.default_rng(33), 5_000
    clustered, plain = _clustered_coverage(rng, runs, cases, rate, correlation, size)
    setting = f"rate {rate:g}, {cases} cases of {size} verdicts, ICC {correlation:g}"
    row = calibration.record(
        "Win rates clustered by case",
        setting,
        "coverage",
        nominal=0.95,
        observed=clustered,
        runs=runs,
        seed=33,
        slack=0.015,
    )
    calibration.record(
        "Win rates clustered by case",
        setting,
        "coverage, every verdict a case",
        nominal=0.95,
        observed=plain,
        runs=runs,
        seed=33,
        bound="beside",
    )
    assert row.kept
