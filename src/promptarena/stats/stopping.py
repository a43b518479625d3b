"""What a sequential design does when there is an effect: where it stops and how much it needs.

The effect is given as a drift: the expected statistic at information 1, the planned maximum. With a
difference d and standard error SE at the planned size, drift = d / SE; the statistic at information t has
mean drift sqrt(t).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scipy.optimize import brentq
from scipy.special import ndtri

from promptarena.stats.group_sequential import REACH, Boundary, lower_end
from promptarena.stats.recursive_integration import Running

__all__ = [
    "Stopping",
    "conditional_power",
    "drift_for_power",
    "inflation_factor",
    "stopping_probabilities",
]


@dataclass(frozen=True, slots=True)
class Stopping:
    """Where a design stops under one drift."""

    fractions: tuple[float, ...]
    upper: tuple[float, ...]
    """Probability to cross the upper boundary first at each look."""
    lower: tuple[float, ...]
    """Probability to cross the lower boundary first at each look: the mirror image, or futility."""

    @property
    def power(self) -> float:
        """Probability to cross the upper boundary at all."""
        return math.fsum(self.upper)

    @property
    def expected_information(self) -> float:
        """Information at the stop, on average; times the planned total it is the expected number of units."""
        stops = [up + down for up, down in zip(self.upper, self.lower, strict=True)]
        running = 1 - math.fsum(stops[:-1])
        early = zip(self.fractions[:-1], stops[:-1], strict=True)
        return math.fsum(fraction * stop for fraction, stop in early) + self.fractions[-1] * running


def stopping_probabilities(boundary: Boundary, drift: float, *, futility_z: Sequence[float] = ()) -> Stopping:
    """Probabilities to stop at each look (Jennison and Turnbull 2000, ch. 19).

    Args:
        boundary: the looks.
        drift: expected statistic at information 1; negative drifts are effects in the wrong direction.
        futility_z: of a one-sided boundary, one a look: paths at or below it stop.

    Raises:
        ValueError: a futility boundary that does not fit the looks, or meets the upper one too early.
    """
    if futility_z and (len(futility_z) != len(boundary.fractions) or boundary.sides != 1):
        raise ValueError("a futility boundary has one value for each look of a one-sided boundary")
    upper, lower = [], []
    reach = REACH + max(0.0, -drift) * math.sqrt(boundary.fractions[-1])
    for look, running in enumerate(boundary.running(lower_z=futility_z[:-1], reach=reach)):
        fraction, critical = boundary.fractions[look], boundary.critical_z[look]
        upper.append(running.above(fraction, critical, drift))
        if boundary.sides == 2:
            lower.append(running.below(fraction, -critical, drift))
        else:
            lower.append(running.below(fraction, futility_z[look], drift) if futility_z else 0.0)
    return Stopping(boundary.fractions, tuple(upper), tuple(lower))


def drift_for_power(boundary: Boundary, power: float) -> float:
    """The drift at which the upper boundary is crossed with a given probability.

    >>> from promptarena.stats.group_sequential import supplied_boundary
    >>> round(drift_for_power(supplied_boundary([1], [1.959964]), 0.8), 4)
    2.8016

    Raises:
        ValueError: power outside (alpha of one side, 1).
    """
    if not boundary.alpha_spent[-1] < power < 1:
        raise ValueError(
            f"power must lie between what one side spends ({boundary.alpha_spent[-1]:.4g}) and 1, not {power}"
        )
    root = math.sqrt(boundary.fractions[-1])
    # Whose last statistic is beyond the critical value has crossed, then or before, but for the lower side.
    most = (boundary.critical_z[-1] + max(float(ndtri(power)), 0.0) + 2) / root
    running = list(boundary.running())

    def excess(drift: float) -> float:
        looks = zip(running, boundary.fractions, boundary.critical_z, strict=True)
        return math.fsum(paths.above(fraction, z, drift) for paths, fraction, z in looks) - power

    return float(brentq(excess, 0.0, most, xtol=1e-12))


def inflation_factor(boundary: Boundary, power: float, alpha: float) -> float:
    """Planned maximum information over that of a test with one look, the same alpha and the same power.

    (drift / (z_{1 - alpha_side} + z_{power}))^2 (Jennison and Turnbull 2000, ch. 2).

    Args:
        boundary: the looks.
        power: in (alpha of one side, 1).
        alpha: of the test with one look, both sides together where there are two.

    >>> from promptarena.stats.group_sequential import spending_boundary
    >>> from promptarena.stats.spending import SpendingFunction
    >>> five = spending_boundary([0.2, 0.4, 0.6, 0.8, 1], SpendingFunction("obrien-fleming"), 0.05)
    >>> round(inflation_factor(five, 0.8, 0.05), 5)
    1.02472

    Raises:
        ValueError: power or alpha out of range.
    """
    if not 0 < alpha < boundary.sides / 2:
        raise ValueError(f"alpha must lie between 0 and {boundary.sides / 2}, not {alpha}")
    fixed = -float(ndtri(alpha / boundary.sides)) + float(ndtri(power))
    sequential = drift_for_power(boundary, power) * math.sqrt(boundary.fractions[-1])
    return (sequential / fixed) ** 2


def conditional_power(boundary: Boundary, look: int, z: float, drift: float | None = None) -> float:
    """Probability to cross the upper boundary at a later look, given the statistic at this one.

    Args:
        boundary: all looks, those to come included.
        look: index, from 0, of a look that is not the last.
        z: its statistic, which did not stop the trial.
        drift: assumed from here on; the current trend z / sqrt(t) if none.

    Source: Lan and Wittes (1988), "The B-value: a tool for monitoring data", Biometrics 44; Jennison and
    Turnbull (2000),ch. 10.

    Raises:
        ValueError: no later look.
    """
    if not 0 <= look < len(boundary.fractions) - 1:
        raise ValueError(f"look {look} of {len(boundary.fractions)} has none after it")
    now = boundary.fractions[look]
    drift = z / math.sqrt(now) if drift is None else drift
    running = Running.start(now, z * math.sqrt(now))
    reach = REACH + max(0.0, -drift) * math.sqrt(boundary.fractions[-1]) + max(0.0, -z)
    crossed = []
    later = list(zip(boundary.fractions, boundary.critical_z, strict=True))[look + 1 :]
    for (fraction, critical), following in pairwise([*later, (math.inf, math.inf)]):
        crossed.append(running.above(fraction, critical, drift))
        if following[0] < math.inf:
            low = lower_end(critical, boundary.sides, reach)
            running = running.after(fraction, low, critical, following[0])
    return min(1.0, math.fsum(crossed))
