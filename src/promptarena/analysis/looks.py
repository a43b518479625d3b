"""When the trial was looked at: which cohorts each look had, and how much of the planned information.

A look is taken at the end of a whole week of cohorts, once the information reaches a planned fraction that no
earlier look has used. Fractions passed between two weeks are skipped; the next look spends their error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.hypotheses import information
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.readout import TakenLook

__all__ = ["MIN_OBSERVED", "LookPoint", "PlannedSize", "Schedule", "schedule", "week_ends"]

WEEK: Final = 7
MIN_OBSERVED: Final = 200
"""Observed primary values a variant before which no look is taken."""
# How far below a planned fraction still counts as having reached it: people plan in round numbers.
_CLOSE_ENOUGH: Final = 1e-3


@dataclass(frozen=True, slots=True)
class PlannedSize:
    """What the trial was sized for; reaching either makes a look the last one."""

    information: float | None
    """1 / SE^2 of the primary's difference; `None` where only units were planned, whose share then counts."""
    units: int
    """Of all variants."""


@dataclass(frozen=True, slots=True)
class LookPoint:
    """One look: the cohorts it had and its place in the design."""

    fraction: float
    """Information over the planned maximum; above 1 where the last look has more than was planned."""
    planned: int
    """Index of the latest planned look that it stands for."""
    day: date | None
    """Last cohort day; `None` where the data has no time."""
    cube: Cube
    final: bool
    recorded: TakenLook | None = None
    """What was recorded when it was taken; `None` of a look that is taken now."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The looks so far, and what comes next in words."""

    taken: tuple[LookPoint, ...]
    outlook: str
    """Empty after the final look."""
    fraction_now: float | None
    """Information over the planned maximum in all the data; `None` where no size was planned."""


def schedule(
    cube: Cube,
    plan: AnalysisPlan,
    treatments: Sequence[str],
    planned: PlannedSize | None,
    recorded: Sequence[LookPoint] = (),
) -> Schedule:
    """Find the looks that a trial with these cohorts has had.

    Args:
        cube: all data.
        plan: what was declared.
        treatments: variants other than control.
        planned: the size; `None` where none was planned, which makes all the data one final look.
        recorded: looks that were taken before: they stand, and others come after them.
    """
    last = len(plan.design.looks) - 1
    if planned is None:
        return Schedule((LookPoint(1.0, last, _last_day(cube), cube, True),), "", None)
    if cube.days is None:
        return _without_time(cube, plan, treatments, planned)
    taken = list(recorded)
    if taken and taken[-1].final:
        return Schedule(tuple(taken), "", taken[-1].fraction)
    pending = taken[-1].planned + 1 if taken else 0
    for day, age in week_ends(cube, plan.design.min_days):
        if taken and taken[-1].day is not None and day <= taken[-1].day:
            continue
        cohorts = cube.until(day)
        share = _fraction(cohorts, plan, treatments, planned)
        expired = plan.design.max_days is not None and age >= plan.design.max_days
        reached = _planned_look(plan.design.looks, pending, share)
        if expired or reached == last or _units(cohorts) >= planned.units:
            taken.append(LookPoint(_apart(share, taken), last, day, cohorts, True))
            return Schedule(tuple(taken), "", share)
        if reached is not None:
            taken.append(LookPoint(share, reached, day, cohorts, False))
            pending = reached + 1
    now = _fraction(cube, plan, treatments, planned)
    return Schedule(tuple(taken), _outlook(cube, plan, treatments, pending, now), now)


def _without_time(
    cube: Cube, plan: AnalysisPlan, treatments: Sequence[str], planned: PlannedSize
) -> Schedule:
    share = _fraction(cube, plan, treatments, planned)
    last = len(plan.design.looks) - 1
    reached = last if _units(cube) >= planned.units else _planned_look(plan.design.looks, 0, share)
    taken = () if reached is None else (LookPoint(_apart(share, []), reached, None, cube, reached == last),)
    following = 0 if reached is None else reached + 1
    outlook = (
        f"the next look is at {plan.design.looks[following]:.0%} of the planned information"
        f" (now {_floored(share)})"
        if following <= last
        else ""
    )
    return Schedule(taken, outlook, share)


