"""How many units a comparison needs, what it can find with those it has, and with what probability.

With the spread of an estimate (see `spread`), a test of size alpha with one look finds an effect d with
probability `power` from

    N = (z_alpha sqrt(spread without effect) + z_power sqrt(spread with effect))^2 / d^2

units in all (for rates Fleiss, Levin and Paik 2003, "Statistical methods for rates and proportions", ch. 4,
without continuity correction: the first spread is then that of the pooled rate). Looks multiply N by their
inflation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from promptarena.stats.futility import futility_boundary
from promptarena.stats.group_sequential import Boundary, Sides
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.spread import Spread
from promptarena.stats.stopping import inflation_factor, stopping_probabilities

__all__ = [
    "achieved_power",
    "detectable_effect",
    "price_of_looks",
    "shared_power",
    "units_needed",
    "whole_weeks",
]


def shared_power(power: float, guardrails: int) -> float:
    """Power of each of the primary and G guardrails so that all pass with `power`: 1 - (1 - power) / (G + 1).

    By Bonferroni's inequality, whatever their correlation.

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
    futility: SpendingFunction | None = None,
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
        futility: how the type II error is spent, if looks may end the trial for want of effect.

    >>> from promptarena.stats.spread import rate_spread
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
    return (root / effect) ** 2 * price_of_looks(boundary, power, alpha, futility)


def achieved_power(
    effect: float,
    spread: Spread,
    units: float,
    *,
    alpha: float = 0.05,
    sides: Sides = 2,
    boundary: Boundary | None = None,
    futility_z: Sequence[float] = (),
) -> float:
    """Power of `units` units in all: the inverse of `units_needed`.

    Args:
        effect: as in `units_needed`.
        spread: likewise.
        units: in all.
        alpha: likewise.
        sides: likewise.
        boundary: likewise.
        futility_z: bounds on futility as they were planned, one a look, which do not move with the effect.

    Returns:
        In (alpha of one side, 1); with bounds on futility in (0, 1).

    Raises:
        ValueError: no units, or an argument that `units_needed` refuses.
    """
    if not 0 < units < math.inf:
        raise ValueError(f"there must be units, not {units}")
    if futility_z and boundary is not None:
        # What one look would have says how far the statistic is expected to get.
        once = achieved_power(effect, spread, units, alpha=alpha, sides=sides)
        drift = -float(ndtri(alpha / sides)) + float(ndtri(once))
        return stopping_probabilities(replace(boundary, sides=1), drift, futility_z=futility_z).power

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
    futility: SpendingFunction | None = None,
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
        futility: likewise.

    Returns:
        `None` if not even `most` would be found.

    Raises:
        ValueError: no units, or an argument that `units_needed` refuses.
    """
    if not 0 < units < math.inf:
        raise ValueError(f"there must be units, not {units}")
    fixed_units = units / price_of_looks(boundary, power, alpha, futility)

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


def price_of_looks(
    boundary: Boundary | None, power: float, alpha: float, futility: SpendingFunction | None = None
) -> float:
    """The planned maximum over what one look needs for the same power: looks cost, and so does giving up.

    The upper boundary spends as if nobody ever gave up (a non-binding bound may be overruled); whoever obeys
    it then needs more units for the same power.

    Raises:
        ValueError: power or alpha out of range.
    """
    if boundary is None:
        return 1.0
    if futility is None or len(boundary.fractions) == 1:
        return inflation_factor(boundary, power, alpha)
    # The other side of a two-sided test is never reached by those who give up before it.
    upper = replace(boundary, sides=1)
    return futility_boundary(upper, power, futility, alpha=alpha / boundary.sides).inflation


def _check_errors(alpha: float, power: float, sides: Sides) -> None:
    if sides not in (1, 2) or not 0 < alpha < sides / 2:
        raise ValueError(f"alpha must lie between 0 and {sides / 2}, with 1 or 2 sides, not {alpha}")
    if not alpha / sides < power < 1:
        raise ValueError(f"power must lie between alpha a side ({alpha / sides:.4g}) and 1, not {power}")
