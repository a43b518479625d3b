"""Whether the level of daily values has changed: a provider that exchanged its model, a tracker that broke.

Nothing is assumed of the level itself, nor of the weekly cycle: every day is held against the earlier days of
its own weekday. Under one level these recursive residuals are independent standard normals (Brown, Durbin and
Evans 1975, "Techniques for testing the constancy of regression relationships over time", JRSS-B 37), so
betting on them against a shift that began on any day is a martingale, which ever exceeds 1 / alpha with
probability alpha at most (Ville 1939): one may look every day.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from promptarena.stats.anytime import anytime_p_value

__all__ = ["LevelChange", "level_change"]

Vector = NDArray[np.float64]

_TAU: Final = 1.0
"""Standard deviation of the shifts that are bet on, in those of a residual."""
_EVEN: Final = 13.0
"""Residuals over which the weights of starts are nearly even."""


@dataclass(frozen=True, slots=True)
class LevelChange:
    """Evidence that a level changed, and when it most probably did."""

    start: int
    """Index of the first value at the new level, if there is one."""
    before: float
    """Mean before `start`, weighted by precision."""
    after: float
    """`before` and the mean distance of the later values from the earlier ones of their season."""
    log_e_value: float
    p_value: float
    """Always valid."""


def level_change(
    values: Sequence[float], variances: Sequence[float], seasons: Sequence[int]
) -> LevelChange | None:
    """Look for a change of level in values that come one by one.

    Days differ for more reasons than chance among their units, so the variances count relative to one another
    only and the scale of the residuals is unknown. With the prior 1 / scale on it, and a shift theta scales
    with theta ~ N(0, 1) from residual s of k on, the evidence is

        (1 + m)^(-1/2) (1 - S^2 / ((1 + m) Q))^(-k/2)

    where m = k - s + 1, S is the sum of the residuals since s and Q the sum of squares of all (a t test's
    Bayes factor; Lai 1976, "On confidence sequences", Annals of Statistics 4; Perez-Ortiz, Lardy, de Heide
    and Grunwald 2024, "E-statistics, group invariance and anytime-valid testing", Annals of Statistics 52).
    Its mean over s, with weights 14 / ((s + 13) (s + 14)), which sum to 1 and are nearly even over the first
    two weeks, is what is returned.

    >>> week = [0.60, 0.61, 0.59, 0.60, 0.60, 0.52, 0.53]
    >>> found = level_change(week * 2 + [value + 0.06 for value in week], [0.0001] * 21, [*range(7)] * 3)
    >>> found.start, round(found.after - found.before, 3), found.p_value < 0.01
    (14, 0.06, True)

    Args:
        values: in the order of time.
        variances: of the values, as their units say; positive.
        seasons: which values are alike, such as the weekday of each.

    Returns:
        `None` while no season has come twice.

    Raises:
        ValueError: lengths differ, or a variance is not positive.
    """
    y, v = np.asarray(values, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if not len(y) == len(v) == len(seasons):
        raise ValueError("values, variances and seasons have one length")
    if not (np.isfinite(y).all() and (v > 0).all() and np.isfinite(v).all()):
        raise ValueError("values are finite, and their variances positive and finite")
    places, residuals = _recursive_residuals(y, v, seasons)
    if len(residuals) == 0:
        return None
    logs = _evidence_by_start(residuals)
    starts = np.arange(1, len(residuals) + 1)
    weighted = logs + np.log((_EVEN + 1) / ((starts + _EVEN) * (starts + _EVEN + 1)))
    # The starts still to come have no evidence yet; this is what their weights sum to.
    to_come = math.log((_EVEN + 1) / (len(residuals) + _EVEN + 1))
    log_e = float(logsumexp(np.append(weighted, to_come)))
    start = places[int(np.argmax(weighted))]
    before, after = _levels(y, v, seasons, start)
    return LevelChange(start, before, after, log_e, anytime_p_value(log_e))


def _recursive_residuals(y: Vector, v: Vector, seasons: Sequence[int]) -> tuple[list[int], Vector]:
    """Each value less the mean of the earlier ones of its season, in standard errors; and its place."""
    precision: dict[int, float] = {}
    total: dict[int, float] = {}
    places, residuals = [], []
    for at, season in enumerate(seasons):
        if season in precision:
            mean = total[season] / precision[season]
            places.append(at)
            residuals.append((float(y[at]) - mean) / math.sqrt(float(v[at]) + 1 / precision[season]))
        precision[season] = precision.get(season, 0.0) + 1 / float(v[at])
        total[season] = total.get(season, 0.0) + float(y[at]) / float(v[at])
    return places, np.array(residuals)


def _evidence_by_start(residuals: Vector) -> Vector:
    """Log Bayes factor of a shift from each residual on, the scale of all of them unknown."""
    k, squares = len(residuals), float(residuals @ residuals)
    if squares == 0:
        return np.zeros(k)
    sums = np.cumsum(residuals[::-1])[::-1]
    later = np.arange(k, 0, -1.0)
    explained = sums**2 * _TAU**2 / (1 + later * _TAU**2) / squares
    evidence: Vector = -k / 2 * np.log1p(-explained) - np.log1p(later * _TAU**2) / 2
    return evidence


def _levels(y: Vector, v: Vector, seasons: Sequence[int], start: int) -> tuple[float, float]:
    weights = 1 / v
    before = float(weights[:start] @ y[:start] / weights[:start].sum())
    earlier: dict[int, float] = {}
    for season in set(seasons[:start]):
        own = np.array([at for at in range(start) if seasons[at] == season])
        earlier[season] = float(weights[own] @ y[own] / weights[own].sum())
    later = [at for at in range(start, len(y)) if seasons[at] in earlier]
    moved = np.array([y[at] - earlier[seasons[at]] for at in later])
    return before, before + float(weights[later] @ moved / weights[later].sum())
