"""One table a kind from the files of a snapshot: repetitions and erased events left out by the engine.

Compacted files are scanned as they are. Only what has been sealed or written since pays for the search for
repetitions, and only among files whose ids lie in the same range.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.parquet as pq

from promptarena.definitions.events import Kind
from promptarena.storage.arrow_schema import schema_of
from promptarena.storage.snapshot import KindTables

__all__ = ["events_relation", "sealed_relation"]

_HIDDEN: Final = pa.schema([("kind", pa.string()), ("event_id", pa.string())])


def events_relation(connection: Any, tables: KindTables) -> ibis.Table:
    """The events of one kind, each once, with the columns of `schema_of`.

    Args:
        connection: an Ibis backend that reads Parquet, such as `Warehouse.connection`.
        tables: from `Snapshot.tables`.
    """
    compacted = sealed_relation(connection, tables.kind, tables.compacted)
    relation = compacted
    if tables.fresh or len(tables.tail):
        fresh = _each_once(connection, tables)
        relation = fresh if not tables.compacted else compacted.union(fresh)
    if tables.hidden:
        hidden = pa.concat_tables([pq.read_table(path, schema=_HIDDEN) for path in tables.hidden])
        erased = ibis.memtable(hidden).filter(lambda row: row.kind == tables.kind).select("event_id")
        relation = relation.anti_join(erased, "event_id")
    return relation


def sealed_relation(connection: Any, kind: Kind, files: Sequence[Path]) -> ibis.Table:
    """Sealed files of one kind as they are. A file of an older version lacks later columns: they are null."""
    schema = ibis.Schema.from_pyarrow(schema_of(kind))
    if not files:
        return ibis.memtable(schema_of(kind).empty_table())
    stored = connection.read_parquet([str(path) for path in files], union_by_name=True)
    return stored.select(
        **{
            name: (stored[name] if name in stored.columns else ibis.null()).cast(column)
            for name, column in schema.items()
        }
    )


def _each_once(connection: Any, tables: KindTables) -> ibis.Table:
    """What is not compacted, without repetitions: what is compacted stays, else what came first."""
    sealed = sealed_relation(connection, tables.kind, tables.fresh)
    tail = ibis.memtable(tables.tail)
    fresh = sealed if not len(tables.tail) else tail if not tables.fresh else sealed.union(tail)
    # One file alone was freed of repetitions when it was sealed, and so was the tail when it was read.
    if len(tables.fresh) + (len(tables.tail) > 0) > 1:
        by_time = ibis.window(group_by="event_id", order_by=["received_at", "ts"])
        fresh = fresh.mutate(rank_=ibis.row_number().over(by_time)).filter(lambda row: row.rank_ == 0)
        fresh = fresh.drop("rank_")
    if tables.rivals:
        known = sealed_relation(connection, tables.kind, tables.rivals).select("event_id")
        fresh = fresh.anti_join(known, "event_id")
    if tables.since is not None:
        fresh = fresh.filter(fresh.received_at >= ibis.literal(tables.since))
    if tables.until is not None:
        fresh = fresh.filter(fresh.received_at < ibis.literal(tables.until))
    return fresh
