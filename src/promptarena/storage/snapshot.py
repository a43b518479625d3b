"""What a reader works from: one moment of the log that never misses nor doubles an acknowledged event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promptarena.definitions.events import EVENT_TYPES, Event, Kind
from promptarena.errors import Location, StorageError
from promptarena.storage.durable_files import explained
from promptarena.storage.log_folder import LogFolder, LogSettings
from promptarena.storage.manifest import Counts, Manifest, Sealed, read_manifest
from promptarena.storage.segments import Position, first_of_each, read_segment, received, timeliness
from promptarena.storage.tombstones import Tombstones, read_tombstones

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["KindTables", "Snapshot", "take_lines", "take_snapshot"]

_ATTEMPTS: Final = 20
_NOBODY: Final = Tombstones(b"", frozenset(), 0)


@dataclass(frozen=True, slots=True)
class KindTables:
    """Where one kind's events are. `events_relation` makes one table of them."""

    kind: Kind
    compacted: tuple[Path, ...]
    """Parquet files that share no event: scanned as they are."""
    fresh: tuple[Path, ...]
    """Sealed since: one event may be in several of them, in `tail` and in `rivals`."""
    tail: pa.Table
    """Not sealed yet; without repetitions of its own, without events of erased persons."""
    rivals: tuple[Path, ...]
    """Those compacted files, of any day, whose ids lie where those of `fresh` and `tail` do."""
    hidden: tuple[Path, ...]
    """Parquet files of `kind` and `event_id`: events that are erased but not yet rewritten."""
    since: datetime | None = None
    """`fresh` and `tail` hold all days, since an event and its repetition may lie in two; of the events that
    remain, those received from here on are wanted ..."""
    until: datetime | None = None
    """... and before here."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The log at one moment. Its files stay for the log's grace (ten minutes)."""

    root: Path
    manifest: Manifest
    tail: dict[Kind, list[Event]]
    counts: Counts
    """Torn, refused, duplicate, late, ahead and erased events, with those not sealed yet."""
    positions: dict[str, Position]
    """How far each open segment was read; a follower goes on from there."""

    def tables(self, kind: Kind, since: date | None = None, until: date | None = None) -> KindTables:
        """Where one kind's events are.

        Args:
            since: the first `received_at` day (UTC) wanted.
            until: the last one.
        """
        from promptarena.storage.arrow_schema import events_to_table

        first, last = (day.isoformat() if day else None for day in (since, until))

        def wanted(day: str) -> bool:
            return (first is None or day >= first) and (last is None or day <= last)

        sealed = [segment for segment in self.manifest.segments if segment.kind == kind]
        tail = self.tail[kind]
        fresh = [segment for segment in sealed if not segment.compacted]
        extents = [(segment.min_id, segment.max_id) for segment in fresh]
        if tail:
            ids = [event.event_id for event in tail]
            extents.append((min(ids), max(ids)))
        return KindTables(
            kind=kind,
            compacted=self._paths(s for s in sealed if s.compacted and wanted(s.day)),
            fresh=self._paths(fresh),
            tail=events_to_table(kind, tail),
            rivals=self._paths(s for s in sealed if s.compacted and _overlaps(s, extents)),
            hidden=tuple(self.root / hidden.path for hidden in self.manifest.hidden),
            since=datetime.combine(since, time.min, UTC) if since else None,
            until=datetime.combine(until + timedelta(days=1), time.min, UTC) if until else None,
        )

    def _paths(self, segments: Iterable[Sealed]) -> tuple[Path, ...]:
        return tuple(self.root / segment.path for segment in segments)


def _overlaps(segment: Sealed, extents: list[tuple[str, str]]) -> bool:
    return any(segment.min_id <= high and low <= segment.max_id for low, high in extents)


def take_snapshot(folder: LogFolder, settings: LogSettings) -> Snapshot:
    """Read the manifest and the ends that are not sealed yet; writes nothing, takes no lock.

    Segments found sealed in the manifest are read from Parquet, all others from their lines, which stay long
    after sealing. Only where files were deleted while we looked is the moment no longer whole.

    Raises:
        StorageError: there is no log, or it cannot be read.
    """
    if not folder.open.is_dir():
        raise StorageError(
            "there is no log here.", where=Location(folder.root), hint="Name the log's folder."
        )
    for _ in range(_ATTEMPTS):
        manifest = read_manifest(folder)
        try:
            snapshot = _read_ends(folder, settings, manifest, read_tombstones(folder))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise explained(error, "read the log", folder.open) from error
        if not _went_missing(snapshot, read_manifest(folder)):
            return snapshot
    raise _too_busy(folder)


def _went_missing(snapshot: Snapshot, now: Manifest) -> bool:
    """Whether lines may have been deleted that the snapshot needed.

    Files go before the manifest says so; lines that are gone were sealed before, which it does say.
    """
    before = snapshot.manifest
    sealed_since = now.sealed_from.keys() - before.sealed_from.keys()
    return now.removals != before.removals or not sealed_since <= snapshot.positions.keys()


def take_lines(folder: LogFolder, settings: LogSettings) -> Snapshot:
    """Everything whose lines are still there, sealed or not, about erased persons or not.

    Raises:
        StorageError: the log cannot be read.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _read_ends(folder, settings, Manifest(), _NOBODY)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise explained(error, "read the log", folder.open) from error
    raise _too_busy(folder)


def _too_busy(folder: LogFolder) -> StorageError:
    return StorageError(
        f"files were deleted under {_ATTEMPTS} readings in a row.",
        where=Location(folder.root),
        hint="The log's grace is too short for its size.",
    )


def _read_ends(
    folder: LogFolder, settings: LogSettings, manifest: Manifest, tombstones: Tombstones
) -> Snapshot:
    counts = Counts()
    positions: dict[str, Position] = {}
    events: list[Event] = []
    for path in folder.segments():
        if path.name not in manifest.sealed_from:
            lines = read_segment(path)
            events += lines.events
            positions[path.name] = lines.position
            counts += Counts(torn=lines.torn, refused=len(lines.refused))
    distinct, repeated = first_of_each(sorted(events, key=received))
    kept = [event for event in distinct if not tombstones.covers(event)]
    counts += Counts(duplicates=repeated, erased=len(distinct) - len(kept)) + timeliness(kept, settings)
    tail: dict[Kind, list[Event]] = {
        kind: [event for event in kept if isinstance(event, declared)]
        for kind, declared in EVENT_TYPES.items()
    }
    return Snapshot(folder.root, manifest, tail, manifest.counts + counts, positions)
