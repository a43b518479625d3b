"""A declared burn-in: the first cohorts of a trial are left out of its effects."""

from __future__ import annotations

from datetime import date

from promptarena.analysis.cube import Cube
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.readout import Check

__all__ = ["burn_in_check", "burn_in_ends", "settled"]


def burn_in_ends(cube: Cube, plan: AnalysisPlan) -> date | None:
    """The first cohort day that counts; `None` without a burn-in, or of data without time or days."""
    return cube.days[0] + plan.design.burn_in if plan.design.burn_in is not None and cube.days else None


def settled(cube: Cube, first: date | None) -> Cube:
    """The cohorts of effects, from that day on."""
    return cube if first is None else cube.since(first)


def burn_in_check(cube: Cube, plan: AnalysisPlan, first: date | None) -> tuple[Check, ...]:
    """What was left out, where a burn-in was declared."""
    if plan.design.burn_in is None:
        return ()
    days = plan.design.burn_in.days
    if first is None:
        text = f"the declared burn-in of {days} days cannot be applied: the data has no time"
        return (Check(name="burn-in", passed=None if cube.days is None else True, text=text),)
    units = sum(cell.units for cell in cube.by().values())
    left_out = units - sum(cell.units for cell in cube.since(first).by().values())
    text = (
        f"{left_out:,} units first seen before {first.isoformat()}, in the declared burn-in of {days} days,"
        " are left out of every effect; they count for harm and balance"
    )
    return (Check(name="burn-in", passed=True, text=text, numbers={"units": left_out, "days": days}),)
