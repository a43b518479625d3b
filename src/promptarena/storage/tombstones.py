"""Who was erased: keyed hashes of ids, so that the list itself names nobody.

Ingest and sealing ask it of every event; they learn of a new entry by comparing eight bytes of shared memory.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from promptarena.definitions.events import Event, Exposure, Measurement
from promptarena.storage.durable_files import explained, fsync_folder, lock
from promptarena.storage.log_folder import LogFolder

__all__ = ["Identity", "TombstoneWatch", "Tombstones", "add_tombstones", "identities", "read_tombstones"]

_KEY_BYTES: Final = 32
_HASH_BYTES: Final = 16
_SIZE: Final = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Identity:
    """Someone or something that an event is about."""

    kind: str
    """`user`, `session`, `conversation`, `request` or another kind of unit."""
    id: str


def identities(event: Event) -> tuple[Identity, ...]:
    """All that an event is about, each of which may have been erased."""
    if isinstance(event, Exposure):
        found = [(event.unit_kind, event.unit_id), ("request", event.request_id)]
    elif isinstance(event, Measurement):
        found = [(event.target_kind, event.target), (event.target_kind, event.against)]
    else:
        found = [
            ("user", event.user_id),
            ("session", event.session_id),
            ("conversation", event.conversation_id),
            ("request", event.request_id),
        ]
    return tuple(Identity(kind, id_) for kind, id_ in found if id_ is not None)


class Tombstones:
    """The entries at one moment."""

    def __init__(self, key: bytes, hashes: frozenset[str], size: int) -> None:
        self._key = key
        self._hashes = hashes
        self.size = size
        """Bytes of the file that were read: a later list is longer."""
        self._is_erased = lru_cache(maxsize=1 << 16)(self._look_up)

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def has(self, kind: str, id_: str) -> bool:
        """Whether this one was erased."""
        return bool(self._hashes) and self._is_erased(kind, id_)

    def covers(self, event: Event) -> bool:
        """Whether an event is about somebody who was erased."""
        return bool(self._hashes) and any(self._is_erased(who.kind, who.id) for who in identities(event))

    def _look_up(self, kind: str, id_: str) -> bool:
        return _hash(self._key, kind, id_) in self._hashes


def _hash(key: bytes, kind: str, id_: str) -> str:
    return blake2b(f"{kind}\0{id_}".encode(), key=key, digest_size=_HASH_BYTES).hexdigest()


def read_tombstones(folder: LogFolder) -> Tombstones:
    """All entries.

    Raises:
        StorageError: the list or its key cannot be read.
    """
    try:
        data = folder.tombstones.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        hashes = frozenset(whole.decode().split())
        key = folder.tombstone_key.read_bytes() if hashes else b""
    except FileNotFoundError as error:
        if error.filename == str(folder.tombstones):
            return Tombstones(b"", frozenset(), 0)
        raise explained(error, "read the key of the list of the erased", folder.tombstone_key) from error
    except OSError as error:
        raise explained(error, "read the list of the erased", folder.tombstones) from error
    return Tombstones(key, hashes, len(whole))


def add_tombstones(folder: LogFolder, erased: Iterable[Identity]) -> Tombstones:
    """Add entries, durably; every process obeys them from its next event on.

    Raises:
        StorageError: the list could not be written.
    """
    try:
        with lock(folder.tombstones.with_suffix(".lock")):
            key = _key(folder)
            known = read_tombstones(folder)
            new = sorted({_hash(key, who.kind, who.id) for who in erased if not known.has(who.kind, who.id)})
            handle = os.open(folder.tombstones, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                os.ftruncate(handle, known.size)  # a torn entry of one who died while adding
                view = memoryview("".join(f"{entry}\n" for entry in new).encode())
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            fsync_folder(folder.root)
            after = read_tombstones(folder)
            with _shared_size(folder, create=True) as shared:
                _SIZE.pack_into(shared, 0, after.size)
            return after
    except OSError as error:
        raise explained(error, "write the list of the erased", folder.tombstones) from error


def _key(folder: LogFolder) -> bytes:
    """The log's secret, made at the first erasure. Under the list's lock."""
    try:
        key = folder.tombstone_key.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != _KEY_BYTES:
        key = os.urandom(_KEY_BYTES)
        handle = os.open(folder.tombstone_key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, key)
            os.fsync(handle)
        finally:
            os.close(handle)
    return key


def _shared_size(folder: LogFolder, *, create: bool) -> mmap.mmap:
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    handle = os.open(folder.tombstone_size, flags, 0o640)
    try:
        if os.fstat(handle).st_size < _SIZE.size:
            os.ftruncate(handle, _SIZE.size)
        return mmap.mmap(handle, _SIZE.size)
    finally:
        os.close(handle)


class TombstoneWatch:
    """The entries as they are now, at the cost of one look at shared memory."""

    def __init__(self, folder: LogFolder) -> None:
        """Open.

        Raises:
            StorageError: the list cannot be read.
        """
        self._folder = folder
        try:
            self._shared = _shared_size(folder, create=True)
        except OSError as error:
            raise explained(error, "open the log", folder.tombstone_size) from error
        self._size = memoryview(self._shared).cast("Q")
        size = self._size[0]
        known = read_tombstones(folder)
        self._read = size, known
        # The list only grows: once it is longer, there is somebody.
        self._nobody_at = -1 if known else size

    def current(self) -> Tombstones:
        """All entries added before this call."""
        seen, known = self._read
        if (size := self._size[0]) != seen:
            # The size first: an entry added in between is read now and once more at the next call. Other
            # threads learn of both at once, and of neither if the list cannot be read.
            known = read_tombstones(self._folder)
            self._read = size, known
        return known

    def nobody(self) -> bool:
        """Whether no entry was added before this call, as in most logs."""
        return self._size[0] == self._nobody_at

    def close(self) -> None:
        self._size.release()
        self._shared.close()
