"""Harm is seen at any time, errs no more often than declared, and is seen early where it is large."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.calibration import Calibration

from promptarena.stats.effects import Effect, Estimate, mean_estimate, ratio_estimate
from promptarena.stats.harm import effect_harm, rate_difference_bounds, rate_harm
from promptarena.stats.moments import Moments
from promptarena.stats.rate_betting import betting_log_e_value
from promptarena.stats.rate_contrasts import RateContrast, RateCounts
from promptarena.stats.rate_mixture import mixture_log_e_value

Vector = NDArray[np.float64]

SHARES = [None, 0.5]


def _effect(control: float, treatment: float, error: float, n: tuple[int, int] = (400, 400)) -> Effect:
    variance = error**2 / 2
    return Effect(Estimate(control, variance, n[0] - 1, n[0]), Estimate(treatment, variance, n[1] - 1, n[1]))


def _effect_of(control: Vector, treatment: Vector) -> Effect:
    return Effect(mean_estimate(Moments.from_values(control)), mean_estimate(Moments.from_values(treatment)))


@pytest.mark.parametrize("share", SHARES)
@given(
    events=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    alpha=st.floats(0.001, 0.2),
    margin=st.floats(0, 0.2),
    higher=st.booleans(),
)
def test_harm_is_shown_exactly_where_its_bound_is_below_zero(
    share: float | None, events: tuple[int, int], alpha: float, margin: float, higher: bool
) -> None:
    harm = rate_harm(
        events[0],
        300,
        events[1],
        300,
        alpha=alpha,
        margin=margin,
        higher_is_better=higher,
        treatment_share=share,
    )
    assert harm.shown == (harm.log_e_value >= math.log(1 / alpha)) == (harm.p_value <= alpha)
    if abs(harm.upper) > 1e-9:
        assert harm.shown == (harm.upper < 0)
    good = (events[1] - events[0]) / 300 * (1 if higher else -1)
    assert not (harm.shown and good + margin >= 0)


@pytest.mark.parametrize("share", SHARES)
def test_directions_mirror_each_other(share: float | None) -> None:
    worse = rate_harm(600, 1000, 500, 1000, alpha=0.01, treatment_share=share)
    mirrored = rate_harm(400, 1000, 500, 1000, alpha=0.01, higher_is_better=False, treatment_share=share)
    assert worse.log_e_value == pytest.approx(mirrored.log_e_value, rel=1e-9)
    assert worse.upper == pytest.approx(mirrored.upper, abs=1e-9)


def test_a_relative_margin_is_a_part_of_the_true_control_rate() -> None:
    # 10% of .6 is .06: the same counts, once allowed .06 of a known rate, once 10% of an unknown one.
    known = rate_harm(6000, 10_000, 5200, 10_000, alpha=0.01, margin=0.06, treatment_share=0.5)
    unknown = rate_harm(
        6000, 10_000, 5200, 10_000, alpha=0.01, margin=0.10, relative=True, treatment_share=0.5
    )
    assert unknown.upper == pytest.approx(known.upper, abs=0.004)
    rare = rate_harm(
        100,
        10**6,
        200,
        10**6,
        alpha=0.01,
        margin=0.10,
        relative=True,
        higher_is_better=False,
        treatment_share=0.5,
    )
    assert rare.shown


@settings(max_examples=25)
@pytest.mark.parametrize("share", SHARES)
@given(events=st.tuples(st.integers(0, 200), st.integers(0, 100)), alpha=st.floats(0.001, 0.3))
def test_two_sided_bounds_hold_the_observed_difference(
    share: float | None, events: tuple[int, int], alpha: float
) -> None:
    share = None if share is None else 1 / 3
    low, high = rate_difference_bounds(events[0], 200, events[1], 100, alpha=alpha, treatment_share=share)
    difference = events[1] / 100 - events[0] / 200
    assert -1 <= low <= difference + 1e-9
    assert difference - 1e-9 <= high <= 1
    one_sided = [
        rate_difference_bounds(
            events[0], 200, events[1], 100, alpha=alpha / 2, side=side, treatment_share=share
        )
        for side in ("lower", "upper")
    ]
    assert one_sided == [(pytest.approx(low), 1.0), (-1.0, pytest.approx(high))]


def test_a_rate_of_one_may_be_rounded_above_it() -> None:
    units = 49
    above = units * float(np.nextafter(1.0, 2.0))
    assert above > units
    assert rate_harm(above, units, above, units, alpha=0.01).shown is False


@pytest.mark.parametrize("share", SHARES)
def test_without_units_nothing_is_bounded(share: float | None) -> None:
    assert rate_difference_bounds(0, 0, 0, 0, alpha=0.05, treatment_share=share) == (-1.0, 1.0)
    harm = rate_harm(0, 0, 0, 0, alpha=0.01, treatment_share=share)
    assert (harm.shown, harm.upper, harm.p_value) == (False, 1.0, 1.0)


def test_a_known_split_needs_fewer_units() -> None:
    for n in (500, 5000, 50_000):
        events = (0.6 * n, 0.55 * n)
        known, unknown = (
            rate_difference_bounds(events[0], n, events[1], n, alpha=0.01, treatment_share=share)
            for share in (0.5, None)
        )
        assert known[1] - known[0] < unknown[1] - unknown[0]


def test_an_effect_is_judged_by_the_asymptotic_bound() -> None:
    for higher, treatment in ((True, 4.5), (False, 5.5)):
        harm = effect_harm(_effect(5.0, treatment, 0.1), alpha=0.01, n_opt=2000, higher_is_better=higher)
        assert harm.shown
        assert harm.upper == pytest.approx(-0.157, abs=5e-4)
        near = effect_harm(
            _effect(5.0, treatment, 0.1), alpha=0.01, n_opt=2000, margin=0.2, higher_is_better=higher
        )
        assert not near.shown
        assert near.upper == pytest.approx(harm.upper + 0.2)
    relative = effect_harm(_effect(5.0, 4.5, 0.1), alpha=0.01, n_opt=2000, margin=0.04, relative=True)
    assert relative.upper == pytest.approx(0.04, abs=0.01)


def test_an_effect_of_a_few_units_or_without_variance_is_refused() -> None:
    with pytest.raises(ValueError, match="100 units"):
        effect_harm(_effect(5.0, 4.5, 0.1, (400, 99)), alpha=0.01, n_opt=2000)
    with pytest.raises(ValueError, match="standard error"):
        effect_harm(_effect(5.0, 4.5, 0.0), alpha=0.01, n_opt=2000)


def test_an_alpha_or_a_side_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        rate_harm(1, 2, 1, 2, alpha=0.5)
    with pytest.raises(ValueError, match="side"):
        rate_difference_bounds(1, 2, 1, 2, alpha=0.05, side="left")  # type: ignore[arg-type]


def _rate_trials(
    rates: tuple[float, float],
    share: float,
    last: int,
    *,
    trials: int,
    looks: int,
    known: bool,
    drift: float = 0.0,
    seed: int = 0,
) -> tuple[float, float]:
    """Share of trials that ever show harm at alpha .01, and their mean size then, as a share of `last`.

    Both rates go up and down by `drift` together, from one look to the next.
    """
    rng, contrast = np.random.default_rng(seed), RateContrast(1.0, -1.0, 0.0)
    sizes = np.unique(np.geomspace(20, last, looks).round().astype(int))
    shown, used = 0, 0.0
    for _ in range(trials):
        events, units, seen = np.zeros(2), np.zeros(2), 0
        for look, size in enumerate(sizes.tolist()):
            treated = rng.binomial(size - seen, share)
            arms = np.array([size - seen - treated, treated])
            now = np.clip(np.array(rates) + drift * (-1) ** look, 0, 1)
            events, units, seen = events + rng.binomial(arms, now), units + arms, size
            if events[1] * units[0] >= events[0] * units[1]:
                continue
            counts = RateCounts.of(events[0], units[0], events[1], units[1])
            evidence = (
                betting_log_e_value(counts, share, contrast)
                if known
                else mixture_log_e_value(counts, contrast)
            )
            if evidence >= math.log(100):
                shown, used = shown + 1, used + size / last
                break
    return shown / trials, used / max(shown, 1)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("rate", "share"), [(0.6, 0.5), (0.02, 0.1)])
def test_peeking_for_harm_on_rates_errs_at_most_as_declared(rate: float, share: float, known: bool) -> None:
    shown, _ = _rate_trials((rate, rate), share, 5000, trials=600, looks=30, known=known, seed=19)
    assert shown <= 0.01 + 2 * math.sqrt(0.01 * 0.99 / 600)


def test_large_harm_on_a_rate_is_seen_long_before_the_trial_is_full() -> None:
    # .60 down to .50; a trial planned for .05 at 80% power has 2,942 units.
    shown, used = _rate_trials((0.6, 0.5), 0.5, 2942, trials=300, looks=30, known=True, seed=23)
    assert shown > 0.8
    assert used < 0.7


def _skewed_effect(rng: np.random.Generator, n_control: int, n_treatment: int) -> list[Effect]:
    """Looks at an A/A trial of lognormal values: at a fifth of the units, two fifths, ... all."""
    control, treatment = (np.exp(1.5 * rng.normal(size=n)) for n in (n_control, n_treatment))
    return [_effect_of(control[: n_control * k // 5], treatment[: n_treatment * k // 5]) for k in range(1, 6)]


def test_a_small_arm_of_skewed_values_raises_no_false_alarm() -> None:
    rng = np.random.default_rng(29)
    alarms = naive = 0
    for _ in range(250):
        looks = _skewed_effect(rng, 4500, 500)
        alarms += any(effect_harm(look, alpha=0.01, n_opt=5000).shown for look in looks)
        naive += any(look.z < -3.7 for look in looks)
    assert alarms <= 250 * 0.01 + 2 * math.sqrt(250 * 0.01 * 0.99)
    assert naive >= 8  # a bound at the same distance with the arm's own variance


def test_harm_on_a_ratio_uses_the_delta_method() -> None:
    rng = np.random.default_rng(31)
    rows = rng.poisson(3, size=(2, 2000)) + 1.0
    costs = rows * np.array([[1.0], [1.3]]) + rng.normal(size=(2, 2000))
    control, treatment = (
        ratio_estimate(Moments.from_values(np.stack([costs[arm], rows[arm]], axis=1))) for arm in (0, 1)
    )
    effect = Effect(control, treatment)
    harm = effect_harm(effect, alpha=0.01, n_opt=1000, margin=0.1, relative=True, higher_is_better=False)
    assert harm.shown
    assert not effect_harm(effect, alpha=0.01, n_opt=1000, margin=0.5, relative=True).shown


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("rate", "share", "drift"), [(0.6, 0.5, 0.0), (0.01, 0.5, 0.0), (0.01, 0.1, 0.0), (0.5, 0.3, 0.3)]
)
def test_calibration_of_false_harm_on_rates(
    rate: float, share: float, drift: float, known: bool, calibration: Calibration
) -> None:
    trials = 2000
    shown, _ = _rate_trials(
        (rate, rate), share, 100_000, trials=trials, looks=80, known=known, drift=drift, seed=37
    )
    error = math.sqrt(0.01 * 0.99 / trials)
    calibration.record(
        "Harm bounds",
        f"rate {rate:g}, treated {share:g}, drift {drift:g}, split {'known' if known else 'unknown'}, 80 looks",
        "false harm",
        nominal=0.01,
        observed=shown,
        runs=trials,
        seed=37,
        bound="at most",
    )
    assert shown <= 0.01 + 2 * error


@pytest.mark.slow
@pytest.mark.parametrize(("known", "factor"), [(True, 2.5), (False, 4.0)])
def test_calibration_of_power_to_see_harm_on_rates(
    known: bool, factor: float, calibration: Calibration
) -> None:
    # One-sided at .01, .60 against .55 and 80% power: (2.326 + .842)^2 (.24 + .2475) / .05^2 = 1,957 an arm
    # where looked at once.
    fixed = 2 * 1957
    shown = 0.0
    for size in (1.0, 1.5, 2.0, factor):
        shown, _ = _rate_trials(
            (0.6, 0.55), 0.5, round(fixed * size), trials=500, looks=60, known=known, seed=41
        )
        calibration.record(
            "Harm bounds",
            f"rate .60 down to .55, split {'known' if known else 'unknown'}, {size:g} times the fixed size, 60 looks",
            "harm shown",
            nominal=0.8 if size == factor else None,
            observed=shown,
            runs=500,
            seed=41,
            bound="at least",
        )
    assert shown >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.25, 0.1])
def test_calibration_of_false_harm_on_skewed_values(share: float, calibration: Calibration) -> None:
    rng, trials = np.random.default_rng(43), 2000
    total = round(100 / share) * 20
    treated = round(total * share)
    alarms = np.zeros(trials, dtype=bool)
    for trial in range(trials):
        arms = [np.exp(1.5 * rng.normal(size=n)) for n in (total - treated, treated)]
        for part in np.geomspace(0.05, 1, 40):
            seen = [arm[: max(round(len(arm) * part), 100)] for arm in arms]
            if effect_harm(_effect_of(seen[0], seen[1]), alpha=0.01, n_opt=total / 4).shown:
                alarms[trial] = True
                break
    error = math.sqrt(0.01 * 0.99 / trials)
    calibration.record(
        "Harm bounds",
        f"lognormal values (sigma 1.5), treated {share:g}, 40 looks",
        "false harm",
        nominal=0.01,
        observed=float(alarms.mean()),
        runs=trials,
        seed=43,
        bound="at most",
    )
    assert alarms.mean() <= 0.01 + 2 * error
