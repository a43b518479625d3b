"""Whether going on is worth it: a treatment's chances at a look that did not decide, and the declared bound.

The bound is not binding. It is read at the latest look only: whoever goes on past it finds the next look as
if it had not been there, and the type I error is what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from promptarena.analysis.looks import LookPoint
from promptarena.analysis.sequential import PrimaryPath, primary_boundary, spending_of, whole_boundary
from promptarena.definitions.analysis_plan import AnalysisPlan, Design
from promptarena.definitions.readout import Check
from promptarena.stats.futility import futility_boundary, futility_so_far
from promptarena.stats.power import shared_power
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.stopping import conditional_power, drift_for_power

__all__ = ["Chances", "chances", "futility_bounds", "futility_check"]


@dataclass(frozen=True, slots=True)
class Chances:
    """Probability that a later look crosses the good way, given what was seen."""

    trend: float
    """If the rest is like what was seen."""
    planned: float
    """If the effect is the one that the trial was sized for."""


def chances(plan: AnalysisPlan, looks: Sequence[LookPoint], path: PrimaryPath) -> Chances | None:
    """Those of a treatment at the last of the looks; `None` if it is the final one or could not be tested."""
    z = path.z[-1]
    if z is None or looks[-1].final or looks[-1].planned + 1 >= len(plan.design.looks):
        return None
    boundary, now = whole_boundary(plan.design, looks), len(looks) - 1
    return Chances(
        conditional_power(boundary, now, z),
        conditional_power(boundary, now, z, _planned_drift(plan.design, _power(plan))),
    )


def futility_bounds(plan: AnalysisPlan, looks: Sequence[LookPoint]) -> tuple[float, ...]:
    """At or below these, towards the good side, the looks say `hold`: those but a final one.

    None where no such bound was declared.
    """
    before_final = [look for look in looks if not look.final]
    if plan.design.futility is None or not before_final or len(plan.design.looks) == 1:
        return ()
    upper = replace(primary_boundary(plan.design, before_final), sides=1)
    drift = _planned_drift(plan.design, _power(plan))
    return futility_so_far(upper, _power(plan), _beta_spending(plan.design), drift)


def futility_check(
    plan: AnalysisPlan, looks: Sequence[LookPoint], path: PrimaryPath, bounds: Sequence[float]
) -> Check | None:
    """Whether the last of the looks is at or below its bound; `None` where it has none.

    Args:
        plan: what was declared.
        looks: those taken, the last of them the latest.
        path: the treatment's primary at those.
        bounds: from `futility_bounds`.
    """
    z = path.z[-1]
    if len(bounds) < len(looks) or z is None or (found := chances(plan, looks, path)) is None:
        return None
    bound, metric = bounds[len(looks) - 1], plan.primary.metric
    futile = z <= bound
    likely = (
        f"the chance to succeed at a later look is {found.trend:.0%} if it goes on like this, and"
        f" {found.planned:.0%} if the effect is what was planned for"
    )
    text = (
        f"{metric}: going on is unlikely to pay (z {z:.2f}, at or below the futility bound {bound:.2f});"
        f" {likely}. The bound does not bind: going on costs no error"
        if futile
        else f"{metric}: z {z:.2f} is above the futility bound {bound:.2f}; {likely}"
    )
    return Check(
        name="futility",
        passed=not futile,
        metric=metric,
        variant=path.variant,
        text=text,
        numbers={"z": z, "bound": bound, "trend": found.trend, "planned": found.planned},
    )


@lru_cache(maxsize=64)  # of a design, whose looks ask for it again and again
def _planned_drift(design: Design, power: float) -> float:
    """The expected statistic at the planned size, with the effect that the trial was sized for."""
    boundary = whole_boundary(design, ())
    if design.futility is None or len(design.looks) == 1:
        return drift_for_power(boundary, power)
    return futility_boundary(replace(boundary, sides=1), power, _beta_spending(design)).drift


def _power(plan: AnalysisPlan) -> float:
    return shared_power(plan.design.power, len(plan.guardrails))


def _beta_spending(design: Design) -> SpendingFunction:
    assert design.futility is not None
    return spending_of(design.futility)
