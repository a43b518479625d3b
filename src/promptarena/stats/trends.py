"""Whether an effect lasts: does it wear off (novelty) or build up (primacy) as days go by?

Two views of it. By cohort: effects among units that came on different days are independent, and their slope
over days tells whether those who came later gained less. By age: the effect on the same units early and late
in their lives, whose two values are dependent; their difference is one more value a unit.

Both are looked at in every readout, so their evidence is always valid (`anytime.AsymptoticSequence`). That
asks for estimates whose information only grows and whose increments are independent, which a slope by least
squares is, as every maximum likelihood estimate of one coefficient beside others (Jennison and Turnbull 2000,
"Group sequential methods", section 11.3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.stats.anytime import AsymptoticSequence
from promptarena.stats.effects import Effect
from promptarena.stats.moments import Moments

__all__ = ["Trend", "age_trend", "cohort_trend"]

Vector = NDArray[np.float64]

_LEAST_DAYS: Final = 3
"""Cohort days from which on a slope says more than that two days differ."""
_LEAST_UNITS: Final = 100
"""Units in an arm before which nothing is taken to be normal."""
_TUNED_UNITS: Final = 4_000.0
_TUNED_DAYS: Final = 14.0
"""Units in all, and days over which they come evenly, at which the evidence of a trend is strongest."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How an effect changes."""

    change: float
    """Of treatment - control: a day later (cohorts), or late less early (age); in the metric's unit."""
    standard_error: float
    first: float
    """The effect at the beginning: of the first cohort day as fitted, or of the early part of a life."""
    last: float
    """The effect at the end."""
    p_value: float
    """Two-sided, of no change; always valid."""


def cohort_trend(days: Sequence[float], effects: Sequence[Effect], *, alpha: float) -> Trend | None:
    """The slope of the effect over cohort days.

    Least squares with weights n_c n_t / (n_c + n_t), so that neither the effects nor their noisy variances
    choose them; a unit's variance is taken to be the same on all days of an arm (pooled within days), because
    the variance of a day with few units is not known.

    >>> from promptarena.stats.effects import rate_estimate
    >>> fading = [Effect(rate_estimate(1500, 3000), rate_estimate(1800 - 30 * day, 3000)) for day in range(8)]
    >>> trend = cohort_trend(range(8), fading, alpha=0.05)
    >>> round(trend.change, 4), round(trend.first, 3), round(trend.last, 3), trend.p_value < 0.05
    (-0.01, 0.1, 0.03, True)

    Args:
        days: since the first cohort, one an effect.
        effects: among the units of each day; disjoint units.
        alpha: where the evidence is to be decisive; it tunes the sequence only.

    Returns:
        `None` of fewer than 3 days, fewer than 100 units in an arm, or no variance.

    Raises:
        ValueError: lengths differ, or alpha is outside (0, .5).
    """
    at = np.asarray(days, dtype=np.float64)
    if len(at) != len(effects):
        raise ValueError(f"{len(at)} days for {len(effects)} effects")
    n_control = np.array([effect.control.n for effect in effects], dtype=np.float64)
    n_treatment = np.array([effect.treatment.n for effect in effects], dtype=np.float64)
    if len(set(days)) < _LEAST_DAYS or min(n_control.sum(), n_treatment.sum()) < _LEAST_UNITS:
        return None
    of_unit = (
        _unit_variance([(effect.control.variance, effect.control.n) for effect in effects]),
        _unit_variance([(effect.treatment.variance, effect.treatment.n) for effect in effects]),
    )
    differences = np.array([effect.difference for effect in effects])
    weights = n_control * n_treatment / (n_control + n_treatment)
    middle = float(weights @ at / weights.sum())
    squares = float(weights @ (at - middle) ** 2)
    share = weights * (at - middle) / squares
    variance = float(share**2 @ (of_unit[0] / n_control + of_unit[1] / n_treatment))
    if not variance > 0:
        return None
    slope = float(share @ differences)
    average = float(weights @ differences / weights.sum())
    first, last = (average + slope * (float(day) - middle) for day in (at.min(), at.max()))
    spread = (of_unit[0] + of_unit[1]) / 2
    tuned = _TUNED_UNITS / 4 * _TUNED_DAYS**2 / 12 / spread
    return _trend(slope, variance, first, last, tuned, alpha)


def age_trend(strata: Sequence[tuple[Moments, Moments]], *, alpha: float) -> Trend | None:
    """The effect late in units' lives less that early in them.

    Args:
        strata: (control, treatment) moments of two components, early and late value of a unit; one pair an
            epoch, weighted by units.
        alpha: as for `cohort_trend`.

    Returns:
        `None` of fewer than 100 units in an arm, or no variance.
    """
    known = [(c, t) for c, t in strata if min(c.n, t.n) >= 2]
    units = [sum(pair[arm].n for pair in known) for arm in (0, 1)]
    if min(units) < _LEAST_UNITS:
        return None
    shares = [(c.n + t.n) / sum(units) for c, t in known]
    late_less_early = np.array([-1.0, 1.0])
    early = late = variance = spread = 0.0
    for (control, treatment), share in zip(known, shares, strict=True):
        effect = treatment.mean - control.mean
        early, late = early + share * float(effect[0]), late + share * float(effect[1])
        for arm in (control, treatment):
            of_unit = max(float(late_less_early @ arm.covariance() @ late_less_early), 0.0)
            variance += share**2 * of_unit / arm.n
            spread += share * of_unit / 2
    if not variance > 0:
        return None
    return _trend(late - early, variance, early, late, _TUNED_UNITS / 4 / spread, alpha)


def _unit_variance(arms: Sequence[tuple[float, int]]) -> float:
    """Of a unit of an arm, pooled over days; from the variances of the days' estimates."""
    degrees = math.fsum(n - 1 for _, n in arms)
    return math.fsum((n - 1) * variance * n for variance, n in arms) / degrees if degrees else 0.0


def _trend(change: float, variance: float, first: float, last: float, tuned: float, alpha: float) -> Trend:
    error = math.sqrt(variance)
    # Any measure of information will do for both sizes of the sequence.
    p_value = AsymptoticSequence(tuned, alpha).p_value(change, error, 1 / variance)
    return Trend(change, error, first, last, p_value)
