"""The estimate after a sequential test has stopped.

Stopping because the effect looked large makes the plain estimate too large and its interval too short.
Outcomes are ordered by stage instead: stopping above earlier is more than stopping above later, and at the
same look the larger statistic is more. The probability of an outcome at least as large as the one seen
increases with the effect; where it is alpha/2, 1/2 and 1 - alpha/2 lie the lower limit, the median-unbiased
estimate and the upper limit (Fairbanks and Madsen 1982, Biometrika 69; Tsiatis, Rosner and Mehta 1984,
Biometrics 40; Jennison and Turnbull 2000, ch. 8). Looks that were still to come do not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq

from promptarena.stats.group_sequential import REACH, Boundary

__all__ = ["StoppedEstimate", "stagewise_estimate"]


@dataclass(frozen=True, slots=True)
class StoppedEstimate:
    """An effect as estimated after the stop, in the unit of the standard error."""

    estimate: float
    """Median-unbiased: too large half of the time."""
    interval: tuple[float, float]
    p_value: float
    """Of no effect; as many sides as the test had."""


def stagewise_estimate(
    boundary: Boundary, z: float, standard_error: float, *, alpha: float = 0.05
) -> StoppedEstimate:
    """Estimate, interval and p-value by the stage-wise ordering.

    A look that ended the trial without a crossing (the last one, a futility stop, a person's decision) is
    treated the same way. A futility boundary that may be overruled is left out of the ordering.

    Args:
        boundary: the looks that were taken, the last of them the one at which the trial stopped.
        z: the statistic there. Of a non-inferiority test it includes the margin; so does the estimate then.
        standard_error: of the effect there; z times it is the plain estimate.
        alpha: 1 - alpha is the confidence of the (two-sided) interval.

    >>> from promptarena.stats.group_sequential import supplied_boundary
    >>> one_look = stagewise_estimate(supplied_boundary([1.0], [1.96]), z=2.0, standard_error=3.0)
    >>> round(one_look.estimate, 6), [round(limit, 3) for limit in one_look.interval]
    (6.0, [0.12, 11.88])

    Raises:
        ValueError: a statistic that is not finite, no positive standard error, or alpha outside (0, 1).
    """
    if not math.isfinite(z) or not 0 < standard_error < math.inf:
        raise ValueError(f"z must be finite and the standard error positive, not {z} and {standard_error}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
    *earlier, last = boundary.running(reach=REACH + 6 + max(0.0, -z))
    root = math.sqrt(boundary.fractions[-1])

    def at_least(mean: float) -> float:
        """Probability of an outcome at least as large, if the statistic at the stop has this mean."""
        drift = mean / root
        looks = zip(earlier, boundary.fractions, boundary.critical_z, strict=False)
        stopped = math.fsum(running.above(fraction, critical, drift) for running, fraction, critical in looks)
        return stopped + last.above(boundary.fractions[-1], z, drift)

    def mean_where(probability: float) -> float:
        low, high = z - 4, z + 4
        while at_least(low) > probability:
            low -= high - low
        while at_least(high) < probability:
            high += high - low
        return float(brentq(lambda mean: at_least(mean) - probability, low, high, xtol=1e-11))

    p_value = min(at_least(0.0), 1.0)
    return StoppedEstimate(
        estimate=mean_where(0.5) * standard_error,
        interval=(mean_where(alpha / 2) * standard_error, mean_where(1 - alpha / 2) * standard_error),
        p_value=2 * min(p_value, 1 - p_value) if boundary.sides == 2 else p_value,
    )
