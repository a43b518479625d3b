"""The primary and the guardrails at every look that was taken, against their boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.hypotheses import NO_MARGIN, good_z
from promptarena.analysis.looks import LookPoint
from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Futility, Guardrail
from promptarena.definitions.metric import Metric
from promptarena.definitions.quantities import Margin
from promptarena.errors import UsageError
from promptarena.stats.group_sequential import (
    Boundary,
    sequential_p_value,
    spending_boundary,
    supplied_boundary,
)
from promptarena.stats.multiplicity import holm
from promptarena.stats.spending import SpendingFunction

__all__ = [
    "GuardrailPath",
    "PrimaryPath",
    "guardrail_path",
    "primary_boundary",
    "primary_paths",
    "spending_of",
    "whole_boundary",
]


@dataclass(frozen=True, slots=True)
class PrimaryPath:
    """One treatment's primary over the looks taken, towards the good side."""

    variant: str
    z: tuple[float | None, ...]
    """One a look; `None` where the difference had no error yet."""
    rejected: tuple[bool | None, ...]
    """One a look: `True` crossed the good way, `False` the bad way, `None` neither. Holm over treatments."""
    p_value: float | None
    """Two-sided, valid after looking; of the last look, before the adjustment over treatments."""
    p_adjusted: float | None


@dataclass(frozen=True, slots=True)
class GuardrailPath:
    """One treatment's guardrail over the looks taken: large z rules out being worse than the margin."""

    z: tuple[float | None, ...]
    critical_z: tuple[float, ...]
    passed: tuple[bool | None, ...]


def primary_boundary(design: Design, looks: Sequence[LookPoint]) -> Boundary:
    """Two-sided critical values at the looks taken: spent by information, or as supplied, or as recorded."""
    fractions = [look.fraction for look in looks]
    if design.critical_z is not None:
        boundary = supplied_boundary(fractions, [design.critical_z[look.planned] for look in looks])
    else:
        boundary = spending_boundary(fractions, spending_of(design), design.alpha, final=looks[-1].final)
    return replace(
        boundary,
        critical_z=tuple(
            look.recorded.critical_z if look.recorded else critical
            for look, critical in zip(looks, boundary.critical_z, strict=True)
        ),
    )


def primary_paths(
    plan: AnalysisPlan, treatments: Sequence[str], looks: Sequence[LookPoint], *, p_values: bool = True
) -> dict[str, PrimaryPath]:
    """Every treatment's path. With several, each look applies Holm's method to sequential p-values.

    Args:
        plan: what was declared.
        treatments: the variants but control.
        looks: those taken so far.
        p_values: whether they are wanted of a single treatment, which is decided without; each costs a
            search.

    Raises:
        UsageError: supplied boundaries with several treatments; no p-values can be had from those.
    """
    if plan.design.critical_z is not None and len(treatments) > 1:
        raise UsageError(
            "supplied boundaries (`critical_z`) cannot be shared by several treatments.",
            hint="Declare `spending` instead, or compare one treatment.",
        )
    boundary = primary_boundary(plan.design, looks)
    z = {treatment: tuple(_primary_z(plan, look, treatment) for look in looks) for treatment in treatments}
    # Holm's method is needed at every look only with several treatments.
    several, last = len(treatments) > 1, len(looks) - 1
    adjusted = {
        k: _adjusted(plan.design, z, looks[: k + 1])
        for k in range(len(looks))
        if several or (p_values and k == last)
    }
    at_last = adjusted.get(last, dict.fromkeys(treatments, (None, None)))

    def rejected(treatment: str, k: int) -> bool | None:
        value = z[treatment][k]
        if value is None or abs(value) < boundary.critical_z[k]:
            return None
        p = adjusted[k][treatment][1] if several else None
        return value > 0 if p is None or p <= plan.design.alpha * (1 + 1e-9) else None

    return {
        treatment: PrimaryPath(
            variant=treatment,
            z=z[treatment],
            rejected=tuple(rejected(treatment, k) for k in range(len(looks))),
            p_value=at_last[treatment][0],
            p_adjusted=at_last[treatment][1],
        )
        for treatment in treatments
    }


def guardrail_path(
    plan: AnalysisPlan, guardrail: Guardrail, treatment: str, looks: Sequence[LookPoint]
) -> GuardrailPath:
    """One-sided non-inferiority at alpha, spent over the same looks by the primary's spending function."""
    metric = plan.metric(guardrail.metric)
    z = [_z(plan, look, metric, treatment, guardrail.margin) for look in looks]
    boundary = spending_boundary(
        [look.fraction for look in looks],
        spending_of(plan.design),
        plan.design.alpha,
        sides=1,
        final=looks[-1].final,
    )
    return GuardrailPath(
        tuple(z),
        boundary.critical_z,
        tuple(
            None if value is None else value >= critical
            for value, critical in zip(z, boundary.critical_z, strict=True)
        ),
    )


def whole_boundary(design: Design, looks: Sequence[LookPoint]) -> Boundary:
    """The boundary of the looks taken, and of those still planned at their planned fractions."""
    following = looks[-1].planned + 1 if looks else 0
    fractions = [*(look.fraction for look in looks), *design.looks[following:]]
    if design.critical_z is None:
        return spending_boundary(fractions, spending_of(design), design.alpha, final=True)
    taken = [design.critical_z[look.planned] for look in looks]
    return supplied_boundary(fractions, [*taken, *design.critical_z[following:]])


def spending_of(rule: Design | Futility) -> SpendingFunction:
    """The function by which a rule spends its error."""
    return SpendingFunction(rule.spending.value, rule.gamma)


def _primary_z(plan: AnalysisPlan, look: LookPoint, treatment: str) -> float | None:
    if look.recorded is not None:
        return look.recorded.z.get(treatment)
    metric = plan.metric(plan.primary.metric)
    return _z(plan, look, metric, treatment, plan.primary.margin or NO_MARGIN)


def _z(plan: AnalysisPlan, look: LookPoint, metric: Metric, treatment: str, margin: Margin) -> float | None:
    return look.cube.remembered(
        ("z", metric, plan.control, treatment, margin),
        lambda: good_z(arm_pair(look.cube, metric, plan.control, treatment), metric, margin),
    )


def _adjusted(
    design: Design, z: dict[str, tuple[float | None, ...]], looks: Sequence[LookPoint]
) -> dict[str, tuple[float | None, float | None]]:
    """Two-sided sequential p-value of each treatment at the last of the looks, and after Holm's method."""
    p = {treatment: _sequential_p(design, path[: len(looks)], looks) for treatment, path in z.items()}
    known = [treatment for treatment, value in p.items() if value is not None]
    adjusted = holm(np.array([p[treatment] for treatment in known], dtype=np.float64))
    after = dict(zip(known, map(float, adjusted), strict=True))
    return {treatment: (p[treatment], after.get(treatment)) for treatment in z}


def _sequential_p(design: Design, path: Sequence[float | None], looks: Sequence[LookPoint]) -> float | None:
    """Twice the one-sided p-value of the direction in which the last look points."""
    seen = [(value, look) for value, look in zip(path, looks, strict=True) if value is not None]
    last = path[-1]
    if last is None or design.critical_z is not None:
        return None
    one_side = sequential_p_value(
        [value if last >= 0 else -value for value, _ in seen],
        [look.fraction for _, look in seen],
        spending_of(design),
        sides=1,
        final=seen[-1][1].final,
    )
    return min(2 * one_side, 1.0)
