"""The mixture's evidence is the least over the whole null, and no null is expected to yield any."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import xlog1py, xlogy

from promptarena.stats.rate_contrasts import RateContrast, RateCounts, margin_rate_contrast
from promptarena.stats.rate_mixture import mixture_log_e_value

DIFFERENCE = RateContrast(on_treatment=1.0, on_control=-1.0, offset=0.0)
CONTRASTS = [
    DIFFERENCE,
    margin_rate_contrast(0.1, relative=False, higher_is_better=True),
    margin_rate_contrast(0.1, relative=False, higher_is_better=False),
    margin_rate_contrast(0.2, relative=True, higher_is_better=True),
    margin_rate_contrast(0.2, relative=True, higher_is_better=False),
]
counts_of_arm = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def _log_likelihood(control: tuple[int, int], treatment: tuple[int, int], p_c: float, p_t: float) -> float:
    (s_c, n_c), (s_t, n_t) = control, treatment
    p_t = min(max(p_t, 0.0), 1.0)
    return float(xlogy(s_c, p_c) + xlog1py(n_c - s_c, -p_c) + xlogy(s_t, p_t) + xlog1py(n_t - s_t, -p_t))


def _log_mixture(successes: int, n: int) -> float:
    def integrand(angle: float) -> float:
        # The angle's density under Jeffreys' prior of sin(angle)^2 is uniform.
        p = math.sin(angle) ** 2
        return math.exp(float(xlogy(successes, p) + xlog1py(n - successes, -p)) - peak) * 2 / math.pi

    rate = successes / n if n else 0.5
    peak = float(xlogy(successes, rate) + xlog1py(n - successes, -rate))
    value, _ = quad(integrand, 0, math.pi / 2, points=[math.asin(math.sqrt(rate))], limit=200)
    return math.log(value) + peak


@given(
    control=counts_of_arm, treatment=counts_of_arm, contrast=st.sampled_from(CONTRASTS), at=st.floats(0, 0.99)
)
def test_the_whole_null_is_searched(
    control: tuple[int, int], treatment: tuple[int, int], contrast: RateContrast, at: float
) -> None:
    bound = contrast.lowest + at * (contrast.highest - contrast.lowest)
    evidence = _log_mixture(*control) + _log_mixture(*treatment)
    found = evidence - mixture_log_e_value(RateCounts.of(*control, *treatment), contrast, bound)
    best = -math.inf
    for p_c in np.linspace(0, 1, 51).tolist():
        edge = (bound - contrast.value(p_c, 0.0)) / contrast.on_treatment
        low, high = (max(edge, 0.0), 1.0) if contrast.on_treatment > 0 else (0.0, min(edge, 1.0))
        if low <= high:
            own = treatment[0] / treatment[1] if treatment[1] else low
            best = max(best, _log_likelihood(control, treatment, p_c, min(max(own, low), high)))
    # No point of the null has a greater likelihood than the one that was found, ...
    assert found >= best - 1e-7


@given(
    control=counts_of_arm, treatment=counts_of_arm, contrast=st.sampled_from(CONTRASTS), at=st.floats(0, 0.99)
)
def test_the_least_evidence_is_reached_within_the_null(
    control: tuple[int, int], treatment: tuple[int, int], contrast: RateContrast, at: float
) -> None:
    bound = contrast.lowest + at * (contrast.highest - contrast.lowest)
    evidence = _log_mixture(*control) + _log_mixture(*treatment)
    found = evidence - mixture_log_e_value(RateCounts.of(*control, *treatment), contrast, bound)

    def best_treatment(p_c: float) -> float:
        edge = (bound - contrast.value(p_c, 0.0)) / contrast.on_treatment
        low, high = (max(edge, 0.0), 1.0) if contrast.on_treatment > 0 else (0.0, min(edge, 1.0))
        if low > high:
            return 1e9 * (1 + low - high)
        own = treatment[0] / treatment[1] if treatment[1] else low
        return -_log_likelihood(control, treatment, p_c, min(max(own, low), high))

    # ... and a search over control's rate, its best treatment rate beside it, comes as near as its steps go.
    start = control[0] / control[1] if control[1] else 0.5
    searches = [
        minimize_scalar(
            best_treatment, bounds=ends, method="bounded", options={"xatol": 1e-12, "maxiter": 2000}
        )
        for ends in ((0.0, 1.0), (max(start - 0.3, 0.0), min(start + 0.3, 1.0)))
    ]
    best = -min(float(search.fun) for search in searches)
    best = max(best, *(-best_treatment(p_c) for p_c in (0.0, start, 1.0)))
    if best > -1e6:
        assert found == pytest.approx(best, abs=1e-4, rel=1e-6)


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("control", [0.02, 0.3, 0.7])
def test_no_mixture_evidence_is_expected_under_any_null(contrast: RateContrast, control: float) -> None:
    n = 12
    chance = [math.comb(n, k) for k in range(n + 1)]
    for treatment in (0.01, 0.2, 0.5, 0.9):
        bound = contrast.value(control, treatment)
        total = 0.0
        for s_c, s_t in itertools.product(range(n + 1), repeat=2):
            weight = chance[s_c] * control**s_c * (1 - control) ** (n - s_c)
            weight *= chance[s_t] * treatment**s_t * (1 - treatment) ** (n - s_t)
            total += weight * math.exp(mixture_log_e_value(RateCounts.of(s_c, n, s_t, n), contrast, bound))
        assert total <= 1


@given(
    control=counts_of_arm,
    treatment=counts_of_arm,
    contrast=st.sampled_from(CONTRASTS),
    ends=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
)
def test_evidence_never_falls_as_the_bound_rises(
    control: tuple[int, int], treatment: tuple[int, int], contrast: RateContrast, ends: tuple[float, float]
) -> None:
    width = contrast.highest - contrast.lowest
    low, high = (contrast.lowest + end * width for end in sorted(ends))
    counts = RateCounts.of(*control, *treatment)
    assert mixture_log_e_value(counts, contrast, low) <= mixture_log_e_value(counts, contrast, high) + 1e-7


def test_evidence_of_several_strata_multiplies() -> None:
    parts = [RateCounts.of(30, 100, 20, 100), RateCounts.of(400, 500, 60, 100)]
    joined = RateCounts.of([30, 400], [100, 500], [20, 60], [100, 100])
    assert mixture_log_e_value(joined, DIFFERENCE) == pytest.approx(
        sum(mixture_log_e_value(part, DIFFERENCE) for part in parts)
    )


def test_no_units_are_no_evidence_and_extremes_are_finite() -> None:
    assert mixture_log_e_value(RateCounts.of(0, 0, 0, 0), DIFFERENCE) == 0
    assert mixture_log_e_value(RateCounts.of(0, 50, 0, 0), DIFFERENCE) <= 0
    worst = RateCounts.of(50, 50, 0, 50)
    assert 20 < mixture_log_e_value(worst, DIFFERENCE) < 80
    assert mixture_log_e_value(worst, DIFFERENCE, 1.1) == math.inf


@pytest.mark.parametrize(("shift", "harmful"), [(0.0, False), (0.002, True)])
def test_ten_million_units_neither_overflow_nor_lose_digits(shift: float, harmful: bool) -> None:
    n = 10_000_000
    counts = RateCounts.of(round(0.6 * n), n, round((0.6 - shift) * n), n)
    evidence = mixture_log_e_value(counts, DIFFERENCE)
    # Twice the log-likelihood ratio is z^2; each arm's mixture costs log(n / (2 pi p q)) / 2 + log(prior).
    z2 = (shift * n) ** 2 / (2 * n * 0.6 * 0.4)
    prior = 1 / (math.pi * math.sqrt(0.24))
    assert evidence == pytest.approx(
        z2 / 2 - math.log(n / (2 * math.pi * 0.24)) + 2 * math.log(prior), abs=0.1
    )
    assert (evidence > math.log(1e6)) == harmful
