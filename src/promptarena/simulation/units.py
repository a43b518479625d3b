"""The units of one simulated experiment: when each came, which variant it met, and what was seen of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.metric import Absence, MetricKind
from promptarena.simulation.assumptions import CALLS, Assumed, is_flag

__all__ = ["SEGMENT_SHARES", "Facts", "Population", "Units", "draw_units", "drawing_order"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SEGMENT_SHARES: Final = {"a": 0.5, "b": 0.3, "c": 0.2}
"""The values of every segment, and how many units have them."""
_LEAST_CORRELATION: Final = 0.01
"""Of a judge with people; at zero its scores would be nothing but noise without end."""


@dataclass(frozen=True, slots=True)
class Population:
    """Whom the experiment meets."""

    assumed: tuple[Assumed, ...]
    """The primary first."""
    shares: tuple[float, ...]
    """Of the units, one a variant, control first."""
    daily: tuple[float, ...]
    """Units that are expected to come, by day of the week."""
    days: int
    segments: tuple[str, ...]
    correlation: float
    """Of the first covariate with its metric, where further ones tell nothing; and of a judge's scores with
    people's labels."""
    missing: float
    """The share of units without a value of a metric whose absence is `missing`."""
    labelled: float = 0.1
    """The share of units that people label, where a judge is audited by them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen on one metric, one entry a unit."""

    values: Floats
    """Shape (n,); of a ratio its numerators, of an audited metric people's labels. NaN nowhere: where nothing
    was seen there is any number."""
    over: Floats | None
    """Denominators of a ratio."""
    covariates: Floats | None
    """Shape (n, p): the parts of all covariates, one after the other."""
    seen: NDArray[np.bool_] | None
    """`None`: of every unit."""
    judged: Floats | None = None
    """A judge's scores of every unit, of an audited metric."""
    labelled: NDArray[np.bool_] | None = None
    """Whether people labelled the unit, of an audited metric."""


@dataclass(frozen=True, slots=True)
class Units:
    """Everybody who came, in the order of their days."""

    day: Integers
    """Shape (n,), from 0."""
    variant: Integers
    """Index of the variant, control 0."""
    segments: Mapping[str, Integers]
    """Index of the value in `SEGMENT_SHARES`."""
    facts: Mapping[str, Facts]
    """By metric."""


def draw_units(rng: np.random.Generator, of: Population, effects: Sequence[Mapping[str, float]]) -> Units:
    """Draw an experiment.

    Args:
        rng: whose state alone decides.
        of: whom it meets.
        effects: true treatment - control by metric, one mapping a treatment.
    """
    expected = np.resize(np.asarray(of.daily, dtype=np.float64), of.days)
    day = np.repeat(np.arange(of.days), rng.poisson(expected))
    n = len(day)
    variant = np.searchsorted(np.cumsum(of.shares)[:-1], rng.random(n), side="right")
    bounds = np.cumsum(list(SEGMENT_SHARES.values()))[:-1]
    segments = {name: np.searchsorted(bounds, rng.random(n), side="right") for name in of.segments}
    facts: dict[str, Facts] = {}
    by_fact: dict[str, Floats] = {}
    masks: dict[str, NDArray[np.bool_]] = {}
    for assumed in drawing_order(of.assumed):
        shifts = np.array([0.0, *(effect.get(assumed.metric.name, 0.0) for effect in effects)])
        drawn = _draw(rng, assumed, shifts[variant], by_fact)
        facts[assumed.metric.name] = _observed(rng, assumed, drawn, shifts[variant], of, masks)
    return Units(day, variant, segments, facts)


def drawing_order(assumed: Sequence[Assumed]) -> list[Assumed]:
    """Denominators before the ratios over them; and what the primary reads is drawn as the primary is."""
    primary = assumed[0].metric

    def rank(of: Assumed) -> int:
        if of.metric is primary or of.metric.kind is MetricKind.RATIO:
            return 1 if of.metric is primary else 2
        return 3 if of.metric.of == primary.of else 0

    return sorted(assumed, key=rank)


def _draw(
    rng: np.random.Generator, assumed: Assumed, shift: Floats, by_fact: dict[str, Floats]
) -> tuple[Floats, Floats | None]:
    """Values, and denominators of a ratio. What two metrics read of one fact they read of the same values."""
    metric = assumed.metric
    over: Floats | None = None
    if metric.kind is MetricKind.RATIO and metric.over is not None:
        if metric.over not in by_fact:
            by_fact[metric.over] = 1 + rng.poisson(CALLS - 1, len(shift)).astype(np.float64)
        over = by_fact[metric.over]
    if metric.of not in by_fact:
        by_fact[metric.of] = _values(rng, assumed, shift, over)
    return by_fact[metric.of], over


