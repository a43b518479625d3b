"""Which sealed events are about whom: the engine finds them, by plain ids or by asking the keyed list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa

from promptarena.definitions.events import Kind
from promptarena.storage.log_relation import sealed_relation
from promptarena.storage.tombstones import Identity, Tombstones
from promptarena.storage.warehouse import Warehouse, fetch

__all__ = ["erased_event_ids", "event_ids_about", "identities_of"]

_AT_ONCE: Final = 1_000_000
"""Events whose ids are hashed together."""

_UNITS: Final = (
    ("'user'", "user_id"),
    ("'session'", "session_id"),
    ("'conversation'", "conversation_id"),
    ("'request'", "request_id"),
)
_COLUMNS: Final[dict[Kind, tuple[tuple[str, str], ...]]] = {
    "exposure": (("unit_kind", "unit_id"), ("'request'", "request_id")),
    "generation": _UNITS,
    "measurement": (("target_kind", "target"), ("target_kind", "against")),
    "content": _UNITS,
}
"""Where an event says what it is about: a kind (in quotes) or the column that names it, and the id's column.
The same as `tombstones.identities`."""


def identities_of(events: ibis.Table, kind: Kind) -> ibis.Table:
    """`event_id`, `about_kind`, `about_id` for everything that events of one kind are about."""
    parts = [
        events.select(
            event_id=events.event_id,
            about_kind=ibis.literal(of.strip("'")) if of.startswith("'") else events[of],
            about_id=events[column],
        )
        for of, column in _COLUMNS[kind]
    ]
    both = parts[0] if len(parts) == 1 else parts[0].union(*parts[1:])
    return both.filter(both.about_id.notnull())


def event_ids_about(events: ibis.Table, kind: Kind, whom: Collection[Identity]) -> pa.ChunkedArray:
    """The ids of events that are about any of these, each once."""
    wanted = pa.table(
        {
            "about_kind": pa.array([who.kind for who in whom], pa.string()),
            "about_id": pa.array([who.id for who in whom], pa.string()),
        }
    )
    about = identities_of(events, kind)
    found = about.semi_join(ibis.memtable(wanted), ["about_kind", "about_id"])
    return fetch(found.select("event_id").distinct()).column("event_id")


def erased_event_ids(
    warehouse: Warehouse, kind: Kind, files: Sequence[Path], tombstones: Tombstones
) -> pa.ChunkedArray:
    """The ids of sealed events that are about somebody on the list of the erased, each once.

    The list holds keyed hashes, so every distinct id is hashed: about a second for a million.
    """
    events = sealed_relation(warehouse.connection, kind, files)
    about = identities_of(events, kind).select("about_kind", "about_id")
    erased: list[Identity] = []
    shares = 1 + fetch(events.aggregate(n=events.count()))["n"][0].as_py() // _AT_ONCE
    for share in range(shares):
        # Only so many ids come here at a time, however large the files are.
        part = about if shares == 1 else about.filter(_within(about.about_id.hash(), shares) == share)
        distinct = fetch(part.distinct())
        erased += [
            Identity(of, id_)
            for batch in distinct.to_batches(max_chunksize=10_000)
            for of, id_ in zip(*(column.to_pylist() for column in batch.columns), strict=True)
            if tombstones.has(of, id_)
        ]
    return event_ids_about(events, kind, erased) if erased else pa.chunked_array([], type=pa.string())


def _within(number: Any, shares: int) -> Any:
    """The remainder, from 0; hashes may be negative, and the least of them has no absolute value."""
    return (number % shares + shares) % shares
