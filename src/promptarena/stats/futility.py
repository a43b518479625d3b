"""Giving up early: a boundary below which going on is unlikely to end in a rejection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ndtri

from promptarena.stats.group_sequential import Boundary
from promptarena.stats.recursive_integration import Running
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.stopping import drift_for_power

__all__ = ["Futility", "futility_boundary", "futility_so_far"]


@dataclass(frozen=True, slots=True)
class Futility:
    """A lower boundary that may be overruled: the upper one spends as if it were not there."""

    z: tuple[float, ...]
    """One a look; at the last it meets the upper boundary."""
    drift: float
    """At which the design has its power though it stops for futility."""
    inflation: float
    """Planned maximum information over that of a test with one look."""
    beta_spent: tuple[float, ...]
    """Under the drift, cumulative."""


def futility_boundary(
    boundary: Boundary, power: float, spending: SpendingFunction, *, alpha: float | None = None
) -> Futility:
    """A non-binding futility boundary by spending of the type II error.

    Under the drift that is looked for, the lower boundary is crossed by look k with probability beta(t_k),
    and meets the upper one at the last look; the drift is what makes both true (Pampallona, Tsiatis and Kim
    2001, "Interim monitoring of group sequential trials using spending functions for the type I and type II
    error probabilities", Drug Information Journal 35).

    Args:
        boundary: one-sided, ending with the planned maximum.
        power: 1 - beta.
        spending: the function that beta follows.
        alpha: of the test with one look that `inflation` refers to; what `boundary` spends if none.

    Raises:
        ValueError: a two-sided boundary, or power out of range.
    """
    if boundary.sides != 1:
        raise ValueError("a futility boundary belongs to a one-sided boundary")
    beta = 1 - power
    spent = [spending.spent(beta, fraction / boundary.fractions[-1]) for fraction in boundary.fractions]
    without = drift_for_power(boundary, power)

    drift = float(
        brentq(
            lambda d: _given_up(boundary, spent, beta, d)[0],
            without * (1 - 1e-9),
            2 * without + 2,
            xtol=1e-10,
        )
    )
    _, lower = _given_up(boundary, spent, beta, drift)
    fixed = -float(ndtri(boundary.alpha if alpha is None else alpha)) + float(ndtri(power))
    inflation = drift**2 * boundary.fractions[-1] / fixed**2
    return Futility((*lower, boundary.critical_z[-1]), drift, inflation, tuple(spent))


def futility_so_far(
    boundary: Boundary, power: float, spending: SpendingFunction, drift: float
) -> tuple[float, ...]:
    """The futility boundary at the looks that were taken, none of them the last.

    Looks seldom come when planned. Each spends what the function allows at its own information and earlier
    looks have not spent, under the drift that was planned; what was told at an earlier look stays.

    Args:
        boundary: one-sided, at the looks taken; fractions of the planned maximum, below 1.
        power: as planned.
        spending: as planned.
        drift: as planned, from `futility_boundary`.

    Returns:
        One a look, at most its critical value.

    Raises:
        ValueError: a two-sided boundary.
    """
    if boundary.sides != 1:
        raise ValueError("a futility boundary belongs to a one-sided boundary")
    lower: list[float] = []
    before = 0.0
    running = Running.start()
    for look, fraction in enumerate(boundary.fractions):
        high = boundary.critical_z[look]
        allowed = spending.spent(1 - power, min(fraction, 1.0))
        spend = allowed - before
        giving_up_all = spend >= running.below(fraction, high, drift)
        lower.append(high if giving_up_all else _below_with(running, fraction, drift, spend, high))
        before = allowed
        if giving_up_all or look + 1 == len(boundary.fractions):
            # Beyond a look at which nobody would have gone on there is nothing to continue from.
            lower += list(boundary.critical_z[look + 1 :])
            break
        running = running.after(fraction, lower[-1], high, boundary.fractions[look + 1])
    return tuple(lower)


def _given_up(
    boundary: Boundary, spent: Sequence[float], beta: float, drift: float
) -> tuple[float, list[float]]:
    """Type II error beyond beta if the last look gives up all that it does not reject; earlier looks' z."""
    running = Running.start()
    lower: list[float] = []
    before = 0.0
    for look, fraction in enumerate(boundary.fractions[:-1]):
        high, spend = boundary.critical_z[look], spent[look] - before
        room = running.below(fraction, high, drift)
        if spend >= room:  # so much drift that giving up all of them does not use beta up
            return room - spend - (beta - spent[look]), lower
        lower.append(_below_with(running, fraction, drift, spend, high))
        running = running.after(fraction, lower[-1], high, boundary.fractions[look + 1])
        before = spent[look]
    return running.below(boundary.fractions[-1], boundary.critical_z[-1], drift) - (beta - before), lower


def _below_with(running: Running, fraction: float, drift: float, spend: float, high: float) -> float:
    # Under the drift the statistic has mean drift sqrt(t): spending cannot reach lower than its own tail.
    lowest = drift * math.sqrt(fraction) + float(ndtri(max(spend, 1e-300))) - 1.0
    return float(brentq(lambda z: running.below(fraction, z, drift) - spend, lowest, high, xtol=1e-11))
