"""A Brownian motion and a straight line above it: whether they meet before an end."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr

__all__ = ["crossing_distance", "crossing_rate", "log_crossing_chance"]

Vector = NDArray[np.float64]

_LOG_DENSITY: float = -0.5 * math.log(2 * math.pi)


def log_crossing_chance(distance: ArrayLike, slope: float, time: ArrayLike) -> Vector:
    """Log probability that a standard Brownian motion meets the line `distance` + `slope` t by `time`.

    Phi(-(d + s T) / sqrt(T)) + exp(-2 d s) Phi((s T - d) / sqrt(T)).

    >>> round(math.exp(log_crossing_chance(2.2414, 0.0, 1.0)), 4)
    0.025

    Args:
        distance: of the line from where the motion is now, 0 or more; any shape.
        slope: of the line, 0 or more: how fast it runs away.
        time: that is left, above 0; of a shape that goes with `distance`.

    Source: Siegmund 1985, "Sequential Analysis", chapter III; for a level line the reflection principle.
    """
    d, end = np.asarray(distance, dtype=np.float64), np.asarray(time, dtype=np.float64)
    root = np.sqrt(end)
    chance: Vector = np.logaddexp(
        log_ndtr(-(d + slope * end) / root), log_ndtr((slope * end - d) / root) - 2 * slope * d
    )
    return chance


def crossing_rate(distance: ArrayLike, slope: float, time: ArrayLike) -> Vector:
    """By what share the chance grows as the motion comes nearer: minus the derivative of its log by distance.

    Args:
        distance, slope, time: as for `log_crossing_chance`.
    """
    d, end = np.asarray(distance, dtype=np.float64), np.asarray(time, dtype=np.float64)
    root = np.sqrt(end)
    log_growth = math.log(2) + _LOG_DENSITY - ((d + slope * end) / root) ** 2 / 2 - np.log(root)
    if slope > 0:
        reflected = math.log(2 * slope) - 2 * slope * d + log_ndtr((slope * end - d) / root)
        log_growth = np.logaddexp(log_growth, reflected)
    rate: Vector = np.exp(log_growth - log_crossing_chance(d, slope, end))
    return rate


@lru_cache(maxsize=256)
def crossing_distance(chance: float, slope: float) -> float:
    """How far off a line is that is met within a time of 1 with this chance, in (0, 1)."""

    def excess(distance: float) -> float:
        return float(log_crossing_chance(distance, slope, 1.0)) - math.log(chance)

    return float(brentq(excess, 0.0, 40.0, xtol=1e-12))
