"""Looks as they are recorded: what a registry keeps, and what later readouts must not change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from promptarena.analysis.cube import Cube
from promptarena.analysis.looks import LookPoint
from promptarena.analysis.sequential import PrimaryPath, primary_boundary
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.readout import TakenLook

__all__ = ["as_recorded", "to_record"]


def to_record(
    plan: AnalysisPlan, looks: Sequence[LookPoint], paths: Mapping[str, PrimaryPath], as_of: datetime
) -> tuple[TakenLook, ...]:
    """What is to be kept of looks on cohorts, in their order; those that were recorded before are unchanged.

    Args:
        plan: what was declared.
        looks: all until now.
        paths: each treatment's, over the same looks.
        as_of: the moment of this readout, at which the new ones are taken.
    """
    if not looks:
        return ()
    boundary = primary_boundary(plan.design, looks)
    return tuple(
        look.recorded
        or TakenLook(
            planned=look.planned,
            day=look.day.isoformat(),
            as_of=as_of.astimezone(UTC).isoformat(),
            fraction=look.fraction,
            units=sum(cell.units for cell in look.cube.by().values()),
            z={treatment: path.z[k] for treatment, path in paths.items()},
            critical_z=boundary.critical_z[k],
            final=look.final,
        )
        for k, look in enumerate(looks)
        if look.day is not None
    )


def as_recorded(taken: TakenLook, cube: Cube) -> LookPoint:
    """A recorded look's place in the sequence.

    Args:
        taken: the record.
        cube: the cohorts that it had, as they were known then.
    """
    return LookPoint(
        taken.fraction, taken.planned, date.fromisoformat(taken.day), cube, taken.final, recorded=taken
    )
