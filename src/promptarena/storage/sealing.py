"""From an open segment's JSON lines to sealed Parquet: the same way for one's own and for a dead process's.

A segment whose lock is free has no writer any more. Whoever takes the lock seals it; there is no other
protocol between writers and sealers, so a writer may die at any moment and so may whoever seals.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import msgspec

from promptarena.definitions.clock import Clock
from promptarena.definitions.events import EVENT_TYPES, Event, Kind
from promptarena.storage.arrow_schema import events_to_table
from promptarena.storage.durable_files import explained, try_lock, write_whole
from promptarena.storage.log_folder import LogFolder, LogSettings, segment_host, stamped
from promptarena.storage.manifest import Counts, Manifest, edit_manifest, read_manifest
from promptarena.storage.parquet_files import Prepared, describe, put_in_place, work_space, write_events
from promptarena.storage.segments import SegmentLines, day_of, first_of_each, read_segment, timeliness
from promptarena.storage.tombstones import Tombstones, read_tombstones

__all__ = ["Sealer"]

_KINDS: dict[type[Event], Kind] = {declared: kind for kind, declared in EVENT_TYPES.items()}


class Sealer:
    """Seals the segments of one log that have no writer."""

    def __init__(self, folder: LogFolder, settings: LogSettings, clock: Clock) -> None:
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._strangers: dict[str, tuple[tuple[int, int], float]] = {}
        """How each lay, and since when."""

    def seal_all(self) -> list[str]:
        """Seal whatever has no writer, oldest first; gives the names of the segments it sealed.

        Raises:
            StorageError: a disk or a lock failed. What is sealed stays so, the rest stays readable.
        """
        done = read_manifest(self._folder).sealed_from
        return [
            path.name
            for path in self._folder.segments()
            if path.name not in done and self._may_adopt(path) and self._seal(path)
        ]

    def _may_adopt(self, path: Path) -> bool:
        """A free lock is the word of this machine's kernel; of another's it may mean nothing (network disks).

        A stranger's segment has to lie unchanged for the whole grace as well: its owner, if alive, began
        another long before. What is copied into a mapped tail changes no size, and in time the file's date.
        """
        if segment_host(path.name) == self._settings.host:
            return True
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        now = self._clock.monotonic()
        lies = status.st_size, status.st_mtime_ns
        lay, since = self._strangers.setdefault(path.name, (lies, now))
        if lay != lies:
            self._strangers[path.name] = (lies, now)
            return False
        return now - since >= self._settings.grace_s

    def _seal(self, path: Path) -> bool:
        try:
            handle = try_lock(path, create=False)
        except FileNotFoundError:
            return False
        if handle is None:
            return False
        try:
            while not _Sealing(self._folder, self._settings, self._clock, path).run():
                pass
        finally:
            os.close(handle)
        self._strangers.pop(path.name, None)
        return True


@dataclass(frozen=True, slots=True)
class _Sealing:
    """One segment, with its lock held."""

    folder: LogFolder
    settings: LogSettings
    clock: Clock
    path: Path

    def run(self) -> bool:
        """Seal it. False if somebody was erased meanwhile, so that it must be done again."""
        try:
            lines = read_segment(self.path, closed=True)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise explained(error, "read a segment of the log", self.path) from error
        tombstones = read_tombstones(self.folder)
        kept, counts = self._sift(lines, tombstones)
        self._keep_refused(lines)
        with work_space(self.folder) as space:
            prepared = self._write(kept, space, tombstones.size)
            return self._commit(prepared, counts, tombstones.size)

    def _sift(self, lines: SegmentLines, tombstones: Tombstones) -> tuple[list[Event], Counts]:
        distinct, repeated = first_of_each(lines.events)
        kept = [event for event in distinct if not tombstones.covers(event)]
        counts = Counts(
            torn=lines.torn,
            refused=len(lines.refused),
            duplicates=repeated,
            erased=len(distinct) - len(kept),
        )
        return kept, counts + timeliness(kept, self.settings)

    def _keep_refused(self, lines: SegmentLines) -> None:
        if lines.refused:
            aside = self.folder.refused / self.path.name
            try:
                write_whole(aside, b"".join(line + b"\n" for line in lines.refused))
            except OSError as error:
                raise explained(error, "keep refused lines", aside) from error

    def _write(self, events: list[Event], space: Path, obeys: int) -> list[Prepared]:
        partitions: defaultdict[tuple[Kind, str], list[Event]] = defaultdict(list)
        for event in events:
            partitions[_KINDS[type(event)], day_of(event)].append(event)
        prepared = []
        for (kind, day), part in sorted(partitions.items()):
            target = self.folder.partition(kind, day) / f"{self.path.stem}.parquet"
            file = space / f"{kind}-{day}.parquet"
            write_events(events_to_table(kind, part), file)
            relative = str(target.relative_to(self.folder.root))
            prepared.append(Prepared(file, describe(file, relative, kind, day, compacted=False, obeys=obeys)))
        return prepared

    def _commit(self, prepared: list[Prepared], counts: Counts, obeys: int) -> bool:
        committed = True

        def change(manifest: Manifest) -> Manifest:
            nonlocal committed
            if self.path.name in manifest.sealed_from:
                return manifest
            if read_tombstones(self.folder).size != obeys:
                committed = False
                return manifest
            put_in_place(self.folder, prepared)
            return msgspec.structs.replace(
                manifest,
                segments=(*manifest.segments, *(one.sealed for one in prepared)),
                sealed_from={
                    **manifest.sealed_from,
                    self.path.name: stamped(self.clock, self.settings.host),
                },
                counts=manifest.counts + counts,
            )

        edit_manifest(self.folder, change)
        return committed
