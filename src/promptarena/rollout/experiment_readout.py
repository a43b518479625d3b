"""An experiment's readout as its registry and its log have it; its looks are recorded before it is shown."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from promptarena.analysis.log_readout import read_experiment
from promptarena.definitions.readout import Readout, TakenLook
from promptarena.errors import UsageError
from promptarena.rollout.lifecycle import definition_of, known_standing
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.records import LookRecord
from promptarena.storage.registry.registry import Registry

__all__ = ["read_and_record"]


def read_and_record(registry: Registry, log: LogReader, name: str, as_of: datetime) -> Readout:
    """Read an experiment, and record every look that this readout takes.

    Whoever reads twice at once takes each look once: the one that was recorded first stands, and the other
    reader shows it too.

    Args:
        registry: what was started, its allocations and the looks until now.
        log: its events.
        name: of the experiment.
        as_of: the moment of this readout.

    Raises:
        UsageError: it was never started, or interleaves.
        StorageError: the registry or the log cannot be read, or a look cannot be recorded.
        DataError: the log holds what cannot be read.
    """
    standing = known_standing(registry, name)
    definition = definition_of(standing)
    if definition.interleave is not None:
        raise UsageError(f"`{name}` interleaves: its lists have a preference, and no verdict.")
    weights = {record.epoch: record.weights for record in registry.allocations(name)}
    started = registry.history(name)[0].at
    while True:
        recorded = tuple(_taken(record.result) for record in registry.looks.taken(name))
        readout = read_experiment(
            definition, log.snapshot(), as_of=as_of, looks_taken=recorded, weights=weights, started=started
        )
        stands = True
        for number, look in enumerate(readout.looks[len(recorded) :], start=len(recorded) + 1):
            stands &= _taken(registry.looks.record(_record(name, number, look, as_of)).result) == look
        if stands:
            return readout


def _record(name: str, number: int, look: TakenLook, as_of: datetime) -> LookRecord:
    return LookRecord(
        experiment=name,
        number=number,
        at=as_of,
        day=look.day,
        fraction=look.fraction,
        units=look.units,
        result=asdict(look),
    )


def _taken(result: dict[str, Any]) -> TakenLook:
    return TakenLook(**result)
