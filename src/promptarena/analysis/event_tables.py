"""The three facts as tables of one engine: of a log's snapshot, or of whoever else keeps them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import ibis

from promptarena.analysis.engine_words import EngineWords, engine_words
from promptarena.storage.log_relation import events_relation

if TYPE_CHECKING:
    from promptarena.definitions.events import Kind
    from promptarena.storage.snapshot import Snapshot

__all__ = ["EventTables"]


@dataclass(frozen=True)
class EventTables:
    """Each with the columns of `arrow_schema.schema_of`, every event once."""

    backend: Any
    """The Ibis backend that has all of them."""
    exposures: ibis.Table
    generations: ibis.Table
    measurements: ibis.Table

    @classmethod
    def of_snapshot(
        cls, backend: Any, snapshot: Snapshot, *, since: date | None = None, until: date | None = None
    ) -> EventTables:
        """Those of a log, received on the days (UTC) from `since` to `until`."""

        def events(kind: Kind) -> ibis.Table:
            tables = snapshot.tables(kind, since, until)
            if tables.compacted or tables.fresh:
                return events_relation(backend, tables)
            # Nothing is sealed yet. A table in our own memory alone would be read by another engine.
            return backend.create_table(f"{kind}_{uuid.uuid4().hex}", tables.tail, temp=True)

        return cls(backend, events("exposure"), events("generation"), events("measurement"))

    @property
    def words(self) -> EngineWords:
        """The functions of their engine."""
        return engine_words(self.backend)

    def received_before(self, moment: datetime) -> EventTables:
        """What was known at a moment."""

        def known(events: ibis.Table) -> ibis.Table:
            return events.filter(events.received_at < ibis.literal(moment))

        return replace(
            self,
            exposures=known(self.exposures),
            generations=known(self.generations),
            measurements=known(self.measurements),
        )