def _values(rng: np.random.Generator, assumed: Assumed, shift: Floats, over: Floats | None) -> Floats:
    mean, sd, n = assumed.expected + shift, assumed.sd, len(shift)
    match assumed.metric.kind:
        case MetricKind.RATE:
            return (rng.random(n) < mean).astype(np.float64)
        case MetricKind.COUNT if assumed.metric.of == "requests":  # a unit that came made a call
            return 1 + _counts(rng, np.maximum(mean - 1, 0.0), sd)
        case MetricKind.COUNT:
            return _counts(rng, mean, sd)
        case MetricKind.MEAN:
            return mean + sd * rng.standard_normal(n)
        case MetricKind.SUM:
            return shift + _skewed(rng, assumed.expected, sd, n)
        case MetricKind.QUANTILE:
            # At the quantile the standard normal is z_q, so the value there is what was expected.
            steps = rng.standard_normal(n) - assumed.z
            return shift + assumed.expected * np.exp(assumed.sigma * steps)
        case MetricKind.RATIO:
            denominators = np.ones(n) if over is None else over
            if is_flag(assumed.metric):
                return rng.binomial(denominators.astype(np.int64), mean).astype(np.float64)
            return _numerators(rng, assumed, mean, denominators)


def _counts(rng: np.random.Generator, mean: Floats, sd: float) -> Floats:
    """Poisson, or with more spread a gamma mixture of it (negative binomial) with the variance asked for."""
    level = float(mean.mean()) if len(mean) else 0.0
    excess = sd**2 - level
    if excess <= 0 or level == 0:
        return rng.poisson(mean).astype(np.float64)
    shape = level**2 / excess
    return rng.poisson(mean * rng.gamma(shape, 1 / shape, len(mean))).astype(np.float64)


def _skewed(rng: np.random.Generator, mean: float, sd: float, n: int) -> Floats:
    if mean <= 0:
        return mean + sd * rng.standard_normal(n)
    shape = (mean / sd) ** 2
    return rng.gamma(shape, mean / shape, n)


def _numerators(rng: np.random.Generator, assumed: Assumed, ratio: Floats, over: Floats) -> Floats:
    """Ratio times denominator times a gamma of mean 1, so that the linearised value varies as asked for."""
    first, second = float(over.mean()), float((over**2).mean())
    if not len(over) or second == 0 or float(ratio.min()) <= 0:
        return ratio * over + max(first, 1.0) * assumed.sd * rng.standard_normal(len(over))
    variance = (assumed.sd * first / assumed.expected) ** 2 / second
    return ratio * over * rng.gamma(1 / variance, variance, len(over))


def _observed(
    rng: np.random.Generator,
    assumed: Assumed,
    drawn: tuple[Floats, Floats | None],
    shift: Floats,
    of: Population,
    masks: dict[str, NDArray[np.bool_]],
) -> Facts:
    values, over = drawn
    metric = assumed.metric
    covariates = None
    if metric.covariates:
        centred = values - shift - assumed.expected if over is None else values - assumed.expected * over
        spread = assumed.sd if over is None else assumed.sd * max(float(over.mean()), 1e-12)
        covariates = _covariates(rng, assumed, centred / spread, of.correlation)
    seen = None
    if metric.absent is Absence.MISSING and of.missing > 0:
        seen = masks.setdefault(metric.of, rng.random(len(values)) >= of.missing)
    if metric.audited_by is None:
        return Facts(values, over, covariates, seen)
    shared = min(max(of.correlation, _LEAST_CORRELATION), 1.0)
    noise = assumed.sd * math.sqrt(1 / shared**2 - 1) * rng.standard_normal(len(values))
    return Facts(values, over, covariates, seen, values + noise, rng.random(len(values)) < of.labelled)


def _covariates(rng: np.random.Generator, assumed: Assumed, outcome: Floats, correlation: float) -> Floats:
    """Parts of covariates, of which the first goes with the outcome; shape (n, p)."""
    n, parts = len(outcome), []
    for place, covariate in enumerate(assumed.metric.covariates):
        shared = correlation if place == 0 else 0.0
        value = shared * outcome + math.sqrt(1 - shared**2) * rng.standard_normal(n)
        if covariate.over is None:
            parts.append(value)
        else:
            over = 1 + rng.poisson(CALLS - 1, n).astype(np.float64)
            parts += [value * over, over]
    return np.stack(parts, axis=1)
