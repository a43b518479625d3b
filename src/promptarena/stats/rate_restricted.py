"""The likelihood of two rates from counts, and where it is greatest if their contrast is held at a bound."""

from __future__ import annotations

from typing import Final

from scipy.special import xlog1py, xlogy

from promptarena.stats.rate_contrasts import RateContrast

__all__ = ["Arms", "log_likelihood", "rates_at_bound"]

Arms = tuple[float, float, float, float]
"""Control's successes and failures, treatment's successes and failures."""

_HALVINGS: Final = 100


def rates_at_bound(arms: Arms, contrast: RateContrast, bound: float) -> tuple[float, float]:
    """(control, treatment) rates of the greatest likelihood among those whose contrast equals the bound.

    Along that edge p_t = start + slope p_c, and the sign of the log-likelihood's derivative is that of a
    cubic in p_c that is positive before the peak and negative behind it (Farrington and Manning 1990, "Test
    statistics and sample size formulae for comparative binomial trials").
    """
    s_c, f_c, s_t, f_t = arms
    start = (bound - contrast.offset) / contrast.on_treatment
    slope = -contrast.on_control / contrast.on_treatment
    low, high = 0.0, 1.0
    if slope != 0:
        ends = sorted([-start / slope, (1 - start) / slope])
        low, high = max(low, ends[0]), min(high, ends[1])
    candidates = [low, high]
    for _ in range(_HALVINGS):
        p = (low + high) / 2
        if not low < p < high:  # no number lies between them
            break
        q = start + slope * p
        rise = q * (1 - q) * (s_c - (s_c + f_c) * p) + slope * p * (1 - p) * (s_t - (s_t + f_t) * q)
        low, high = (p, high) if rise > 0 else (low, p)
    best = max((*candidates, (low + high) / 2), key=lambda p: log_likelihood(arms, p, start + slope * p))
    return min(max(best, 0.0), 1.0), min(max(start + slope * best, 0.0), 1.0)


def log_likelihood(arms: Arms, control: float, treatment: float) -> float:
    """Of the counts, at these rates; rates a rounding outside [0, 1] are taken to its end."""
    s_c, f_c, s_t, f_t = arms
    p, q = min(max(control, 0.0), 1.0), min(max(treatment, 0.0), 1.0)
    return float(xlogy(s_c, p) + xlog1py(f_c, -p) + xlogy(s_t, q) + xlog1py(f_t, -q))
