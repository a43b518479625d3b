"""Erasing a person: from the moment it returns, no reader meets an event about them.

First the list of the erased grows, which ingest, sealing and the reading of tails obey; then events that are
sealed already are hidden by name; compaction later rewrites every file that holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import ibis
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.events import EVENT_TYPES
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import UsageError
from promptarena.storage.durable_files import explained, fsync_file, fsync_folder
from promptarena.storage.erased_events import event_ids_about
from promptarena.storage.log_folder import LogFolder, LogSettings
from promptarena.storage.log_relation import events_relation, sealed_relation
from promptarena.storage.manifest import Hidden, Manifest, edit_manifest, read_manifest
from promptarena.storage.parquet_files import work_space
from promptarena.storage.snapshot import Snapshot, take_lines, take_snapshot
from promptarena.storage.tombstones import Identity, add_tombstones
from promptarena.storage.warehouse import Warehouse, fetch

__all__ = ["erase", "read_identity"]

_FOUND_BY: Final = {"user": "user_id", "session": "session_id", "conversation": "conversation_id"}
_WELL_KNOWN: Final = (*_FOUND_BY, "request")


def read_identity(kind: str, id_: str) -> Identity:
    """Whom a person names: a unit may be of any kind, but one that is nearly well known is a slip.

    Raises:
        UsageError: it is a slip, or one of the two is empty; erasing nobody must not look like success.
    """
    slip = None if kind in _WELL_KNOWN else did_you_mean(kind, _WELL_KNOWN)
    if slip or not kind.strip() or not id_.strip():
        hint = slip or f"Write a kind ({listed(_WELL_KNOWN)} or another unit's) and an id."
        raise UsageError(f"{kind!r} {id_!r} names nobody.", hint=hint)
    return Identity(kind, id_)


def erase(
    folder: LogFolder,
    settings: LogSettings,
    who: Identity,
    also: Callable[[Collection[Identity]], object] | None = None,
) -> int:
    """Erase one person, or one session, conversation or request.

    With a person go the requests they made and the sessions and conversations that were theirs alone, so that
    feedback and content that name only a request are found as well, also if they come later. A request made
    after the erasure is known by its person only.

    It may be repeated, and must be if it failed: until it returns, nothing is promised.

    Args:
        also: takes whom it goes for out of what is kept elsewhere. It is called before the log forgets whose
            is what, so that repeating finds them again if it raises.

    Returns:
        How many stored events are now hidden.

    Raises:
        StorageError: a disk or a lock failed.
        DataError: the engine had not enough memory or disk.
    """
    before = take_snapshot(folder, settings)  # first of all, so that a folder without a log is left as it is
    with work_space(folder) as space, Warehouse(folder=space) as warehouse:
        whom = {who, *_theirs(before, warehouse, who)}
        if also is not None:
            also(whom)
        add_tombstones(folder, whom)
        # From here on nothing more of theirs is written. What was since the snapshot still has its lines,
        # even where a sealer has obeyed already.
        since = _theirs(take_lines(folder, settings), warehouse, who) - whom
        if also is not None and since:
            also(since)
        whom |= since
        size = add_tombstones(folder, whom).size
        while True:
            manifest = read_manifest(folder)
            kinds: list[str] = []
            ids: list[str] = []
            for kind in EVENT_TYPES:
                paths = [
                    folder.root / one.path
                    for one in manifest.segments
                    if one.kind == kind and one.obeys < size
                ]
                if paths:
                    events = sealed_relation(warehouse.connection, kind, paths)
                    found = event_ids_about(events, kind, whom).to_pylist()
                    kinds += [kind] * len(found)
                    ids += found
            aside = space / f"{new_event_id()}.parquet"
            try:
                pq.write_table(pa.table({"kind": pa.array(kinds, pa.string()), "event_id": ids}), aside)
                fsync_file(aside)
            except OSError as error:
                raise explained(error, "hide erased events", aside) from error
            if _hide(folder, manifest, aside, size, any_found=bool(ids)):
                return len(ids)


def _hide(folder: LogFolder, seen: Manifest, aside: Path, size: int, *, any_found: bool) -> bool:
    """Put what is to be hidden in place. False if files came meanwhile that were not looked at."""
    target = folder.erased / aside.name
    hidden = Hidden(path=str(target.relative_to(folder.root)), tombstones=size)
    complete = True
    looked_at = {one.path for one in seen.segments}

    def change(manifest: Manifest) -> Manifest:
        nonlocal complete
        complete = all(one.path in looked_at or one.obeys >= size for one in manifest.segments)
        if not complete or not any_found:
            return manifest
        try:
            aside.replace(target)
            fsync_folder(target.parent)
        except OSError as error:
            raise explained(error, "hide erased events", target) from error
        return msgspec.structs.replace(manifest, hidden=(*manifest.hidden, hidden))

    edit_manifest(folder, change)
    return complete


def _theirs(snapshot: Snapshot, warehouse: Warehouse, who: Identity) -> set[Identity]:
    """What belongs to one person alone, by what the log knows."""
    found: set[Identity] = set()
    if who.kind in _FOUND_BY:
        for kind in ("generation", "content"):
            calls = events_relation(warehouse.connection, snapshot.tables(kind))
            mine = calls.filter(calls[_FOUND_BY[who.kind]] == who.id)
            found |= _values(mine, "request", "request_id")
            if who.kind == "user":
                for of in ("session", "conversation"):
                    column = _FOUND_BY[of]
                    shared = calls.filter(calls.user_id != who.id).select(column)
                    found |= _values(mine.anti_join(shared, column), of, column)
    met = events_relation(warehouse.connection, snapshot.tables("exposure"))
    mine = met.filter(met.unit_kind == who.kind, met.unit_id == who.id)
    return found | _values(mine, "request", "request_id")


def _values(events: ibis.Table, kind: str, column: str) -> set[Identity]:
    distinct = fetch(events.select(column).distinct()).column(column).to_pylist()
    return {Identity(kind, id_) for id_ in distinct if id_ is not None}
