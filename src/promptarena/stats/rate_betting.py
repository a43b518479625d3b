"""Evidence about two rates where it is known how units were split: bets on the randomisation itself.

Because each unit's arm is drawn with a known probability, the weighted outcome Z of a unit has the contrast
of the rates as its mean whatever the rates are, and however they change from day to day. A gambler who bets
that Z will be below a bound gains nothing on average unless it is.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py

from promptarena.stats.rate_contrasts import RateContrast, RateCounts

__all__ = ["betting_log_e_value"]

Vector = NDArray[np.float64]

# Centres evenly spaced in arcsin(sqrt(rate)): with the nearest one the variance is at most 4% above the
# least.
_CENTRES: Final = np.sin(np.arange(9) * (math.pi / 16)) ** 2
# The best stake is of the order of z / sqrt(n) of the largest: 2^-11 serves up to about 1e8 units.
_STAKES: Final = 2.0 ** (-np.arange(23) / 2)


def betting_log_e_value(
    counts: RateCounts, treatment_share: ArrayLike, contrast: RateContrast, bound: float = 0.0
) -> float:
    """Evidence that the contrast a_0 + a_t p_t + a_c p_c of two rates is below `bound`, at any time.

    With w the probability that a unit of the two arms is treated, A its arm (1 if treated), Y its outcome
    and any fixed centre c, Z = a_0 + (a_t + a_c) c + a_t A (Y - c) / w + a_c (1 - A) (Y - c) / (1 - w) has
    the contrast as its mean. The wealth is the product over units of 1 + k (bound - Z) / (max Z - bound);
    as Z takes four values only, it follows from the four counts. e is the average of the wealth over 9
    centres c and 23 stakes k in (0, 1].

    It is exact whatever the rates do over time, as long as at every time their contrast is at least `bound`
    under the null, and units are independent and split as declared. alpha .01 needs a z of about 4.2 at any
    n (`rate_mixture`: 5.2 at 5,000 units an arm, 5.6 at 50,000; a fixed test of one look: 2.3).

    >>> contrast = RateContrast(on_treatment=1, on_control=-1, offset=0)
    >>> counts = RateCounts.of(600, 1000, 500, 1000)
    >>> round(float(np.exp(betting_log_e_value(counts, 0.5, contrast))))
    348

    Args:
        counts: cumulative, of each stratum.
        treatment_share: w, in (0, 1): weight of the treatment over that of both arms; a number, or one a
            stratum.
        contrast: of the true rates.
        bound: the null is contrast >= bound; below `contrast.highest`.

    Returns:
        Natural logarithm of the e-value.

    Raises:
        ValueError: a share outside (0, 1), shares that do not fit the strata, or a bound that is too high.

    Source: Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro 2022, "Anytime-valid off-policy inference for
        contextual bandits", arXiv:2210.10768, with a mixture of fixed bets (grid Kelly: Waudby-Smith and
        Ramdas 2024, arXiv:2010.09686) so that the counts suffice.
    """
    shares = np.asarray(treatment_share, dtype=np.float64)
    if shares.ndim > 1 or shares.size not in (1, len(counts.n_control)):
        raise ValueError("there is one treatment share, or one a stratum")
    if not ((shares > 0) & (shares < 1)).all():
        raise ValueError("a treatment share lies strictly between 0 and 1")
    if not bound < contrast.highest:
        raise ValueError(
            f"a bound of {bound} is not below {contrast.highest}, the most that the contrast can be"
        )
    log_wealth = np.zeros((len(_CENTRES), len(_STAKES)))
    share_of = np.broadcast_to(shares, counts.n_control.shape)
    for stratum, share in enumerate(share_of):
        outcomes = _outcomes(float(share), contrast)
        reach = outcomes.max(axis=0) - bound
        for value, count in zip(outcomes, _cells(counts, stratum), strict=True):
            log_wealth += xlog1py(count, ((bound - value) / reach)[:, None] * _STAKES)
    # scipy's logsumexp costs more than all the rest; a stake of 2^-11 never loses all, so the most is finite.
    most = float(log_wealth.max())
    return most + math.log(float(np.exp(log_wealth - most).sum()) / log_wealth.size)


def _outcomes(share: float, contrast: RateContrast) -> Vector:
    """Z of treated and control units, each with and without an event; shape (4, centres)."""
    treated, control = contrast.on_treatment / share, contrast.on_control / (1 - share)
    base = contrast.offset + (contrast.on_treatment + contrast.on_control) * _CENTRES
    arms = [weight * (event - _CENTRES) for weight in (treated, control) for event in (1.0, 0.0)]
    outcomes: Vector = base + np.stack(arms)
    return outcomes


def _cells(counts: RateCounts, stratum: int) -> tuple[float, float, float, float]:
    """Units in the order of `_outcomes`."""
    s_c, n_c = counts.successes_control[stratum], counts.n_control[stratum]
    s_t, n_t = counts.successes_treatment[stratum], counts.n_treatment[stratum]
    return float(s_t), float(n_t - s_t), float(s_c), float(n_c - s_c)
