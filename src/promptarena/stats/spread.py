"""How uncertain an effect's estimate will be: its spread, N times its squared standard error with N units in
all.

One function a kind of metric, and factors for designs that change the variance: clusters, covariates,
predictions.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from scipy.special import ndtri

__all__ = [
    "EQUAL_SHARES",
    "Spread",
    "clustered_factor",
    "cuped_factor",
    "lognormal_density",
    "mean_spread",
    "prediction_powered_factor",
    "quantile_spread",
    "rate_spread",
    "ratio_sd",
    "score_spread",
    "win_rate_spread",
]

EQUAL_SHARES: Final = (0.5, 0.5)


class Spread(NamedTuple):
    """N times the squared standard error of an effect's estimate, N units in all."""

    null: float
    """Without effect: what the test's critical value refers to."""
    alternative: float
    """With the effect that is looked for."""

    def times(self, factor: float) -> Spread:
        """The spread when variance is `factor` times as large (clusters) or as small (CUPED)."""
        return Spread(self.null * factor, self.alternative * factor)


def rate_spread(control: float, treatment: float, shares: tuple[float, float] = EQUAL_SHARES) -> Spread:
    """Of a difference of rates p: p (1 - p) / share summed over both arms, pooled without effect.

    Args:
        control: rate, in (0, 1).
        treatment: rate, in (0, 1).
        shares: of all units, that are in control and in treatment; with further variants they sum to less
            than 1.

    Raises:
        ValueError: a rate or a share out of range.
    """
    _check_shares(shares)
    if not (0 < control < 1 and 0 < treatment < 1):
        raise ValueError(f"rates must lie strictly between 0 and 1, not {control} and {treatment}")
    pooled = (shares[0] * control + shares[1] * treatment) / sum(shares)
    return Spread(
        pooled * (1 - pooled) * (1 / shares[0] + 1 / shares[1]),
        control * (1 - control) / shares[0] + treatment * (1 - treatment) / shares[1],
    )


def mean_spread(
    sd: float,
    shares: tuple[float, float] = EQUAL_SHARES,
    *,
    treatment_sd: float | None = None,
    control_scale: float = 1.0,
) -> Spread:
    """Of a difference of means: sd^2 / share summed over both arms.

    A ratio metric is a mean of linearised unit values (x - R y) / mean(y), whose standard deviation is its
    `sd`.

    Args:
        sd: of a unit's value, above 0.
        shares: as in `rate_spread`.
        treatment_sd: where it differs.
        control_scale: c of the contrast treatment - c control, which tests a relative margin (1 - margin or 1
            + it).

    Raises:
        ValueError: a standard deviation that is not positive, or a share out of range.
    """
    _check_shares(shares)
    other = sd if treatment_sd is None else treatment_sd
    if not (0 < sd < math.inf and 0 < other < math.inf):
        raise ValueError(f"standard deviations must be positive, not {sd} and {other}")
    spread = (control_scale * sd) ** 2 / shares[0] + other**2 / shares[1]
    return Spread(spread, spread)


def ratio_sd(
    mean_of: float, sd_of: float, mean_over: float, sd_over: float, correlation: float = 0.0
) -> float:
    """Of a ratio's linearised unit value (x - R y) / mean(y), R = mean(x) / mean(y): `sd` of `mean_spread`.

    >>> round(ratio_sd(0.5, 0.4, 2.5, 1.0, 0.6), 4)
    0.129

    Args:
        mean_of: of the numerator x, over units.
        sd_of: likewise, 0 or more.
        mean_over: of the denominator y; not 0.
        sd_over: likewise, 0 or more.
        correlation: of the two, in [-1, 1].

    Source: Deng, Knoblich and Lu (2018), "Applying the delta method in metric analytics".

    Raises:
        ValueError: an argument out of range.
    """
    if not (math.isfinite(mean_of) and math.isfinite(mean_over) and mean_over != 0):
        raise ValueError(f"a ratio needs finite means and a denominator, not {mean_of} over {mean_over}")
    if not (0 <= sd_of < math.inf and 0 <= sd_over < math.inf and -1 <= correlation <= 1):
        raise ValueError(
            "standard deviations are 0 or more and a correlation lies in [-1, 1],"
            f" not {sd_of}, {sd_over} and {correlation}"
        )
    ratio = mean_of / mean_over
    variance = sd_of**2 + (ratio * sd_over) ** 2 - 2 * ratio * correlation * sd_of * sd_over
    return math.sqrt(max(variance, 0.0)) / abs(mean_over)


