"""Critical values of a test that is looked at several times, and the error that they spend.

A test statistic Z_k seen at information I_k = 1 / SE_k^2 crosses when it reaches the critical value c_k.
One-sided tests continue while Z_k < c_k; two-sided ones while |Z_k| < c_k, each side having half of alpha.
Information is given as fractions of the planned maximum; only their ratios and what the spending function
says of them matter, so looks may come at other times than planned, be skipped, or run past the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from promptarena.stats.recursive_integration import HIGHEST_Z, Running
from promptarena.stats.spending import SpendingFunction

__all__ = [
    "REACH",
    "Boundary",
    "Sides",
    "lower_end",
    "sequential_p_value",
    "spending_boundary",
    "supplied_boundary",
    "wang_tsiatis_boundary",
]

Sides = Literal[1, 2]

REACH: Final = 9.0
"""Where a region with no lower boundary is cut: paths without effect are below -9 with probability 1e-19."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """Looks, and what each may reject with."""

    fractions: tuple[float, ...]
    """Information over the planned maximum, increasing."""
    critical_z: tuple[float, ...]
    """One a look; 20, the highest, stands for "nothing may be rejected at this look"."""
    sides: Sides
    """2: the lower side is the mirror image."""
    alpha_spent: tuple[float, ...]
    """Probability, without effect, to have crossed on *one* side by each look (cumulative)."""

    @property
    def alpha(self) -> float:
        """All the error that is spent, both sides together where there are two."""
        return self.sides * self.alpha_spent[-1]

    def running(self, *, lower_z: Sequence[float] = (), reach: float = REACH) -> Iterator[Running]:
        """The paths that come to each look: all of them to the first, those that never crossed to a later
        one.

        Args:
            lower_z: futility boundary of the looks but the last, if paths below it stop.
            reach: where a region with no lower boundary is cut, in standard errors below 0. Paths without
                effect are beyond 9 with probability 1e-19; an effect of -d standard errors needs 9 + d.
        """
        running = Running.start()
        yield running
        for look, (fraction, following) in enumerate(zip(self.fractions, self.fractions[1:], strict=False)):
            high = self.critical_z[look]
            low = lower_z[look] if lower_z else lower_end(high, self.sides, reach)
            running = running.after(fraction, low, high, following)
            yield running


def lower_end(critical_z: float, sides: Sides, reach: float = REACH) -> float:
    """Where the continuation region below a critical value ends: at its mirror image, or out of reach."""
    return -critical_z if sides == 2 else min(0.0, critical_z) - reach


def spending_boundary(
    fractions: Sequence[float],
    spending: SpendingFunction,
    alpha: float = 0.05,
    *,
    sides: Sides = 2,
    final: bool = False,
    past_critical_z: Sequence[float] = (),
) -> Boundary:
    """The boundary at the looks that were taken, or are planned, so far.

    Look k spends what the function allows at its information and earlier looks have not spent (Lan and DeMets
    1983; Jennison and Turnbull 2000, ch. 7). A critical value depends on earlier looks only, so the
    boundary may be asked for look by look and what was answered before stays. A skipped look is simply not in
    the list; the next one spends its share as well.

    Args:
        fractions: increasing information fractions, above 0; from 1 on (over-run) all is spent.
        spending: the function.
        alpha: the whole error, in (0, 1); with two sides each has half of it, through the spending function.
        sides: 1 or 2.
        final: the last of `fractions` is the last look whatever its information, and spends all that is left.
        past_critical_z: critical values which the first looks really used, if they are to stand as they were;
            what they really spent then counts.

    >>> boundary = spending_boundary([0.2, 0.4, 0.6, 0.8, 1], SpendingFunction("obrien-fleming"))
    >>> [round(z, 3) for z in boundary.critical_z]
    [4.877, 3.357, 2.68, 2.29, 2.031]

    Raises:
        ValueError: fractions that do not increase by at least .01% of themselves, or bad alpha or sides.
    """
    return _spending_boundary(tuple(fractions), spending, alpha, sides, final, tuple(past_critical_z))


@lru_cache(maxsize=512)
def _spending_boundary(
    fractions: tuple[float, ...],
    spending: SpendingFunction,
    alpha: float,
    sides: Sides,
    final: bool,
    past_critical_z: tuple[float, ...],
) -> Boundary:
    """Kept, because one readout asks for the same boundary of every guardrail, treatment and look."""
    _check_looks(fractions, sides)
    if len(past_critical_z) > len(fractions):
        raise ValueError(f"{len(past_critical_z)} past critical values for {len(fractions)} looks")
    a_side = alpha / sides
    allowed = [spending.spent(a_side, fraction) for fraction in fractions]
    if final:
        allowed[-1] = a_side
    spent: list[float] = []
    critical: list[float] = []
    running = Running.start()
    for look, fraction in enumerate(fractions):
        before = spent[-1] if spent else 0.0
        if look < len(past_critical_z):
            critical.append(min(past_critical_z[look], HIGHEST_Z))
            spent.append(before + running.above(fraction, critical[-1]))
        else:
            critical.append(running.critical_z(fraction, allowed[look] - before))
            spent.append(max(allowed[look], before))
        if look + 1 < len(fractions):
            low = lower_end(critical[-1], sides)
            running = running.after(fraction, low, critical[-1], fractions[look + 1])
    return Boundary(fractions, tuple(critical), sides, tuple(spent))


def supplied_boundary(
    fractions: Sequence[float], critical_z: Sequence[float], *, sides: Sides = 2
) -> Boundary:
    """A boundary that somebody brings, with the error that it really spends.

    >>> round(supplied_boundary([0.25, 0.5, 0.75, 1], [3.47, 2.45, 2.14, 2.01]).alpha, 4)
    0.0626

    Raises:
        ValueError: lengths differ, a critical value is not finite or, with two sides, not positive, or bad
            fractions.
    """
    _check_looks(fractions, sides)
    if len(fractions) != len(critical_z):
        raise ValueError(f"{len(critical_z)} critical values for {len(fractions)} looks")
    if any(not math.isfinite(z) or (sides == 2 and z <= 0) for z in critical_z):
        raise ValueError("critical values are finite numbers, and positive ones in a two-sided test")
    return spending_boundary(fractions, SpendingFunction(), sides=sides, past_critical_z=critical_z)


def wang_tsiatis_boundary(
    fractions: Sequence[float], alpha: float = 0.05, *, shape: float = 0.0, sides: Sides = 2
) -> Boundary:
    """The classical boundaries c_k = C (I_k / I_K)^(shape - 1/2).

    Wang and Tsiatis (1987), "Approximately optimal one-parameter boundaries for group sequential trials",
    Biometrics 43.

    Args:
        fractions: increasing information fractions.
        alpha: the whole error.
        shape: from 0, O'Brien and Fleming's boundary, to 1/2, Pocock's.
        sides: 1 or 2.

    Raises:
        ValueError: alpha or the shape out of range, or bad fractions or sides.
    """
    _check_looks(fractions, sides)
    if not (0 < alpha < 0.5 and 0 <= shape <= 0.5):
        raise ValueError(f"alpha must lie in (0, 1/2) and the shape in [0, 1/2], not {alpha} and {shape}")
    form = [(fraction / fractions[-1]) ** (shape - 0.5) for fraction in fractions]

    def with_constant(constant: float) -> Boundary:
        return supplied_boundary(fractions, [constant * factor for factor in form], sides=sides)

    # The last look alone spends less than all looks, and all looks less than the sum of what each spends
    # alone.
    least = -float(ndtri(alpha / sides))
    if len(fractions) == 1:
        return with_constant(least)
    most = -float(ndtri(alpha / sides / len(fractions)))
    return with_constant(float(brentq(lambda c: with_constant(c).alpha - alpha, least, most, xtol=1e-12)))


def sequential_p_value(
    z: Sequence[float],
    fractions: Sequence[float],
    spending: SpendingFunction,
    *,
    sides: Sides = 2,
    final: bool = False,
) -> float:
    """The smallest alpha at which the design would have crossed at one of the looks so far.

    It is a p-value at whichever look one stops, so several treatments can be compared by Holm's method (Liu
    and Anderson 2008, "On adaptive extensions of group sequential trials for clinical investigations", JASA
    103; Maurer and Bretz 2013, "Multiple testing in group sequential trials using graphical approaches").

    Args:
        z: statistics, one a look. A two-sided test looks at |z|; where only one direction counts, ask for one
            side and double the answer.
        fractions: information fractions, one a look.
        spending: the function, whose alpha is what varies.
        sides: 1 or 2.
        final: the last look is the last one and spends all.

    Returns:
        In (0, 1]; above .9999 it is 1. A statistic above 20 counts as 20.

    >>> round(sequential_p_value([1.0, 2.5, 2.7], [0.2, 0.4, 0.6], SpendingFunction()), 4)
    0.0481

    Raises:
        ValueError: lengths differ, a statistic is not finite, or bad fractions or sides.
    """
    _check_looks(fractions, sides)
    if len(z) != len(fractions) or not all(map(math.isfinite, z)):
        raise ValueError("a sequential p-value needs one finite statistic for each look")
    seen = [min(abs(value) if sides == 2 else value, HIGHEST_Z - 1e-6) for value in z]

    def excess(x: float) -> float:
        """How far the statistics are beyond the boundary whose error is Phi(-x) a side."""
        boundary = spending_boundary(fractions, spending, sides * float(ndtr(-x)), sides=sides, final=final)
        return max(value - critical for value, critical in zip(seen, boundary.critical_z, strict=True))

    # An error so large that it is not worth telling from 1, and one so small that no statistic can cross.
    lowest = 1e-4 if sides == 2 else -4.0
    highest = max(seen) + 1e-3
    if highest <= lowest or excess(lowest) < 0:
        return 1.0
    return sides * float(ndtr(-brentq(excess, lowest, highest, xtol=1e-10)))


def _check_looks(fractions: Sequence[float], sides: int) -> None:
    if not fractions:
        raise ValueError("a boundary needs at least one look")
    if sides not in (1, 2):
        raise ValueError(f"a test has 1 or 2 sides, not {sides}")