def _planned_look(fractions: Sequence[float], pending: int, share: float) -> int | None:
    """The latest planned look that `share` reaches and no earlier look has used."""
    reached = [i for i in range(pending, len(fractions)) if share >= fractions[i] - _CLOSE_ENOUGH]
    return reached[-1] if reached else None


def _fraction(cube: Cube, plan: AnalysisPlan, treatments: Sequence[str], planned: PlannedSize) -> float:
    """Information of the treatment that has least of it, over the maximum; 0 before `MIN_OBSERVED` units."""
    least = math.inf
    for treatment in treatments:
        pair = arm_pair(cube, plan.metric(plan.primary.metric), plan.control, treatment)
        known = information(pair)
        if min(pair.n_control, pair.n_treatment) < MIN_OBSERVED or known is None:
            return 0.0
        least = min(least, known)
    if planned.information is None:
        return _units(cube) / planned.units
    return least / planned.information


def _apart(share: float, taken: Sequence[LookPoint]) -> float:
    # A last look forced by the calendar may add next to no information; it still comes after the one before.
    return max(share, taken[-1].fraction * (1 + _CLOSE_ENOUGH) if taken else _CLOSE_ENOUGH)


def week_ends(cube: Cube, min_days: int) -> list[tuple[date, int]]:
    """Ends of whole weeks since the first cohort, from `min_days` on, with the days up to there."""
    days = cube.days
    if not days:
        return []
    first, last = days[0], days[-1]
    length = (last - first).days + 1
    return [
        (first + timedelta(days=age - 1), age) for age in range(WEEK, length + 1, WEEK) if age >= min_days
    ]


def _floored(share: float) -> str:
    """A share in percent, never rounded up to what it has not reached."""
    return f"{math.floor(share * 100)}%"


def _units(cube: Cube) -> int:
    return sum(cell.units for cell in cube.by().values())


def _last_day(cube: Cube) -> date | None:
    return cube.days[-1] if cube.days else None


def _outlook(cube: Cube, plan: AnalysisPlan, treatments: Sequence[str], pending: int, now: float) -> str:
    target = plan.design.looks[pending]
    if not cube.days or now <= 0:
        return _first_look(cube, plan, treatments)
    first, last = cube.days[0], cube.days[-1]
    age = (last - first).days + 1
    needed = max(age * target / now, plan.design.min_days, age + 1)
    return (
        f"the next look is at {target:.0%} of the planned information (now {_floored(now)}):"
        f" at this pace after the cohorts of {_week_end(first, needed).isoformat()}"
    )


def _first_look(cube: Cube, plan: AnalysisPlan, treatments: Sequence[str]) -> str:
    """What there is to wait for while so few units are observed that no information is reckoned."""
    needs = f"the first look needs {MIN_OBSERVED} observed units a variant and {plan.design.min_days} days"
    primary = plan.metric(plan.primary.metric)
    pairs = [arm_pair(cube, primary, plan.control, treatment) for treatment in treatments]
    least = min(min(pair.n_control, pair.n_treatment) for pair in pairs)
    if not cube.days or least == 0:
        return needs
    first, last = cube.days[0], cube.days[-1]
    needed = max(((last - first).days + 1) * MIN_OBSERVED / least, plan.design.min_days)
    return f"{needs}: at this pace not before the cohorts of {_week_end(first, needed).isoformat()}"


def _week_end(first: date, days: float) -> date:
    """The last day of the week, of those that begin with the first cohort, in which so many days are over."""
    return first + timedelta(days=math.ceil(days / WEEK - 1e-9) * WEEK - 1)
