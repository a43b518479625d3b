"""Evidence about two rates from their counts alone, valid at any time: each arm's Beta mixture.

Nothing need be known of how units were split between the arms. Where the split is known, `rate_betting`
asks less of the data and needs fewer of them.
"""

from __future__ import annotations

from typing import Final

from scipy.special import betaln

from promptarena.stats.rate_contrasts import RateContrast, RateCounts
from promptarena.stats.rate_restricted import Arms, log_likelihood, rates_at_bound

__all__ = ["mixture_log_e_value"]

_PRIOR: Final = 0.5
"""Jeffreys' prior: at rare rates it needs less evidence than a flat one, elsewhere hardly more."""


def mixture_log_e_value(counts: RateCounts, contrast: RateContrast, bound: float = 0.0) -> float:
    """Evidence that the contrast of two rates is below `bound`, from cumulative counts at any time.

    In each stratum e = B(s_c + 1/2, f_c + 1/2) B(s_t + 1/2, f_t + 1/2) / pi^2 over the greatest likelihood
    p_c^s_c (1 - p_c)^f_c p_t^s_t (1 - p_t)^f_t of rates whose contrast is at least `bound`. Each arm's
    mixture over its likelihood is a martingale at its true rate, so whatever the true rates of the null
    are, e is never above a product of martingales (universal inference with a mixture). Over strata e
    multiplies.

    It is exact for units that are independent, with rates that do not change within a stratum. The nuisance
    rate costs power that grows with n: alpha .01 at 50,000 units an arm needs a z of about 5.6.

    >>> import math
    >>> contrast = RateContrast(on_treatment=1, on_control=-1, offset=0)
    >>> counts = RateCounts.of(600, 1000, 500, 1000)
    >>> round(math.exp(mixture_log_e_value(counts, contrast)), 1)
    15.8

    Args:
        counts: cumulative, of each stratum.
        contrast: of the true rates.
        bound: the null is contrast >= bound.

    Returns:
        Natural logarithm of the e-value; infinite where no rates of the null could have given these counts.

    Source: Wasserman, Ramdas and Balakrishnan 2020, "Universal inference", PNAS 117(29), its sequential
        form; the mixture is Robbins 1970, "Statistical methods related to the law of the iterated logarithm".
    """
    if bound > contrast.highest:
        return float("inf")
    total = 0.0
    for s_c, n_c, s_t, n_t in zip(
        counts.successes_control,
        counts.n_control,
        counts.successes_treatment,
        counts.n_treatment,
        strict=True,
    ):
        arms = (float(s_c), float(n_c - s_c), float(s_t), float(n_t - s_t))
        evidence = sum(
            float(betaln(successes + _PRIOR, failures + _PRIOR) - betaln(_PRIOR, _PRIOR))
            for successes, failures in (arms[:2], arms[2:])
        )
        total += evidence - _greatest_log_likelihood(arms, contrast, bound)
    return total


def _greatest_log_likelihood(arms: Arms, contrast: RateContrast, bound: float) -> float:
    """Over all rates with contrast >= bound."""
    s_c, f_c, s_t, f_t = arms
    p_c = s_c / (s_c + f_c) if s_c + f_c > 0 else None
    p_t = s_t / (s_t + f_t) if s_t + f_t > 0 else None
    # An arm without units may have any rate, so it takes the one that suits the null best.
    best_c = p_c if p_c is not None else float(contrast.on_control > 0)
    best_t = p_t if p_t is not None else float(contrast.on_treatment > 0)
    if contrast.value(best_c, best_t) >= bound:
        return log_likelihood(arms, best_c, best_t)
    # The likelihood is log-concave and its peak lies outside the null, so its best there is on the edge.
    return log_likelihood(arms, *rates_at_bound(arms, contrast, bound))
