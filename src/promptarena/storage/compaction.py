"""Merging sealed segments: each event once in the whole log, the erased gone, few files a day.

What comes out shares no event with any other compacted file, of whatever day: event ids begin with their
time, so only the files around that time are asked. One process compacts at a time; the others find its lock
and leave it at that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

import ibis
import msgspec
import pyarrow as pa

from promptarena.definitions.clock import Clock
from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.events import Kind
from promptarena.storage.arrow_schema import schema_of
from promptarena.storage.durable_files import fsync_file, try_lock
from promptarena.storage.erased_events import erased_event_ids
from promptarena.storage.log_folder import LogFolder, LogSettings, stamped
from promptarena.storage.log_relation import events_relation, sealed_relation
from promptarena.storage.manifest import Counts, Manifest, Sealed, edit_manifest, read_manifest
from promptarena.storage.parquet_files import Prepared, describe, put_in_place, work_space
from promptarena.storage.snapshot import KindTables
from promptarena.storage.tombstones import Tombstones, read_tombstones
from promptarena.storage.warehouse import Warehouse, engine_errors_explained, fetch

__all__ = ["Compactor"]

_MOST_COMPACTED: Final = 8
"""Compacted files of the current day before they are merged as well."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done about one partition."""

    manifest: Manifest
    tombstones: Tombstones
    inputs: list[Sealed]
    """To become one file."""
    disobedient: list[Sealed]
    """Sealed before somebody was erased: they may hold events of theirs."""


class Compactor:
    """Compacts the partitions of one log."""

    def __init__(self, folder: LogFolder, settings: LogSettings, clock: Clock) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock

    def compact(self, *, everything: bool = False) -> int:
        """Compact what is due; gives the number of partitions that were rewritten.

        Due are days that have passed, partitions with many segments (`merge_at`), and whatever holds events
        of erased persons; with `everything`, all that is not yet compacted.

        Raises:
            StorageError: a disk or a lock failed; what was compacted before stays so.
            DataError: the engine had not enough memory or disk.
        """
        handle = try_lock(self._folder.compaction_lock)
        if handle is None:
            return 0
        try:
            due = [partition for partition in self._partitions() if self._work(*partition, everything)]
            if not due:
                return 0
            with work_space(self._folder) as space, Warehouse(folder=space) as warehouse:
                rewriting = _Rewriting(self._folder, self._settings, self._clock, warehouse, space)
                # In the order of days: of a repetition across midnight the first is met first, and stays.
                return sum(self._compact(rewriting, kind, day, everything) for kind, day in due)
        finally:
            os.close(handle)

    def _partitions(self) -> list[tuple[Kind, str]]:
        segments = read_manifest(self._folder).segments
        return sorted({(one.kind, one.day) for one in segments}, key=lambda partition: partition[::-1])

    def _compact(self, rewriting: _Rewriting, kind: Kind, day: str, everything: bool) -> bool:
        while (work := self._work(kind, day, everything)) is not None:
            committed = rewriting.run(work)
            if committed is not None:
                return committed
        return False

    def _work(self, kind: Kind, day: str, everything: bool) -> _Work | None:
        """What is to be done about a partition now, if anything."""
        manifest = read_manifest(self._folder)
        tombstones = read_tombstones(self._folder)
        here = [one for one in manifest.segments if (one.kind, one.day) == (kind, day)]
        disobedient = [one for one in here if one.obeys < tombstones.size]
        inputs = self._due(here, day, everything)
        return _Work(manifest, tombstones, inputs, disobedient) if inputs or disobedient else None

    def _due(self, here: list[Sealed], day: str, everything: bool) -> list[Sealed]:
        """The segments of a partition that are to become one."""
        fresh = [one for one in here if not one.compacted]
        compacted = [one for one in here if one.compacted]
        if day < self._clock.now().astimezone(UTC).date().isoformat():
            return here if fresh or len(compacted) > 1 else []
        if not fresh or not (everything or len(fresh) >= self._settings.merge_at):
            return []
        return here if len(compacted) >= _MOST_COMPACTED else fresh


