"""From a cube's moments to estimates: one a metric and variant, over epochs where the cube has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promptarena.analysis.cube import Cell, Cube
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.stats.effects import (
    Effect,
    Estimate,
    mean_estimate,
    rate_estimate,
    ratio_estimate,
    stratified,
)
from promptarena.stats.moments import Moments

__all__ = ["ArmPair", "arm_pair", "estimate"]


@dataclass(frozen=True, slots=True)
class ArmPair:
    """One treatment and control on one metric, or the reason why they cannot be compared."""

    effect: Effect | None
    n_control: int
    """Observed units."""
    n_treatment: int
    problem: str | None = None
    """Why there is no effect; set exactly where `effect` is `None`."""


def arm_pair(cube: Cube, metric: Metric, control: str, treatment: str) -> ArmPair:
    """Compare two variants on a metric, within epochs and weighted by the epochs' units.

    An epoch in which an arm has fewer than two observed units says nothing of the difference: it is left out.
    Epochs are weighted by the observed units of both arms.
    """
    strata = _strata(cube, metric, control, treatment)
    n_control = sum(c.n for c, _ in strata)
    n_treatment = sum(t.n for _, t in strata)
    usable = [(c, t) for c, t in strata if min(c.n, t.n) >= 2]
    if not usable:
        smaller = control if n_control <= n_treatment else treatment
        count = min(n_control, n_treatment)
        unit = "unit" if count == 1 else "units"
        return ArmPair(None, n_control, n_treatment, f"{smaller} has {count} observed {unit}; 2 are needed")
    total = sum(c.n + t.n for c, t in usable)
    weights = [(c.n + t.n) / total for c, t in usable]
    try:
        effect = Effect(
            control=stratified([estimate(metric, c) for c, _ in usable], weights),
            treatment=stratified([estimate(metric, t) for _, t in usable], weights),
        )
    except ValueError as error:
        return ArmPair(None, n_control, n_treatment, str(error))
    return ArmPair(effect, n_control, n_treatment)


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


def _strata(cube: Cube, metric: Metric, control: str, treatment: str) -> list[tuple[Moments, Moments]]:
    by_epoch = "epoch" in cube.dimensions
    cells: Mapping[tuple[str, ...], Cell] = cube.by("epoch") if by_epoch else cube.by()
    width = 2 if metric.kind is MetricKind.RATIO else 1
    nothing = Moments.empty(width + (metric.covariate is not None))
    epochs = sorted({key[1:] for key in cells})

    def moments(variant: str, epoch: tuple[str, ...]) -> Moments:
        cell = cells.get((variant, *epoch))
        return cell.moments[metric.name] if cell else nothing

    return [(moments(control, epoch), moments(treatment, epoch)) for epoch in epochs]
