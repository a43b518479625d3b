"""Small logs for the tests of storage."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import pyarrow.parquet as pq

from promptarena.definitions.events import Generation, Kind, Measurement
from promptarena.storage.event_log import LogReader
from promptarena.storage.log_relation import events_relation
from promptarena.storage.snapshot import Snapshot

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""A quiet noon, far from midnight."""


def call(name: str, *, user: str | None = None, conversation: str | None = None) -> Generation:
    """A model call; its request is named so."""
    return Generation(ts=NOW, request_id=name, feature="f", user_id=user, conversation_id=conversation)


def rating(name: str, target: str, kind: str = "request") -> Measurement:
    """What somebody said of something."""
    return Measurement(ts=NOW, name=name, target_kind=kind, target=target, source="human", value=1)


def column(
    read: LogReader | Snapshot,
    kind: Kind = "generation",
    name: str = "request_id",
    since: date | None = None,
    until: date | None = None,
) -> list[object]:
    """One column of the one table that a reader has of a kind, sorted."""
    snapshot = read if isinstance(read, Snapshot) else read.snapshot()
    relation = events_relation(_engine(), snapshot.tables(kind, since, until))
    return sorted(relation.select(name).to_pyarrow().column(name).to_pylist())


@cache
def _engine() -> Any:
    return ibis.duckdb.connect()


def stored(root: Path, kind: Kind = "generation", name: str = "request_id") -> list[object]:
    """One column of every Parquet file there is, listed or not, sorted."""
    files = sorted((root / "sealed" / f"kind={kind}").glob("*/*.parquet"))
    found = [
        value for file in files for value in pq.read_table(file, columns=[name]).column(name).to_pylist()
    ]
    return sorted(value for value in found if value is not None)
