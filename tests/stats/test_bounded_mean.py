"""Bounds of a bounded mean: exact for yes-or-no answers, against simulated weights, never wrong too often."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from promptarena.stats import bounded_mean
from promptarena.stats.bounded_mean import bounded_mean_bounds

levels = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=25)


@given(wins=st.integers(0, 60), losses=st.integers(0, 60), alpha=st.floats(0.001, 0.4))
def test_bounds_of_yes_or_no_answers_are_clopper_and_pearsons(wins: int, losses: int, alpha: float) -> None:
    n = wins + losses
    if n == 0:
        return
    found = bounded_mean_bounds([1.0] * wins + [0.0] * losses, alpha=alpha)
    assert found == pytest.approx(proportion_confint(wins, n, alpha=2 * alpha, method="beta"), abs=1e-8)


@pytest.mark.parametrize("n", [1, 4, 25])
def test_bounds_are_quantiles_of_means_under_random_weights(n: int) -> None:
    """The definition itself: cases drawn with Dirichlet weights, and one more case at the far end."""
    rng = np.random.default_rng(n)
    scores, sizes = rng.random(n), rng.uniform(0.5, 3.0, n)
    gains = rng.exponential(size=(400_000, n + 1)) * np.append(sizes / sizes.mean(), 1.0)
    shares = gains / gains.sum(axis=1, keepdims=True)
    low = np.quantile(shares[:, :n] @ scores, 0.05)
    high = np.quantile(shares[:, :n] @ scores + shares[:, n], 0.95)
    assert bounded_mean_bounds(scores, None, sizes, alpha=0.05) == pytest.approx((low, high), abs=0.004)


@given(scores=levels)
def test_what_one_side_gains_the_other_loses(scores: list[float]) -> None:
    low, high = bounded_mean_bounds(scores, alpha=0.05)
    mirrored = bounded_mean_bounds([1 - score for score in scores], alpha=0.05)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)
    assert 0 <= low <= np.mean(scores) + 1e-9
    assert np.mean(scores) - 1e-9 <= high <= 1


@given(scores=levels, better=st.integers(0, 24))
def test_a_better_score_never_lowers_a_bound(scores: list[float], better: int) -> None:
    raised = list(scores)
    raised[better % len(scores)] = 1.0
    before, after = bounded_mean_bounds(scores, alpha=0.05), bounded_mean_bounds(raised, alpha=0.05)
    assert after[0] >= before[0] - 1e-9
    assert after[1] >= before[1] - 1e-9


def test_copies_within_a_cluster_tell_nothing_more() -> None:
    scores = [1.0, 0.5, 0.75, 0.0, 1.0, 1.0]
    once = bounded_mean_bounds(scores, alpha=0.025)
    copied = bounded_mean_bounds(scores * 5, list(range(6)) * 5, alpha=0.025)
    assert copied == pytest.approx(once, abs=1e-9)
    assert bounded_mean_bounds(scores * 5, alpha=0.025)[0] > once[0] + 0.1


def test_the_saddlepoint_is_as_good_as_the_integral(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, clusters = np.random.default_rng(5), 400
    scores, weights = rng.beta(0.4, 0.6, clusters), rng.uniform(0.2, 2.0, clusters)
    exact = bounded_mean_bounds(scores, None, weights, alpha=0.025)
    monkeypatch.setattr(bounded_mean, "_MOST_EXACT", 1)
    assert bounded_mean_bounds(scores, None, weights, alpha=0.025) == pytest.approx(exact, abs=2e-5)


@pytest.mark.parametrize(
    ("n", "win", "tie"), [(10, 0.5, 0.0), (30, 0.35, 0.3), (30, 0.0, 0.9), (60, 0.0, 0.95), (30, 0.05, 0.9)]
)
def test_bounds_never_err_more_often_than_declared_over_all_results(n: int, win: float, tie: float) -> None:
    truth, loss = win + tie / 2, 1 - win - tie
    too_high = too_low = 0.0
    for wins in range(n + 1):
        for ties in range(n - wins + 1):
            counts, chances = (wins, ties, n - wins - ties), (win, tie, loss)
            if any(count and chance < 1e-12 for count, chance in zip(counts, chances, strict=True)):
                continue
            log = math.lgamma(n + 1)
            for count, chance in zip(counts, chances, strict=True):
                log += count * math.log(max(chance, 1e-12)) - math.lgamma(count + 1)
            if log > -11:
                scores = [1.0] * wins + [0.5] * ties + [0.0] * counts[2]
                low, high = bounded_mean_bounds(scores, alpha=0.025)
                too_high += math.exp(log) * (low > truth)
                too_low += math.exp(log) * (high < truth)
    assert too_high <= 0.025
    assert too_low <= 0.025


def _errors(rng: np.random.Generator, runs: int, cases: int, drop: float, size: int) -> float:
    """How often the lower bound lies above the truth where rare cases lose the whole scale."""
    truth, wrong = 0.5 * (1 - drop), 0
    for _ in range(runs):
        scores = np.repeat(np.where(rng.random(cases // size) < drop, 0.0, 0.5), size)
        clusters = np.repeat(np.arange(cases // size), size)
        wrong += bounded_mean_bounds(scores, clusters, alpha=0.025)[0] > truth
    return wrong / runs


@pytest.mark.parametrize(("cases", "drop", "size"), [(200, 0.015, 1), (200, 0.03, 2)])
def test_rare_disasters_are_reckoned_with(cases: int, drop: float, size: int) -> None:
    # A normal bound passes whenever no disaster was drawn: here in about 5% of the samples.
    assert (1 - drop) ** (cases / size) > 0.04
    assert _errors(np.random.default_rng(8), 400, cases, drop, size) <= 0.025


@pytest.mark.parametrize(
    ("scores", "clusters", "weights", "alpha"),
    [
        ([], None, None, 0.025),
        ([1.1], None, None, 0.025),
        ([math.nan], None, None, 0.025),
        ([1.0, 0.0], [1], None, 0.025),
        ([1.0, 0.0], None, [1.0], 0.025),
        ([1.0, 0.0], None, [1.0, 0.0], 0.025),
        ([1.0, 0.0], None, None, 0.5),
        ([1.0, 0.0], None, None, 0.0),
    ],
)
def test_what_has_no_bounds_is_refused(
    scores: list[float], clusters: list[int] | None, weights: list[float] | None, alpha: float
) -> None:
    with pytest.raises(ValueError):
        bounded_mean_bounds(scores, clusters, weights, alpha=alpha)
