"""How many units a comparison needs, what it can find with those it has, and with what probability.

Everything rests on one number a design: its *spread*, N times the squared standard error of the estimated
effect when N units take part in all. A test of size alpha with one look then has power `power` for an effect
d at

    N = (z_alpha sqrt(spread without effect) + z_power sqrt(spread with effect))^2 / d^2

(Fleiss, Levin and Paik 2003, "Statistical methods for rates and proportions", eq. 4.14 without the continuity
correction, for rates; there the first spread is that of the pooled rate). Looks multiply N by their
inflation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from promptarena.stats.group_sequential import Boundary, Sides
from promptarena.stats.stopping import inflation_factor

__all__ = [
    "EQUAL_SHARES",
    "Spread",
    "achieved_power",
    "clustered_factor",
    "cuped_factor",
    "detectable_effect",
    "mean_spread",
    "prediction_powered_factor",
    "quantile_spread",
    "rate_spread",
    "shared_power",
    "units_needed",
    "whole_weeks",
    "win_rate_spread",
]

EQUAL_SHARES = (0.5, 0.5)


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


def shared_power(power: float, guardrails: int) -> float:
    """Power of each of the primary and its guardrails, so that all pass with `power` (Bonferroni): 1 - beta /
    (G + 1).

    Raises:
        ValueError: power outside (0, 1), or fewer than no guardrails.
    """
    if not 0 < power < 1 or guardrails < 0:
        raise ValueError(
            f"power must lie in (0, 1) and guardrails be 0 or more, not {power} and {guardrails}"
        )
    return 1 - (1 - power) / (guardrails + 1)


def units_needed(
    effect: float,
    spread: Spread,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: Sides = 2,
    boundary: Boundary | None = None,
) -> float:
    """Units in all, of all arms, not rounded.

    Args:
        effect: expected estimate over what the null hypothesis says: a difference, or (non-inferiority)
            difference plus margin. Not 0; its sign does not matter.
        spread: of the estimate.
        alpha: with two sides each has half.
        power: to reject on the side of the effect.
        sides: 1 or 2.
        boundary: looks, with as many sides; none is one look.

    >>> math.ceil(units_needed(0.05, rate_spread(0.60, 0.65)) / 2) * 2
    2942

    Raises:
        ValueError: no effect, or alpha, power or spread out of range.
    """
    if not 0 < abs(effect) < math.inf:
        raise ValueError(f"the effect must be finite and not 0, not {effect}")
    _check_errors(alpha, power, sides)
    if not (spread.null > 0 and spread.alternative > 0):
        raise ValueError("nothing varies: no units are needed to tell the effect")
    root = -float(ndtri(alpha / sides)) * math.sqrt(spread.null) + float(ndtri(power)) * math.sqrt(
        spread.alternative
    )
    return (root / effect) ** 2 * _inflation(boundary, power, alpha)


def achieved_power(
    effect: float,
    spread: Spread,
    units: float,
    *,
    alpha: float = 0.05,
    sides: Sides = 2,
    boundary: Boundary | None = None,
) -> float:
    """Power of `units` units in all: the inverse of `units_needed`.

    Returns:
        In (alpha of one side, 1).

    Raises:
        ValueError: no units, or an argument that `units_needed` refuses.
    """
    if not 0 < units < math.inf:
        raise ValueError(f"there must be units, not {units}")

    def needed(power: float) -> float:
        return units_needed(effect, spread, alpha=alpha, power=power, sides=sides, boundary=boundary)

    least, most = alpha / sides + 1e-9, 1 - 1e-9
    if boundary is not None:
        least = max(least, boundary.alpha_spent[-1] + 1e-9)
    if needed(least) >= units:
        return least
    if needed(most) <= units:
        return most
    root = brentq(
        lambda z: needed(float(ndtr(z))) - units, float(ndtri(least)), float(ndtri(most)), xtol=1e-10
    )
    return float(ndtr(root))


def detectable_effect(
    spread: Callable[[float], Spread],
    units: float,
    *,
    most: float = math.inf,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: Sides = 2,
    boundary: Boundary | None = None,
) -> float | None:
    """The smallest effect found with `power` by `units` units in all (MDE).

    Args:
        spread: of an effect; a rate's depends on it.
        units: in all.
        most: effects are looked for in (0, most); for a rate 1 - control, or control for a fall.
        alpha: as in `units_needed`.
        power: likewise.
        sides: likewise.
        boundary: likewise.

    Returns:
        `None` if not even `most` would be found.

    Raises:
        ValueError: no units, or an argument that `units_needed` refuses.
    """
    if not 0 < units < math.inf:
        raise ValueError(f"there must be units, not {units}")
    fixed_units = units / _inflation(boundary, power, alpha)

    def excess(effect: float) -> float:
        needed = units_needed(effect, spread(effect), alpha=alpha, power=power, sides=sides)
        return math.log(needed / fixed_units)

    high = most * (1 - 1e-9) if most < math.inf else 1.0
    while most == math.inf and excess(high) > 0:
        high *= 2
    if excess(high) > 0:
        return None
    low = high
    while excess(low) <= 0:
        low /= 2
    return float(brentq(excess, low, high, xtol=1e-15, rtol=1e-12))


def whole_weeks(units: float, daily_units: Sequence[float]) -> int:
    """Days, in whole weeks, until `units` have come.

    Whole weeks hold every day of the week equally often, so a weekly cycle cannot pass for an effect.

    Args:
        units: that are needed.
        daily_units: one number, or seven (one a day of the week).

    >>> whole_weeks(3000, [300])
    14

    Raises:
        ValueError: neither one nor seven numbers, a negative one, or none positive.
    """
    if len(daily_units) not in (1, 7) or any(not 0 <= day < math.inf for day in daily_units):
        raise ValueError("daily units are one number, or seven of a week, none negative")
    weekly = math.fsum(daily_units) * (7 / len(daily_units))
    if weekly <= 0:
        raise ValueError("with no daily units no number is ever reached")
    return 7 * math.ceil(units / weekly - 1e-9)


def _inflation(boundary: Boundary | None, power: float, alpha: float) -> float:
    return 1.0 if boundary is None else inflation_factor(boundary, power, alpha)


def _check_shares(shares: tuple[float, float]) -> None:
    if not (min(shares) > 0 and sum(shares) <= 1 + 1e-9):
        raise ValueError(f"shares of units must be positive and sum to at most 1, not {shares}")


def _check_errors(alpha: float, power: float, sides: Sides) -> None:
    if sides not in (1, 2) or not 0 < alpha < sides / 2:
        raise ValueError(f"alpha must lie between 0 and {sides / 2}, with 1 or 2 sides, not {alpha}")
    if not alpha / sides < power < 1:
        raise ValueError(f"power must lie between alpha a side ({alpha / sides:.4g}) and 1, not {power}")
