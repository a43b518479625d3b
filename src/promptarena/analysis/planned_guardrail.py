"""How many units each guardrail needs by its own variance: one-sided, with no true difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from promptarena.definitions.analysis_plan import Design, Guardrail
from promptarena.definitions.metric import Better, Metric, MetricKind
from promptarena.stats.group_sequential import spending_boundary
from promptarena.stats.power import units_needed
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.spread import mean_spread

__all__ = ["GuardrailSize", "guardrail_size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailSize:
    """What one guardrail asks of a plan."""

    metric: str
    units: int | None
    """Of all variants, with the looks; `None` where that cannot be told."""
    note: str | None = None
    """Why it cannot."""


def guardrail_size(
    guardrail: Guardrail, metric: Metric, design: Design, shares: Sequence[float], *, power: float
) -> GuardrailSize:
    """Units in all at which the guardrail passes with a probability, if the treatment changes nothing.

    Args:
        guardrail: with what is expected of control.
        metric: its metric.
        design: alpha (all of it on this one side), looks and spending.
        shares: of all units: control's and the smallest treatment's.
        power: that it passes.
    """
    if (problem := _problem(guardrail, metric)) is not None:
        return GuardrailSize(metric=metric.name, units=None, note=problem)
    margin = guardrail.margin
    sd = guardrail.sd
    if metric.kind is MetricKind.RATE and guardrail.expected is not None:
        sd = math.sqrt(guardrail.expected * (1 - guardrail.expected))
    assert sd is not None
    distance = margin.value * abs(guardrail.expected or 0.0) if margin.relative else margin.value
    sign = -1 if metric.better is Better.HIGHER else 1
    scale = 1 + sign * margin.value if margin.relative else 1.0
    boundary = spending_boundary(
        design.looks, SpendingFunction(design.spending.value, design.gamma), design.alpha, sides=1
    )
    units = units_needed(
        distance,
        mean_spread(sd, (shares[0], shares[1]), control_scale=scale),
        alpha=design.alpha,
        power=power,
        sides=1,
        boundary=boundary,
    )
    return GuardrailSize(metric=metric.name, units=math.ceil(units - 1e-6))


def _problem(guardrail: Guardrail, metric: Metric) -> str | None:
    """Why a guardrail cannot be sized."""
    if guardrail.margin.value == 0:
        return (
            "with a margin of 0 a treatment that changes nothing passes by luck alone, however many units"
            " there are: give it a margin"
        )
    if metric.kind is MetricKind.RATE:
        if guardrail.expected is None:
            return "its `expected` rate is not said"
        return None if 0 < guardrail.expected < 1 else "its `expected` rate does not lie between 0 and 1"
    if guardrail.sd is None:
        return "its `sd` is not said"
    if guardrail.margin.relative and not guardrail.expected:
        return "its margin is a percentage and its `expected` value is not said, or 0"
    return None
