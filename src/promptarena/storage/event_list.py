"""The newest events of a log, and how many there are of each kind."""

from __future__ import annotations

import ibis

from promptarena.definitions.events import EVENT_TYPES, Event, Kind
from promptarena.storage.arrow_schema import table_to_events
from promptarena.storage.event_filter import EventFilter
from promptarena.storage.log_relation import events_relation
from promptarena.storage.snapshot import Snapshot
from promptarena.storage.warehouse import Warehouse, fetch

__all__ = ["events_of_each_kind", "newest_events"]


def newest_events(snapshot: Snapshot, wanted: EventFilter, last: int) -> list[Event]:
    """The last events by `ts`, newest first, each once.

    Args:
        last: how many, at most; so many of each kind are held in memory.

    Raises:
        DataError: the engine could not read the log, or had not enough memory or disk.
    """
    found: list[Event] = []
    with Warehouse() as warehouse:
        for kind in wanted.kinds:
            events = wanted.narrow(events_relation(warehouse.connection, snapshot.tables(kind)))
            newest = events.order_by(ibis.desc("ts"), ibis.desc("event_id")).limit(last)
            found += table_to_events(kind, fetch(newest.select(*events.columns)))
    found.sort(key=lambda event: (event.ts, event.event_id), reverse=True)
    return found[:last]


def events_of_each_kind(snapshot: Snapshot) -> dict[Kind, int]:
    """How many events of each kind there are: repetitions and erased ones are not counted.

    Raises:
        DataError: as `newest_events`.
    """
    counted: dict[Kind, int] = {}
    with Warehouse() as warehouse:
        for kind in EVENT_TYPES:
            events = events_relation(warehouse.connection, snapshot.tables(kind))
            counted[kind] = fetch(events.aggregate(n=events.count()))["n"][0].as_py()
    return counted