class _Rewriting:
    """One partition's segments on their way into one."""

    def __init__(
        self, folder: LogFolder, settings: LogSettings, clock: Clock, warehouse: Warehouse, space: Path
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._warehouse = warehouse
        self._space = space

    def run(self, work: _Work) -> bool | None:
        """Rewrite and commit. Whether files changed; `None` if the log did underneath: do it again."""
        kind = (work.inputs or work.disobedient)[0].kind
        erased = {
            one.path: erased_event_ids(self._warehouse, kind, [self._folder.root / one.path], work.tombstones)
            for one in work.disobedient
        }
        holding = [one for one in work.disobedient if len(erased[one.path]) and one not in work.inputs]
        inputs = [*work.inputs, *holding]
        gone = pa.chunked_array([*erased.values()], type=pa.string()) if erased else None
        prepared, counts = self._write(work, inputs, gone) if inputs else ([], Counts())
        committed = self._commit(work, inputs, prepared, counts)
        return bool(inputs) if committed else None

    def _write(
        self, work: _Work, inputs: list[Sealed], erased: pa.ChunkedArray | None
    ) -> tuple[list[Prepared], Counts]:
        kind, day = inputs[0].kind, inputs[0].day
        target = self._folder.partition(kind, day) / f"{new_event_id()}~compacted.parquet"
        file = self._space / target.name
        tables = KindTables(
            kind=kind,
            compacted=self._paths(one for one in inputs if one.compacted),
            fresh=self._paths(one for one in inputs if not one.compacted),
            tail=schema_of(kind).empty_table(),
            rivals=self._paths(_rivals(work.manifest, inputs)),
            hidden=(),
        )
        connection = self._warehouse.connection
        # In the file's own column order, whichever columns older files lacked.
        events = events_relation(connection, tables)
        removed = 0
        if erased is not None and len(erased):
            names = ibis.memtable(pa.table({"event_id": erased})).distinct()
            everything = sealed_relation(connection, kind, self._paths(inputs))
            removed = fetch(everything.semi_join(names, "event_id").aggregate(n=ibis._.count()))["n"][
                0
            ].as_py()
            events = events.anti_join(names, "event_id")
        with engine_errors_explained():
            connection.to_parquet(
                events.order_by("event_id").select(schema_of(kind).names), str(file), compression="zstd"
            )
        fsync_file(file)
        prepared = []
        rows = fetch(sealed_relation(connection, kind, [file]).aggregate(n=ibis._.count()))["n"][0].as_py()
        if rows:
            relative = str(target.relative_to(self._folder.root))
            prepared = [
                Prepared(
                    file, describe(file, relative, kind, day, compacted=True, obeys=work.tombstones.size)
                )
            ]
        before = sum(one.rows for one in inputs)
        return prepared, Counts(duplicates=before - removed - rows, erased=removed)

    def _commit(self, work: _Work, inputs: list[Sealed], prepared: list[Prepared], counts: Counts) -> bool:
        committed = False
        obeys = work.tombstones.size
        paths = {one.path for one in inputs}
        looked_at = {one.path for one in work.disobedient}

        def change(manifest: Manifest) -> Manifest:
            nonlocal committed
            listed = {one.path for one in manifest.segments}
            if not (paths | looked_at) <= listed or read_tombstones(self._folder).size != obeys:
                return manifest
            committed = True
            put_in_place(self._folder, prepared)
            now = stamped(self._clock, self._settings.host)
            kept = [
                msgspec.structs.replace(one, obeys=obeys) if one.path in looked_at else one
                for one in manifest.segments
                if one.path not in paths
            ]
            segments = (*kept, *(one.sealed for one in prepared))
            spent = [
                one for one in manifest.hidden if all(other.obeys >= one.tombstones for other in segments)
            ]
            return msgspec.structs.replace(
                manifest,
                segments=segments,
                retired={
                    **manifest.retired,
                    **dict.fromkeys([*sorted(paths), *(one.path for one in spent)], now),
                },
                hidden=tuple(one for one in manifest.hidden if one not in spent),
                counts=manifest.counts + counts,
            )

        edit_manifest(self._folder, change)
        return committed

    def _paths(self, segments: Iterable[Sealed]) -> tuple[Path, ...]:
        return tuple(self._folder.root / one.path for one in segments)


def _rivals(manifest: Manifest, inputs: list[Sealed]) -> list[Sealed]:
    """Compacted files of the same kind, of any day, whose ids lie where those of fresh inputs do."""
    fresh = [one for one in inputs if not one.compacted]
    return [
        other
        for other in manifest.segments
        if other.kind == inputs[0].kind
        and other.compacted
        and any(one.min_id <= other.max_id and other.min_id <= one.max_id for one in fresh)
    ]
