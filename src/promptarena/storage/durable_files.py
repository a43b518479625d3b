"""Files that survive: what a rename, an fsync and a lock promise, and how each is asked for."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from promptarena.errors import Location, StorageError

__all__ = ["explained", "fsync_file", "fsync_folder", "is_locked", "lock", "try_lock", "write_whole"]

_HINTS: Final = {
    errno.ENOSPC: "The disk is full: make room and send again, under the same event ids.",
    errno.EDQUOT: "The disk quota is used up: make room and send again, under the same event ids.",
    errno.EFBIG: "The file may not grow further: raise the limit and send again, under the same event ids.",
    errno.EIO: "The disk reports an error: look at the system's log.",
    errno.EROFS: "The file system is read-only: mount it writable or name another folder.",
    errno.EACCES: "This account may not write here: change the folder's owner or name another folder.",
    errno.EPERM: "This account may not write here: change the folder's owner or name another folder.",
    errno.EMFILE: "This process has too many files open: raise `ulimit -n`.",
}


def explained(error: OSError, doing: str, path: Path) -> StorageError:
    """An operating system's error in our words: what could not be done, where, and how to mend it."""
    reason = (error.strerror or str(error)).lower()
    hint = _HINTS.get(error.errno or 0)
    return StorageError(f"cannot {doing}: {reason}.", where=Location(path), hint=hint)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a new file's own fsync says nothing of its name."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    """Make a file's bytes durable, whoever wrote them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Replace a file so that every reader, and every crash, meets the old bytes or the new, whole.

    Two writers of one path must hold a lock that keeps them apart.

    Raises:
        OSError: the old file stands.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


@contextmanager
def lock(path: Path, patience_s: float = 30.0) -> Iterator[None]:
    """Hold a file's exclusive lock; the system frees it when the process dies, however it dies.

    Raises:
        StorageError: it could not be had within `patience_s`, or the folder is not writable.
    """
    deadline = time.monotonic() + patience_s
    while (handle := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise StorageError(
                f"another process has held this lock for {patience_s:g} s.",
                where=Location(path),
                hint="See which with `fuser` or `lsof`; it may be stopped or hanging.",
            )
        time.sleep(0.005)
    try:
        yield
    finally:
        os.close(handle)


def try_lock(path: Path, *, create: bool = True) -> int | None:
    """An open descriptor that holds the file's exclusive lock until it is closed; `None` if another holds it.

    Raises:
        StorageError: the file cannot be opened for writing.
        FileNotFoundError: it is not there, and `create` is false.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        handle = os.open(path, flags, 0o640)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not create:
            raise
        raise explained(error, "take a lock", path) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError as error:
        os.close(handle)
        raise explained(error, "take a lock", path) from error
    return handle


def is_locked(path: Path) -> bool:
    """Whether a living process holds this file's lock."""
    try:
        handle = try_lock(path, create=False)
    except FileNotFoundError:
        return False
    if handle is None:
        return True
    os.close(handle)
    return False
