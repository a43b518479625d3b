"""Which files the log consists of: one small file, replaced whole, that readers go by.

A sealed segment exists for readers from the moment the manifest lists it, and the JSON lines it came from
stop counting at that same moment. Whoever changes it holds the manifest's lock, and writes a new one aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from promptarena.definitions.events import Kind
from promptarena.errors import Location, StorageError
from promptarena.storage.durable_files import explained, lock, write_whole
from promptarena.storage.log_folder import LogFolder, Stamp

__all__ = ["Counts", "Hidden", "Manifest", "Sealed", "edit_manifest", "read_manifest"]

_VERSION: Final = 1


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to events that is worth a look. Adds up over segments."""

    torn: int = 0
    """Last lines without an end: their writer died while writing, before anything was acknowledged."""
    refused: int = 0
    """Lines that are not events of this schema; they are kept in `refused/`."""
    duplicates: int = 0
    """Events dropped because one of the same event id was there already."""
    late: int = 0
    """Events kept although they happened long before they came."""
    ahead: int = 0
    """Events kept although they say they happened after they came."""
    erased: int = 0
    """Events removed because they were about an erased person."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file."""

    path: str
    """Relative to the log's folder."""
    kind: Kind
    day: str
    """The `received_at` day of its events, ISO, UTC."""
    rows: int
    bytes: int
    min_id: str
    max_id: str
    """First and last event id: files that overlap in nothing share no duplicate."""
    compacted: bool
    """Whether no other compacted segment has an event of it."""
    obeys: int
    """How many bytes of tombstones it obeys."""


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """Names of events of erased persons, to be left out until compaction has rewritten what holds them."""

    path: str
    tombstones: int
    """Segments that obey as many bytes of tombstones do not hold these events."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The log at one moment."""

    version: int = _VERSION
    segments: tuple[Sealed, ...] = ()
    sealed_from: dict[str, Stamp] = {}
    """JSON lines whose events are in `segments`, by file name, and since when."""
    retired: dict[str, Stamp] = {}
    """Files that no longer count but may still be read, and since when."""
    hidden: tuple[Hidden, ...] = ()
    counts: Counts = Counts()
    removals: int = 0
    """How many times files have been deleted; a reader that sees this change begins again."""

    def listed(self) -> Iterator[str]:
        """Every file that is spoken of, relative to the log's folder."""
        yield from (segment.path for segment in self.segments)
        yield from self.retired
        yield from (hidden.path for hidden in self.hidden)


_DECODER: Final = msgspec.json.Decoder(Manifest)


def read_manifest(folder: LogFolder) -> Manifest:
    """The manifest as it stands; an empty one before the first segment is sealed.

    Raises:
        StorageError: it cannot be read, or a newer version of this program wrote it.
    """
    where = Location(folder.manifest)
    try:
        data = folder.manifest.read_bytes()
    except FileNotFoundError:
        return Manifest()
    except OSError as error:
        raise explained(error, "read the log's manifest", folder.manifest) from error
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version == _VERSION:
            return _DECODER.decode(data)
    except msgspec.MsgspecError as error:
        hint = "Restore this one file from a backup; the segments themselves are whole."
        raise StorageError(f"the log's manifest is damaged: {error}.", where=where, hint=hint) from error
    raise StorageError(
        f"the log's manifest is of version {version}; this program reads version {_VERSION}.",
        where=where,
        hint="Use the version of Prompt Arena that wrote it, or a newer one.",
    )


class _Versioned(msgspec.Struct):
    version: int


def edit_manifest(folder: LogFolder, change: Callable[[Manifest], Manifest]) -> Manifest:
    """Replace the manifest by `change` of it, with no other change in between.

    Raises:
        StorageError: the lock was not to be had, or the file could not be written: the old one stands.
    """
    with lock(folder.manifest_lock):
        before = read_manifest(folder)
        after = change(before)
        if after != before:
            try:
                write_whole(folder.manifest, msgspec.json.encode(after))
            except OSError as error:
                raise explained(error, "write the log's manifest", folder.manifest) from error
        return after