def lognormal_density(q: float, value: float, median: float) -> float:
    """Density at their q-quantile of lognormal values with that quantile and median.

    phi(z_q) / (sigma value) with sigma = ln(value / median) / z_q.

    >>> round(1800 * lognormal_density(0.95, 1800, 700), 4)
    0.1796

    Args:
        q: in (0, 1), not 1/2.
        value: the q-quantile, above 0.
        median: on the right side of it.

    Raises:
        ValueError: no lognormal values have such a quantile and median.
    """
    z = float(ndtri(q)) if 0 < q < 1 else 0.0
    if z == 0 or not (0 < value < math.inf and 0 < median < math.inf and (value - median) * z > 0):
        raise ValueError(f"no lognormal values have the median {median} and {value} as their {q} quantile")
    sigma = math.log(value / median) / z
    return math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / (sigma * value)


def quantile_spread(q: float, density: float, shares: tuple[float, float] = EQUAL_SHARES) -> Spread:
    """Of a difference of q-quantiles: q (1 - q) / density^2 / share summed over both arms.

    Args:
        q: in (0, 1).
        density: of the values at their quantile, above 0, per unit of the metric.
        shares: as in `rate_spread`.

    Source: Serfling (1980), "Approximation theorems of mathematical statistics", section 2.3.3.

    Raises:
        ValueError: an argument out of range.
    """
    if not 0 < q < 1 or not 0 < density < math.inf:
        raise ValueError(f"q must lie in (0, 1) and the density be positive, not {q} and {density}")
    return mean_spread(math.sqrt(q * (1 - q)) / density, shares)


def score_spread(null: float, mean: float) -> Spread:
    """Of a mean of scores in [0, 1] against `null`, the greatest that there can be: all scores are 0 or 1.

    >>> score_spread(0.5, 0.6)
    Spread(null=0.25, alternative=0.24)

    Raises:
        ValueError: a null or a mean outside (0, 1).
    """
    if not (0 < null < 1 and 0 < mean < 1):
        raise ValueError(f"means of scores lie strictly between 0 and 1, not {null} and {mean}")
    return Spread(null * (1 - null), mean * (1 - mean))


def win_rate_spread(win_rate: float, ties: float = 0.0) -> Spread:
    """Of a pairwise win rate against 1/2, a tie being half a win: the variance of a case's score.

    Args:
        win_rate: wins plus half of the ties, in (0, 1).
        ties: share of ties, at most 2 min(win_rate, 1 - win_rate).

    Raises:
        ValueError: no such win rate and share of ties together.
    """
    if not 0 < win_rate < 1 or not 0 <= ties <= 2 * min(win_rate, 1 - win_rate):
        raise ValueError(f"no duel has a win rate of {win_rate} with {ties} ties")
    spread = Spread((1 - ties) / 4, win_rate - ties / 4 - win_rate**2)
    if spread.null <= 0 or spread.alternative <= 0:
        raise ValueError("all cases are ties: nothing varies")
    return spread


def clustered_factor(rows: float, icc: float) -> float:
    """Variance of a unit's mean over that of a single row: (1 + (rows - 1) icc) / rows.

    Args:
        rows: a unit, 1 or more.
        icc: intracluster correlation, in [0, 1].

    Source: Donner and Klar (2000), "Design and analysis of cluster randomization trials", ch. 5.

    Raises:
        ValueError: an argument out of range.
    """
    if not 1 <= rows < math.inf or not 0 <= icc <= 1:
        raise ValueError(f"rows a unit must be 1 or more and the ICC in [0, 1], not {rows} and {icc}")
    return (1 + (rows - 1) * icc) / rows


def cuped_factor(correlation: float) -> float:
    """Variance left after adjusting for a covariate: 1 - correlation^2.

    Source: Deng, Xu, Kohavi and Walker (2013), "Improving the sensitivity of online controlled experiments by
    utilizing pre-experiment data".

    Raises:
        ValueError: a correlation of 1 or more in size.
    """
    if not -1 < correlation < 1:
        raise ValueError(f"a covariate's correlation lies strictly between -1 and 1, not {correlation}")
    return 1 - correlation**2


def prediction_powered_factor(correlation: float, labelled_share: float) -> float:
    """Variance of a prediction-powered mean over that of the labels alone: 1 - correlation^2 (1 - labelled
    share).

    The spread times this factor counts *labelled* units.

    Args:
        correlation: between label and prediction.
        labelled_share: labelled units over all that have a prediction, in (0, 1].

    Source: Angelopoulos, Duchi and Zrnic (2023), "PPI++: efficient prediction-powered inference", at the
    tuned lambda.

    Raises:
        ValueError: an argument out of range.
    """
    if not 0 < labelled_share <= 1:
        raise ValueError(f"the labelled share must lie in (0, 1], not {labelled_share}")
    return 1 - (1 - cuped_factor(correlation)) * (1 - labelled_share)


def _check_shares(shares: tuple[float, float]) -> None:
    if not (min(shares) > 0 and sum(shares) <= 1 + 1e-9):
        raise ValueError(f"shares of units must be positive and sum to at most 1, not {shares}")
