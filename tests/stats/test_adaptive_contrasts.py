"""Contrasts under a bandit: equal to the sum over units, valid at every look where pooled means are not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.calibration import Bound, Calibration

from promptarena.stats.adaptive_contrasts import EpochArms, adaptive_contrast
from promptarena.stats.anytime import AsymptoticSequence
from promptarena.stats.bandits import ThompsonSampling
from promptarena.stats.moments import Moments
from promptarena.stats.posteriors import BetaPosterior, NormalPosterior
from promptarena.stats.rate_betting import betting_log_e_value
from promptarena.stats.rate_contrasts import RateContrast, RateCounts

Vector = NDArray[np.float64]
RULE = ThompsonSampling(least_share=0.05, burn_in=100)


def _unit_rows(
    rng: np.random.Generator, shares: list[float], sizes: list[int]
) -> list[tuple[Vector, Vector]]:
    rows = []
    for epoch, (share, n) in enumerate(zip(shares, sizes, strict=True)):
        treated = (rng.random(n) < share).astype(float)
        rows.append((treated, rng.gamma(2, 1, n) + 0.3 * treated + epoch))
    return rows


def _epochs(rows: list[tuple[Vector, Vector]], shares: list[float]) -> list[EpochArms]:
    return [
        EpochArms(Moments.from_values(y[a == 0]), Moments.from_values(y[a == 1]), share)
        for (a, y), share in zip(rows, shares, strict=True)
    ]


@pytest.mark.parametrize("weights", ["precision", "units"])
@pytest.mark.parametrize(("on_treatment", "on_control"), [(1.0, -1.0), (1.0, -0.9), (0.0, 1.0)])
def test_estimate_and_error_are_those_of_the_sum_over_units(
    weights: str, on_treatment: float, on_control: float
) -> None:
    shares, sizes = [0.5, 0.8, 0.3, 0.95], [400, 150, 100, 80]
    rows = _unit_rows(np.random.default_rng(1), shares, sizes)
    top = bottom = variance = 0.0
    seen_a, seen_y = np.zeros(0), np.zeros(0)
    for number, ((a, y), share) in enumerate(zip(rows, shares, strict=True)):
        h = share * (1 - share) if weights == "precision" else 1.0
        if number == 0:
            arms = [(on_control, y[a == 0]), (on_treatment, y[a == 1])]
            mean = sum(c * v.mean() for c, v in arms)
            spread = len(y) ** 2 * sum(c * c * v.var(ddof=1) / len(v) for c, v in arms)
        else:
            m_c, m_t = seen_y[seen_a == 0].mean(), seen_y[seen_a == 1].mean()
            base = on_treatment * m_t + on_control * m_c
            z = base + on_treatment * a * (y - m_t) / share + on_control * (1 - a) * (y - m_c) / (1 - share)
            mean, spread = z.mean(), ((z - base) ** 2).sum()
        top, bottom, variance = top + h * len(y) * mean, bottom + h * len(y), variance + h * h * spread
        seen_a, seen_y = np.concatenate([seen_a, a]), np.concatenate([seen_y, y])
    found = adaptive_contrast(
        _epochs(rows, shares),
        alpha=0.05,
        n_opt=1000,
        on_treatment=on_treatment,
        on_control=on_control,
        weights=weights,  # type: ignore[arg-type]
    )
    assert found.value == pytest.approx(top / bottom)
    assert found.standard_error == pytest.approx(math.sqrt(variance) / bottom)
    assert (found.units, found.epochs) == (730, 4)


def test_one_epoch_is_the_plain_difference_with_the_usual_sequence() -> None:
    rows = _unit_rows(np.random.default_rng(2), [0.5], [600])
    found = adaptive_contrast(_epochs(rows, [0.5]), alpha=0.05, n_opt=2000)
    a, y = rows[0]
    difference = y[a == 1].mean() - y[a == 0].mean()
    error = math.sqrt(sum(y[a == arm].var(ddof=1) / (a == arm).sum() for arm in (0, 1)))
    low, high = AsymptoticSequence(2000, 0.05).interval(difference, error, 600)
    assert (found.low, found.high) == pytest.approx((low, high))
    lower = AsymptoticSequence(2000, 0.05).lower_bound(difference, error, 600)
    assert found.lower_bound == pytest.approx(lower)
    assert found.upper_bound - difference == pytest.approx(difference - lower)


def test_p_values_agree_with_intervals() -> None:
    rng = np.random.default_rng(3)
    decided = set()
    for shift in np.linspace(-0.6, 0.6, 25):
        rows = [(a, y + shift * a) for a, y in _unit_rows(rng, [0.5, 0.8], [400, 300])]
        found = adaptive_contrast(_epochs(rows, [0.5, 0.8]), alpha=0.05, n_opt=1000)
        assert (found.p_value <= 0.05) == (not found.low <= 0 <= found.high)
        assert (found.one_sided_p_value <= 0.05) == (found.lower_bound >= 0)
        decided.add(found.p_value <= 0.05)
    assert decided == {True, False}


def test_precision_weights_ignore_a_drift_that_pooling_takes_for_an_effect() -> None:
    rng = np.random.default_rng(4)
    shares, sizes = [0.5, 0.9], [4000, 4000]
    rows = [
        (a, rng.normal(5.0 * epoch, 1, len(a))) for epoch, (a, _) in enumerate(_unit_rows(rng, shares, sizes))
    ]
    found = adaptive_contrast(_epochs(rows, shares), alpha=0.05, n_opt=4000)
    a, y = (np.concatenate(column) for column in zip(*rows, strict=True))
    assert y[a == 1].mean() - y[a == 0].mean() > 1
    assert found.low < 0 < found.high


def test_unit_weights_average_an_effect_that_changes_over_the_units() -> None:
    rng = np.random.default_rng(5)
    shares, sizes, effects = [0.5, 0.9], [20_000, 60_000], [0.0, 1.0]
    rows = [
        (a, rng.normal(0, 1, len(a)) + effect * a)
        for (a, _), effect in zip(_unit_rows(rng, shares, sizes), effects, strict=True)
    ]
    epochs = _epochs(rows, shares)
    by_units = adaptive_contrast(epochs, alpha=0.05, n_opt=4000, weights="units")
    by_precision = adaptive_contrast(epochs, alpha=0.05, n_opt=4000)
    assert by_units.value == pytest.approx(0.75, abs=0.05)
    assert by_precision.value == pytest.approx(0.09 * 3 / (0.25 + 0.09 * 3), abs=0.05)
    assert by_precision.standard_error < by_units.standard_error


def _arm(events: int, n: int) -> Moments:
    if n == 0:
        return Moments.empty(1)
    return Moments(n, np.array([events / n]), np.array([[events * (1 - events / n)]]))


def _bandit_trial(
    rng: np.random.Generator, rates: Callable[[int], float], epochs: int, batch: int
) -> tuple[bool, bool, bool]:
    """Of two equal arms: whether the sequence, pooling at any look, and pooling at the end see a difference."""
    beliefs, share, seen = [BetaPosterior.prior()] * 2, 0.5, []
    events, units = np.zeros(2), np.zeros(2)
    wrong = pooled_ever = pooled = False
    for epoch in range(epochs):
        n = max(batch, 300) if epoch == 0 else batch
        treated = int(rng.binomial(n, share))
        sizes = (n - treated, treated)
        hits = [int(rng.binomial(size, rates(epoch))) for size in sizes]
        seen.append(EpochArms(_arm(hits[0], sizes[0]), _arm(hits[1], sizes[1]), share))
        beliefs = [belief.updated(h, size) for belief, h, size in zip(beliefs, hits, sizes, strict=True)]
        share = float(RULE.allocation(beliefs).weights[1])
        found = adaptive_contrast(seen, alpha=0.05, n_opt=2000)
        wrong |= not found.low <= 0 <= found.high
        events, units = events + hits, units + sizes
        means = events / units
        pooled = bool(abs(means[1] - means[0]) > 1.96 * math.sqrt((means * (1 - means) / units).sum()))
        pooled_ever |= pooled
    return wrong, pooled_ever, pooled


def _error_rates(rates: Callable[[int], float], *, trials: int, epochs: int, batch: int, seed: int) -> Vector:
    rng = np.random.default_rng(seed)
    found: Vector = np.array([_bandit_trial(rng, rates, epochs, batch) for _ in range(trials)]).mean(axis=0)
    return found


def _steady(_epoch: int) -> float:
    return 0.2


def _rising(epoch: int) -> float:
    return 0.1 + 0.03 * epoch


def test_under_thompson_sampling_the_sequence_holds_at_every_look_where_pooling_fails() -> None:
    wrong, pooled_ever, _ = _error_rates(_steady, trials=250, epochs=10, batch=300, seed=6)
    assert wrong <= 0.05
    assert pooled_ever > 0.15


def test_under_thompson_sampling_and_drift_pooling_is_nearly_always_wrong() -> None:
    wrong, _, pooled = _error_rates(_rising, trials=250, epochs=10, batch=300, seed=7)
    assert wrong <= 0.065
    assert pooled > 0.9


def test_betting_with_the_shares_by_epoch_holds_under_thompson_sampling_from_the_first_unit() -> None:
    rng, rule, wrong = np.random.default_rng(10), ThompsonSampling(least_share=0.05, burn_in=5), 0
    sides = [RateContrast(sign, -sign, 0.0) for sign in (1.0, -1.0)]
    for _ in range(200):
        beliefs, share, missed = [BetaPosterior.prior()] * 2, 0.5, False
        rows: list[tuple[int, int, int, int]] = []
        shares: list[float] = []
        for epoch in range(12):
            treated = int(rng.binomial(25, share))
            sizes = (25 - treated, treated)
            hits = [int(rng.binomial(size, _rising(epoch))) for size in sizes]
            rows.append((hits[0], sizes[0], hits[1], sizes[1]))
            shares.append(share)
            beliefs = [belief.updated(h, size) for belief, h, size in zip(beliefs, hits, sizes, strict=True)]
            share = float(rule.allocation(beliefs).weights[1])
            columns = np.array(rows).T
            counts = RateCounts.of(columns[0], columns[1], columns[2], columns[3])
            missed |= any(betting_log_e_value(counts, shares, side) >= math.log(40) for side in sides)
        wrong += missed
    assert wrong / 200 <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rates", "batch"), [(_steady, 100), (_steady, 1000), (_rising, 100), (_rising, 1000)]
)
def test_the_sequence_keeps_its_error_under_thompson_sampling(
    rates: Callable[[int], float], batch: int, calibration: Calibration
) -> None:
    # .05 plus 3 Monte-Carlo errors of 2,000 trials.
    wrong, pooled_ever, pooled = _error_rates(rates, trials=2000, epochs=10, batch=batch, seed=8)
    figures: tuple[tuple[str, float, Bound], ...] = (
        ("ever misses", wrong, "at most"),
        ("pooled means ever differ", pooled_ever, "beside"),
        ("pooled means differ at the end", pooled, "beside"),
    )
    for figure, observed, bound in figures:
        calibration.record(
            "Contrasts under Thompson sampling",
            f"{'rising' if rates is _rising else 'steady'} rates, 10 epochs of {batch} units",
            figure,
            nominal=0.05,
            observed=observed,
            runs=2000,
            seed=8,
            bound=bound,
        )
    assert wrong <= 0.065


@pytest.mark.slow
def test_the_sequence_keeps_its_error_for_skewed_values(calibration: Calibration) -> None:
    rng, wrong, trials = np.random.default_rng(9), 0, 1000
    for _ in range(trials):
        beliefs: list[NormalPosterior] = []
        share, seen, missed = 0.5, [], False
        for epoch in range(12):
            n = 400 if epoch == 0 else 200
            treated = int(rng.binomial(n, share))
            arms = [
                Moments.from_values(rng.lognormal(0, 1, size).reshape(-1, 1))
                for size in (n - treated, treated)
            ]
            seen.append(EpochArms(arms[0], arms[1], share))
            if epoch == 0:
                beliefs = [NormalPosterior.of(arm) for arm in arms]
            else:
                beliefs = [belief.updated(arm) for belief, arm in zip(beliefs, arms, strict=True)]
            share = float(RULE.allocation(beliefs).weights[1])
            found = adaptive_contrast(seen, alpha=0.05, n_opt=2000)
            missed |= not found.low <= 0 <= found.high
        wrong += missed
    calibration.record(
        "Contrasts under Thompson sampling",
        "lognormal values (sigma 1), 12 epochs of 200 units",
        "ever misses",
        nominal=0.05,
        observed=wrong / trials,
        runs=trials,
        seed=9,
        bound="at most",
    )
    assert wrong / trials <= 0.07


def test_epochs_that_make_no_sense_are_refused() -> None:
    some, few = Moments.from_values([0.0, 1.0] * 60), Moments.from_values([0.0, 1.0] * 20)
    flat = Moments.from_values([1.0] * 120)
    with pytest.raises(ValueError, match="100 units"):
        adaptive_contrast([EpochArms(some, few, 0.5)], alpha=0.05, n_opt=100)
    with pytest.raises(ValueError, match="strictly between"):
        adaptive_contrast([EpochArms(some, some, 1.0)], alpha=0.05, n_opt=100)
    with pytest.raises(ValueError, match="at least one epoch"):
        adaptive_contrast([], alpha=0.05, n_opt=100)
    with pytest.raises(ValueError, match="no spread"):
        adaptive_contrast([EpochArms(flat, flat, 0.5)], alpha=0.05, n_opt=100)
    with pytest.raises(ValueError, match="coefficient"):
        adaptive_contrast([EpochArms(some, some, 0.5)], alpha=0.05, n_opt=100, on_treatment=0, on_control=0)
    with pytest.raises(ValueError, match="precision or units"):
        adaptive_contrast([EpochArms(some, some, 0.5)], alpha=0.05, n_opt=100, weights="best")  # type: ignore[arg-type]


def test_an_epoch_in_which_an_arm_got_no_unit_counts_too() -> None:
    some = Moments.from_values([0.0, 1.0, 1.0] * 60)
    first = EpochArms(some, some, 0.5)
    lopsided = EpochArms(Moments.empty(1), Moments.from_values([1.0, 1.0, 0.0]), 0.95)
    found = adaptive_contrast(
        [first, lopsided, EpochArms(Moments.empty(1), Moments.empty(1), 0.9)], alpha=0.05, n_opt=500
    )
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.units == 363
