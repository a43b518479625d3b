"""The score test of two rates against a margin: the variance is that of the null, not of what was observed.

The observed variance of a rare rate is small just when its events happen to be absent, which makes an arm
with few units look surely better, or worse, than it is: at 90:10 and .5% of events, A/A trials "win" ten
times too often. Under the null both arms speak of one variance.

Rare events are also skewed, and what is skewed in the smaller arm is not made up for by the other: many
events there are more likely than the normal tail says, and few are less. `RateScore.even_z` takes that into
account.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from promptarena.stats.rate_contrasts import RateContrast, RateCounts
from promptarena.stats.rate_restricted import rates_at_bound

__all__ = ["RateScore", "rate_score"]

_NO_SKEW: Final = 1e-9


@dataclass(frozen=True, slots=True)
class RateScore:
    """A contrast of two rates and its moments where the contrast is zero."""

    value: float
    variance: float
    third: float
    """Third central moment."""

    @property
    def z(self) -> float | None:
        """value / standard error; 0 without any event to tell from, `None` where the error is not known."""
        if self.variance > 0:
            return self.value / math.sqrt(self.variance)
        return 0.0 if self.value == 0 else None

    @property
    def even_z(self) -> float | None:
        """`z` on a scale on which both tails are the normal's, as far as skewness goes; `None` as for `z`.

        With A = skewness / 6 the z' that has z = z' + A (z'^2 - 1), the Cornish-Fisher expansion to its first
        term (Laud 2017, "Equal-tailed confidence intervals for comparison of rates", Pharmaceutical
        Statistics 16, whose SCAS method this is). Of equal arms without a margin it is `z`.

        At 90:10 and 2% of events, 200 units in the smaller arm, A/A trials reach 1.96 by `z` in 3.6% on one
        side and 1.2% on the other, and 4.33, an early look's boundary, 19 times as often as they should.
        """
        if (z := self.z) is None or self.variance <= 0:
            return z
        a = float(self.third / self.variance**1.5 / 6)
        if abs(a) < _NO_SKEW:
            return z
        # Beyond the turning point of the parabola the expansion has nothing more to say.
        root: float = math.sqrt(max(1 + 4 * a * (a + z), 0.0))
        return (root - 1) / (2 * a)


def rate_score(counts: RateCounts, contrast: RateContrast, weights: ArrayLike | None = None) -> RateScore:
    """The contrast over strata, with its variance at the restricted maximum likelihood of each stratum.

    For a plain difference against zero this is the pooled z test; with a margin it is Farrington's and
    Manning's (1990, "Test statistics and sample size formulae for comparative binomial trials with null
    hypothesis of non-zero risk difference or non-unity relative risk").

    >>> counts = RateCounts.of(0, 200, 10, 2000)
    >>> score = rate_score(counts, RateContrast(on_treatment=1.0, on_control=-1.0, offset=0.0))
    >>> round(score.z, 3)
    1.002

    Args:
        counts: of each stratum; every arm of every stratum has units.
        contrast: zero at the boundary of the null.
        weights: of the strata, summing to 1; their shares of the units where `None`.

    Raises:
        ValueError: an arm without units.
    """
    if not ((counts.n_control > 0).all() and (counts.n_treatment > 0).all()):
        raise ValueError("a score test needs units in both arms of each stratum")
    units = counts.n_control + counts.n_treatment
    shares = units / units.sum() if weights is None else np.asarray(weights, dtype=np.float64)
    value, variance, third = 0.0, 0.0, 0.0
    strata = zip(
        counts.successes_control,
        counts.n_control,
        counts.successes_treatment,
        counts.n_treatment,
        shares,
        strict=True,
    )
    for s_c, n_c, s_t, n_t, share in strata:
        p, q = rates_at_bound((float(s_c), float(n_c - s_c), float(s_t), float(n_t - s_t)), contrast, 0.0)
        value += share * contrast.value(float(s_c / n_c), float(s_t / n_t))
        variance += share**2 * (
            contrast.on_treatment**2 * q * (1 - q) / n_t + contrast.on_control**2 * p * (1 - p) / n_c
        )
        third += share**3 * (
            contrast.on_treatment**3 * q * (1 - q) * (1 - 2 * q) / n_t**2
            + contrast.on_control**3 * p * (1 - p) * (1 - 2 * p) / n_c**2
        )
    return RateScore(float(value), float(variance), float(third))
