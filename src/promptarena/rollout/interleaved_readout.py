"""The readout of an experiment that interleaves, as its registry and its log have it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.interleaving import read_interleaving
from promptarena.definitions.interleaving_readout import InterleavingReadout
from promptarena.definitions.readout import Readout
from promptarena.errors import UsageError
from promptarena.rollout.experiment_readout import read_and_record
from promptarena.rollout.lifecycle import definition_of, known_standing
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.registry import Registry
from promptarena.storage.warehouse import Warehouse

__all__ = ["read_interleaved", "read_started"]


def read_started(
    registry: Registry, log: LogReader, name: str, as_of: datetime
) -> Readout | InterleavingReadout:
    """The readout of any experiment that was started, of the kind that it has.

    Raises:
        UsageError: it was never started.
        StorageError: the registry or the log cannot be read, or a look cannot be recorded.
        DataError: the log holds what cannot be read.
    """
    if definition_of(known_standing(registry, name)).interleave is None:
        return read_and_record(registry, log, name, as_of)
    return read_interleaved(registry, log, name, as_of)


def read_interleaved(registry: Registry, log: LogReader, name: str, as_of: datetime) -> InterleavingReadout:
    """Which of two rankers is preferred. It may be read at any time, and records nothing.

    Raises:
        UsageError: it was never started, or does not interleave.
        StorageError: the registry or the log cannot be read.
        DataError: the log holds what cannot be read.
    """
    definition = definition_of(known_standing(registry, name))
    if definition.interleave is None:
        raise UsageError(f"`{name}` does not interleave: each unit meets one variant.")
    started = registry.history(name)[0].at
    with Warehouse(ordered=False) as warehouse:
        tables = EventTables.of_snapshot(
            warehouse.connection,
            log.snapshot(),
            since=started.astimezone(UTC).date() - timedelta(days=1),
            until=as_of.astimezone(UTC).date(),
        )
        return read_interleaving(definition, tables, as_of=as_of, started=started)
