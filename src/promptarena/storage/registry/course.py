"""Queries of experiments' courses: the steps, and where they have led."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, and_, func, select

from promptarena.definitions.course import Status
from promptarena.storage.registry.records import (
    AllocationRecord,
    DefinitionRecord,
    ExperimentRecord,
    SlotRecord,
    Standing,
    TransitionRecord,
)
from promptarena.storage.registry.rows import record_of
from promptarena.storage.registry.tables import allocations, definitions, experiments, slots, transitions

__all__ = ["last_transition", "standings", "transitions_of"]

_ENDED: Final = [status.value for status in Status if status.ended]


def transitions_of(connection: Connection, experiment: str) -> tuple[TransitionRecord, ...]:
    """All of an experiment, in their order."""
    query = select(transitions).where(transitions.c.experiment == experiment).order_by(transitions.c.number)
    return tuple(record_of(TransitionRecord, row) for row in connection.execute(query))


def last_transition(connection: Connection, experiment: str) -> TransitionRecord | None:
    """The one that says where an experiment stands; `None` if it was never started."""
    query = (
        select(transitions)
        .where(transitions.c.experiment == experiment)
        .order_by(transitions.c.number.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None else record_of(TransitionRecord, row)


def standings(
    connection: Connection, experiment: str | None = None, *, ended: bool = True
) -> tuple[Standing, ...]:
    """Where one experiment stands, or all of them, in the order of their names.

    Args:
        connection: within a transaction.
        experiment: the only one.
        ended: whether those that have ended are among them.
    """
    latest = (
        select(transitions.c.experiment, func.max(transitions.c.number).label("number"))
        .group_by(transitions.c.experiment)
        .subquery()
    )
    last_steps = select(transitions).join(
        latest, and_(transitions.c.experiment == latest.c.experiment, transitions.c.number == latest.c.number)
    )
    epochs = (
        select(allocations.c.experiment, func.max(allocations.c.epoch).label("epoch"))
        .group_by(allocations.c.experiment)
        .subquery()
    )
    present = select(allocations).join(
        epochs, and_(allocations.c.experiment == epochs.c.experiment, allocations.c.epoch == epochs.c.epoch)
    )
    known, held = select(experiments).order_by(experiments.c.name), select(slots)
    if experiment is not None:
        known = known.where(experiments.c.name == experiment)
        last_steps = last_steps.where(transitions.c.experiment == experiment)
        present = present.where(allocations.c.experiment == experiment)
        held = held.where(slots.c.experiment == experiment)
    if not ended:
        last_steps = last_steps.where(transitions.c.status.not_in(_ENDED))
    steps = {row.experiment: record_of(TransitionRecord, row) for row in connection.execute(last_steps)}
    weights = {row.experiment: record_of(AllocationRecord, row) for row in connection.execute(present)}
    places = {row.experiment: record_of(SlotRecord, row) for row in connection.execute(held)}
    return tuple(
        Standing(
            experiment=record,
            definition=_definition(connection, steps[record.name]),
            last=steps[record.name],
            allocation=weights[record.name],
            slot=places[record.name],
        )
        for record in (record_of(ExperimentRecord, row) for row in connection.execute(known).all())
        if record.name in steps
    )


def _definition(connection: Connection, step: TransitionRecord) -> DefinitionRecord:
    query = select(definitions).where(
        definitions.c.experiment == step.experiment, definitions.c.revision == step.revision
    )
    return record_of(DefinitionRecord, connection.execute(query).one())
