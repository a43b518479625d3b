"""Asymptotic confidence sequences equal the published figures and cover at every look together."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import lambertw
from tests.calibration import Calibration

from promptarena.stats.anytime import AsymptoticSequence, anytime_p_value

Vector = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], tuple[Vector, Vector]]

sizes = st.floats(10, 1e7)
alphas = st.floats(0.001, 0.2)


@pytest.mark.parametrize(("n", "margin"), [(10_000, 0.0306147722), (100_000, 0.0105520700)])
def test_half_widths_equal_the_published_ones(n: int, margin: float) -> None:
    low, high = AsymptoticSequence(5000, 0.05).interval(0.0, 1 / math.sqrt(n), n)
    assert (high - low) / 2 == pytest.approx(margin, abs=5e-11)


def test_always_valid_p_value_equals_the_published_one() -> None:
    n, total = 10_000, 300
    p_value = AsymptoticSequence(5000, 0.05).p_value(total / n, 1 / math.sqrt(n), n)
    assert p_value == pytest.approx(0.0595788925, abs=5e-11)


@pytest.mark.parametrize("z", [-3.0, -0.5, 0.0, 1.0, 4.0])
@pytest.mark.parametrize("n", [200, 5000, 80_000])
def test_evidence_is_the_likelihood_ratio_averaged_over_the_prior(z: float, n: int) -> None:
    sequence = AsymptoticSequence(5000, 0.05)
    total = z * math.sqrt(n)

    def averaged(alpha: float, low: float, weight: float) -> float:
        twice = -2 * math.log(alpha)
        rho = math.sqrt((twice + math.log(twice + 1)) / 5000)

        def integrand(mean: float) -> float:
            prior = math.exp(-0.5 * (mean / rho) ** 2) / (rho * math.sqrt(2 * math.pi))
            return weight * prior * math.exp(mean * total - mean * mean * n / 2)

        value, _ = quad(integrand, low, 10 * rho, points=[0.0, total / n], limit=500)
        return float(value)

    rho = 0.05
    assert math.exp(sequence.log_e_value(z, n)) == pytest.approx(averaged(0.05, -10 * rho, 1.0), rel=1e-6)
    assert math.exp(sequence.one_sided_log_e_value(z, n)) == pytest.approx(averaged(0.1, 0.0, 2.0), rel=1e-6)


@given(n=sizes, n_opt=sizes, alpha=alphas)
def test_p_values_are_dual_to_intervals(n: float, n_opt: float, alpha: float) -> None:
    sequence = AsymptoticSequence(n_opt, alpha)
    low, high = sequence.interval(1.0, 0.2, n)
    assert sequence.p_value(1.0, 0.2, n, null=low) == pytest.approx(alpha, rel=1e-7)
    assert sequence.p_value(1.0, 0.2, n, null=high) == pytest.approx(alpha, rel=1e-7)
    bound = sequence.lower_bound(1.0, 0.2, n)
    assert sequence.one_sided_p_value(1.0, 0.2, n, null=bound) == pytest.approx(alpha, rel=1e-7)
    assert sequence.upper_bound(1.0, 0.2, n) - 1.0 == pytest.approx(1.0 - bound)


@given(n=sizes, n_opt=sizes, alpha=alphas)
def test_one_sided_bounds_are_within_the_published_closed_form(n: float, n_opt: float, alpha: float) -> None:
    twice = -2 * math.log(2 * alpha)
    x = (twice + math.log(twice + 1)) * n / n_opt
    closed = math.sqrt(2 * (1 + x) / x * math.log(1 + math.sqrt(1 + x) / (2 * alpha)))
    exact = AsymptoticSequence(n_opt, alpha).one_sided_multiplier(n)
    assert exact <= closed * (1 + 1e-12)


def test_the_tuning_is_next_to_the_best_at_its_size() -> None:
    for alpha in (0.001, 0.01, 0.05):
        exact = -lambertw(-(alpha**2) * math.exp(-1), -1).real - 1
        best = math.sqrt(2 * (1 + exact) / exact * (math.log1p(exact) / 2 - math.log(alpha)))
        sequence = AsymptoticSequence(5000, alpha)
        assert best <= sequence.multiplier(5000) <= best * 1.001
        # Tuned for another size it is wider here, on either side.
        assert all(AsymptoticSequence(n, alpha).multiplier(5000) > best * 1.02 for n in (500, 50_000))
        one_sided = sequence.one_sided_multiplier(5000)
        others = [AsymptoticSequence(n, alpha).one_sided_multiplier(5000) for n in range(1000, 20_000, 250)]
        assert one_sided <= min(others) * 1.002


def test_p_values_of_overwhelming_and_of_no_evidence() -> None:
    sequence = AsymptoticSequence(5000, 0.05)
    assert sequence.p_value(0.0, 1.0, 1000) == 1.0
    assert sequence.p_value(1000.0, 1.0, 1000) == 0.0
    assert sequence.one_sided_p_value(-1000.0, 1.0, 1000) == 1.0
    assert anytime_p_value(-math.inf) == 1.0


@pytest.mark.parametrize("n_opt", [0, -1.0, math.inf, math.nan])
def test_a_sequence_needs_a_size(n_opt: float) -> None:
    with pytest.raises(ValueError, match="n_opt"):
        AsymptoticSequence(n_opt, 0.05)


@pytest.mark.parametrize("alpha", [0, 0.5, math.nan])
def test_a_sequence_needs_an_error(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        AsymptoticSequence(5000, alpha)


@pytest.mark.parametrize(("standard_error", "n"), [(0.0, 100), (math.nan, 100), (1.0, 0), (1.0, math.inf)])
def test_an_unknown_error_or_size_is_refused(standard_error: float, n: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        AsymptoticSequence(5000, 0.05).interval(0.0, standard_error, n)


def _normal(rng: np.random.Generator, units: int, trials: int) -> tuple[Vector, Vector]:
    """Sum and sum of squares of `units` centred values, for each trial."""
    sums = rng.normal(size=trials) * math.sqrt(units)
    return sums, sums**2 / units + (rng.chisquare(units - 1, size=trials) if units > 1 else 0.0)


def _rate(p: float) -> Draw:
    def draw(rng: np.random.Generator, units: int, trials: int) -> tuple[Vector, Vector]:
        events = rng.binomial(units, p, size=trials).astype(np.float64)
        return events - units * p, events * (1 - 2 * p) + units * p * p

    return draw


def _lognormal(rng: np.random.Generator, units: int, trials: int) -> tuple[Vector, Vector]:
    values = np.exp(rng.normal(size=(trials, units))) - math.exp(0.5)
    return values.sum(axis=1), (values**2).sum(axis=1)


def _ever_wrong(
    draw: Draw, sequence: AsymptoticSequence, *, trials: int, last: int, looks: int, seed: int
) -> tuple[float, float, float]:
    """Share of A/A trials whose interval, lower, upper bound ever miss, from 100 to `last` units an arm."""
    rng = np.random.default_rng(seed)
    sums, squares = np.zeros((2, trials)), np.zeros((2, trials))
    wrong, seen = np.zeros((3, trials), dtype=bool), 0
    for units in np.unique(np.geomspace(100, last, looks).round().astype(int)).tolist():
        for arm in (0, 1):
            added, added_squares = draw(rng, units - seen, trials)
            sums[arm] += added
            squares[arm] += added_squares
        seen = units
        variances = (squares - sums**2 / units) / (units - 1) / units
        error = np.sqrt(np.maximum(variances, 0.0).sum(axis=0))
        z = np.divide((sums[1] - sums[0]) / units, error, out=np.zeros(trials), where=error > 1e-9)
        one_sided = sequence.one_sided_multiplier(2 * units)
        wrong |= [np.abs(z) > sequence.multiplier(2 * units), z > one_sided, z < -one_sided]
    two, low, high = wrong.mean(axis=1).tolist()
    return two, low, high


@pytest.mark.parametrize(("draw", "trials"), [(_normal, 4000), (_rate(0.01), 4000), (_lognormal, 300)])
def test_peeking_errs_no_more_often_than_declared(draw: Draw, trials: int) -> None:
    observed = _ever_wrong(draw, AsymptoticSequence(4000, 0.05), trials=trials, last=4000, looks=60, seed=7)
    assert max(observed) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)
    if draw is _normal:  # and it is not idle: close to the nominal rate it would reach in the end
        assert min(observed) >= 0.01


def test_a_fixed_interval_looked_at_as_often_errs_far_more() -> None:
    class Fixed(AsymptoticSequence):
        def multiplier(self, n: float) -> float:
            return 1.959964 + 0 * n

    observed = _ever_wrong(_normal, Fixed(4000, 0.05), trials=2000, last=4000, looks=60, seed=7)
    assert observed[0] > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(
    ("name", "draw", "trials"),
    [
        ("normal", _normal, 20_000),
        ("rate .01", _rate(0.01), 20_000),
        ("rate .001", _rate(0.001), 20_000),
        ("lognormal", _lognormal, 2000),
    ],
)
def test_calibration_of_coverage_at_all_looks_up_to_100_000(
    name: str, draw: Draw, trials: int, alpha: float, calibration: Calibration
) -> None:
    for n_opt in (1000, 20_000, 200_000):
        sequence = AsymptoticSequence(n_opt, alpha)
        observed = _ever_wrong(draw, sequence, trials=trials, last=100_000, looks=300, seed=11)
        error = math.sqrt(alpha * (1 - alpha) / trials)
        for side, missed in zip(("interval", "lower bound", "upper bound"), observed, strict=True):
            calibration.record(
                "Asymptotic confidence sequences",
                f"{name}, 300 looks from 100 to 100,000 units an arm, tightest at {n_opt:,}, alpha {alpha:g}",
                f"{side} ever misses",
                nominal=alpha,
                observed=missed,
                runs=trials,
                seed=11,
                bound="at most",
            )
        assert max(observed) <= alpha + 2 * error
