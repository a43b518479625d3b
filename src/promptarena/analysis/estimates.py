"""From a cube's moments to estimates: one a metric and variant, over epochs where the cube has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from promptarena.analysis.audited_effect import AUDITED_PARTS, audited_effect
from promptarena.analysis.cube import Cube
from promptarena.analysis.quantile_effect import quantile_effect
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.stats.covariates import Components, adjusted_effect
from promptarena.stats.effects import (
    Effect,
    Estimate,
    cautious,
    mean_estimate,
    rate_estimate,
    ratio_estimate,
    stratified,
)
from promptarena.stats.moments import Moments
from promptarena.stats.rate_contrasts import RateCounts

__all__ = ["ArmPair", "arm_pair", "estimate", "rate_counts", "strata"]


@dataclass(frozen=True, slots=True)
class ArmPair:
    """One treatment and control on one metric, or the reason why they cannot be compared."""

    effect: Effect | None
    n_control: int
    """Observed units."""
    n_treatment: int
    problem: str | None = None
    """Why there is no effect; set exactly where `effect` is `None`."""
    rates: RateCounts | None = None
    """Events by epoch, of a rate without covariate: its tests are score tests."""
    weights: tuple[float, ...] = ()
    """Of the epochs in `rates`."""
    variance_removed: float | None = None
    """Share of the difference's variance that the covariate took away; `None` without one."""
    note: str | None = None
    """What else should be known of the effect."""


def arm_pair(
    cube: Cube, metric: Metric, control: str, treatment: str, *, where: tuple[str, str] | None = None
) -> ArmPair:
    """Compare two variants on a metric, within epochs and weighted by the epochs' units.

    An epoch in which an arm has fewer than two observed units says nothing of the difference: it is left out.
    Epochs are weighted by the observed units of both arms. But for rates, which are tested under the null, an
    arm with less than half of the other's units is taken to vary at least as the other does (`cautious`):
    here, once, so that what is shown, tested at looks, guarded and called harm is one effect.

    Args:
        cube: the moments.
        metric: one of the cube's.
        control: a variant.
        treatment: another.
        where: a dimension of the cube and the value to which the comparison is restricted.
    """
    key = ("arm pair", metric, control, treatment, where)
    return cube.remembered(key, lambda: _arm_pair(cube, metric, control, treatment, where))


def _arm_pair(
    cube: Cube, metric: Metric, control: str, treatment: str, where: tuple[str, str] | None
) -> ArmPair:
    arms = strata(cube, metric, control, treatment, where=where)
    n_control = sum(c.n for c, _ in arms)
    n_treatment = sum(t.n for _, t in arms)
    usable = [(c, t) for c, t in arms if min(c.n, t.n) >= 2]
    if not usable:
        smaller = control if n_control <= n_treatment else treatment
        count = min(n_control, n_treatment)
        units = "unit" if count == 1 else "units"
        return ArmPair(None, n_control, n_treatment, f"{smaller} has {count} observed {units}; 2 are needed")
    total = sum(c.n + t.n for c, t in usable)
    weights = [(c.n + t.n) / total for c, t in usable]
    try:
        if metric.kind is MetricKind.QUANTILE and metric.q is not None:
            values, epochs = cube.values[metric.of], "epoch" in cube.dimensions
            found = quantile_effect(values, metric.q, control, treatment, epochs=epochs, where=where)
            return _cautious_pair(found.effect, n_control, n_treatment, note=found.note)
        if metric.audited_by is not None:
            audited = audited_effect(usable, weights, control, treatment)
            return _cautious_pair(audited.effect, n_control, n_treatment, note=audited.note)
        if metric.covariates:
            adjusted = adjusted_effect(usable, _components(metric, usable), weights)
            return _cautious_pair(
                adjusted.effect, n_control, n_treatment, variance_removed=adjusted.variance_removed
            )
        effect = Effect(
            control=stratified([estimate(metric, c) for c, _ in usable], weights),
            treatment=stratified([estimate(metric, t) for _, t in usable], weights),
        )
    except ValueError as error:
        return ArmPair(None, n_control, n_treatment, str(error))
    if metric.kind is not MetricKind.RATE:
        return _cautious_pair(effect, n_control, n_treatment)
    return ArmPair(effect, n_control, n_treatment, rates=rate_counts(usable), weights=tuple(weights))


def _cautious_pair(
    effect: Effect,
    n_control: int,
    n_treatment: int,
    *,
    variance_removed: float | None = None,
    note: str | None = None,
) -> ArmPair:
    widened = cautious(effect)
    if widened.variance > effect.variance:
        sparse = "treatment" if n_treatment < n_control else "control"
        told = f"{sparse} has less than half of the other's units and is taken to vary as the other does"
        note = told if note is None else f"{note}; {told}"
    return ArmPair(widened, n_control, n_treatment, variance_removed=variance_removed, note=note)


def rate_counts(arms: Sequence[tuple[Moments, Moments]]) -> RateCounts:
    """Events and units of (control, treatment) moments of a rate, one pair for each epoch."""
    return RateCounts.of(
        [c.n * float(c.mean[0]) if c.n else 0.0 for c, _ in arms],
        [c.n for c, _ in arms],
        [t.n * float(t.mean[0]) if t.n else 0.0 for _, t in arms],
        [t.n for _, t in arms],
    )


def estimate(metric: Metric, moments: Moments) -> Estimate:
    """One variant's estimate of a metric from its units' moments.

    Raises:
        ValueError: fewer than two units, or a ratio whose denominators sum to zero.
    """
    match metric.kind:
        case MetricKind.RATE:
            return rate_estimate(moments.n * float(moments.mean[0]), moments.n)
        case MetricKind.RATIO:
            return ratio_estimate(moments)
        case _:
            return mean_estimate(moments)


def _components(metric: Metric, arms: Sequence[tuple[Moments, Moments]]) -> Components:
    """The outcome, the covariates, and where some units are without one, that as a covariate of its own."""
    width = _width(metric)
    parts = sum(len(covariate.facts) for covariate in metric.covariates)
    covariates: list[tuple[int, ...]] = []
    at = width
    for covariate in metric.covariates:
        own = tuple(range(at, at + len(covariate.facts)))
        covariates.append(own)
        # Both parts of a ratio are missing together, so one mark stands for them.
        mark = at + parts
        if any(arm.mean[mark] > 0 for pair in arms for arm in pair):
            covariates.append((mark,))
        at += len(own)
    return Components(outcome=tuple(range(width)), covariates=tuple(covariates))


def _width(metric: Metric) -> int:
    """Components of the outcome: a ratio has two."""
    if metric.audited_by is not None:
        return AUDITED_PARTS
    return 2 if metric.kind is MetricKind.RATIO else 1


def strata(
    cube: Cube, metric: Metric, control: str, treatment: str, *, where: tuple[str, str] | None = None
) -> list[tuple[Moments, Moments]]:
    """(control, treatment) moments of a metric, one pair for each epoch; one pair where there are none."""
    dimensions = (["epoch"] if "epoch" in cube.dimensions else []) + ([where[0]] if where else [])
    cells = {
        (key[0], key[1 : len(dimensions)] if where else key[1:]): cell.moments[metric.name]
        for key, cell in cube.by(*dimensions).items()
        if where is None or key[-1] == where[1]
    }
    nothing = Moments.empty(_width(metric) + 2 * sum(len(covariate.facts) for covariate in metric.covariates))
    epochs = sorted({epoch for _, epoch in cells})
    return [
        (cells.get((control, epoch), nothing), cells.get((treatment, epoch), nothing)) for epoch in epochs
    ]
