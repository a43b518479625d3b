"""Sealed files: written aside where nobody looks, put in place by whoever holds the manifest's lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.events import Kind
from promptarena.storage.durable_files import explained, fsync_file, fsync_folder, try_lock
from promptarena.storage.log_folder import LogFolder
from promptarena.storage.manifest import Sealed

__all__ = ["Prepared", "describe", "put_in_place", "work_space", "write_events"]

_ROW_GROUP: Final = 100_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A finished file that is not yet part of the log."""

    file: Path
    sealed: Sealed
    """How the manifest will list it."""


@contextmanager
def work_space(folder: LogFolder) -> Iterator[Path]:
    """A folder of one's own for unfinished files; if its owner dies, housekeeping may see so and remove it.

    Raises:
        StorageError: it cannot be made.
    """
    handle = None
    while handle is None:
        name = new_event_id()
        lock_file = folder.work / f"{name}.lock"
        space = folder.work / name
        handle = try_lock(lock_file)
        if handle is not None and not lock_file.exists():
            # Housekeeping met the file before it was locked and took it for a dead one's.
            os.close(handle)
            handle = None
    try:
        try:
            space.mkdir()
        except OSError as error:
            raise explained(error, "make room for sealing", space) from error
        yield space
    finally:
        shutil.rmtree(space, ignore_errors=True)
        lock_file.unlink(missing_ok=True)
        os.close(handle)


def write_events(table: pa.Table, file: Path) -> None:
    """Write events in the order of their ids, durably.

    Raises:
        StorageError: the disk is full, or worse.
    """
    ordered = table.take(pc.sort_indices(table, sort_keys=[("event_id", "ascending")]))
    try:
        # Ids are all different: a dictionary of them would be waste.
        pq.write_table(
            ordered,
            file,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            use_dictionary=[name for name in ordered.schema.names if name != "event_id"],
        )
        fsync_file(file)
    except OSError as error:
        raise explained(error, "write a sealed segment", file) from error


def describe(file: Path, path: str, kind: Kind, day: str, *, compacted: bool, obeys: int) -> Sealed:
    """How a finished file (of one event or more, in the order of their ids) is listed."""
    with pq.ParquetFile(file) as parquet:
        rows, groups = parquet.metadata.num_rows, parquet.metadata.num_row_groups
        first = parquet.read_row_group(0, columns=["event_id"]).column("event_id")[0].as_py()
        last = parquet.read_row_group(groups - 1, columns=["event_id"]).column("event_id")[-1].as_py()
    return Sealed(
        path=path,
        kind=kind,
        day=day,
        rows=rows,
        bytes=file.stat().st_size,
        min_id=first,
        max_id=last,
        compacted=compacted,
        obeys=obeys,
    )


def put_in_place(folder: LogFolder, prepared: list[Prepared]) -> None:
    """Move finished files to where the manifest will say. Only under the manifest's lock.

    Whoever else holds that lock may then take a file that is not listed for what a crash left behind.

    Raises:
        StorageError: they could not be moved.
    """
    for one in prepared:
        target = folder.root / one.sealed.path
        try:
            _make_durably(target.parent, folder.sealed)
            one.file.replace(target)
            fsync_folder(target.parent)
        except OSError as error:
            raise explained(error, "put a sealed segment in place", target) from error


def _make_durably(partition: Path, above: Path) -> None:
    if partition == above:
        return
    _make_durably(partition.parent, above)
    if not partition.is_dir():
        partition.mkdir(exist_ok=True)
        fsync_folder(partition.parent)
