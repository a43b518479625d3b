"""A segment that this process appends to: JSON lines in a file of its own, locked while it lives.

While it is open there may be NUL bytes behind its content: see `MappedTail`.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from promptarena.storage.durable_files import fsync_folder
from promptarena.storage.log_folder import LogFolder
from promptarena.storage.mapped_tail import MappedTail

__all__ = ["OpenSegment"]

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_LONG_TAIL: Final = 256 * 2**10
"""Bytes that are mapped at a time: to make them costs .1 ms, shared by some hundred events."""
_SHORT_TAIL: Final = 16 * 2**10
"""The same where a sync writes whatever there is, NULs too."""


class OpenSegment:
    """One file, from its creation to its last byte. Whoever calls it lets one thread do so at a time."""

    def __init__(self, folder: LogFolder, host: str, *, due: float, full: int) -> None:
        """Begin it.

        Args:
            due: when it is to be closed, on the monotonic clock ...
            full: ... or at how many bytes.

        Raises:
            OSError: it cannot be made.
        """
        self.due = due
        self.full = full
        self.untouched = True
        """Whether each write that failed found no room at all, so that nothing of it was ever in the file."""
        self._size = 0
        """Where the content ends, unless there is a tail, which knows."""
        self._tail: MappedTail | None = None
        self._room = _LONG_TAIL
        """How long the next tail is; 0 where there can be none."""
        self.path = folder.open / folder.new_segment_name(host)
        # Locked before it has its name: whoever looks for orphans never meets it without its owner.
        aside = self.path.with_name(f".{self.path.name}")
        self._handle = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            aside.rename(self.path)
            fsync_folder(folder.open)
        except BaseException:
            self.let_go()
            aside.unlink(missing_ok=True)
            raise

    @property
    def size(self) -> int:
        """Where the content ends, in bytes."""
        return self._size if self._tail is None else self._tail.size

    @property
    def put(self) -> Callable[[bytes], int] | None:
        """Appends to the tail, if there is one, from any thread; see `MappedTail`."""
        return None if self._tail is None else self._tail.put

    def is_sound(self) -> bool:
        """Whether its tail, if there is one, can be put into; see `MappedTail.refresh`."""
        try:
            if self._tail is not None:
                self._tail.refresh()
        except OSError:
            return False
        return True

    def write(self, lines: bytes, *, durable: bool) -> None:
        """Append all of it. If that fails nothing of it stays, or its end is the file's torn last line.

        Args:
            durable: `sync` follows. What is appended alone has a tail made for it, where there can be one.
        """
        if durable and self._room > _SHORT_TAIL:
            self._room = _SHORT_TAIL
            self._leave_tail()
            self._cut()
        if self._tail is not None:
            try:
                self._tail.put(lines)
                return
            except ValueError:
                self._leave_tail()
        tail = None if durable else self._new_tail(len(lines))
        if tail is None:
            self._write(lines)
        else:
            tail.put(lines)

    def _new_tail(self, needed: int) -> MappedTail | None:
        """A tail, if so many bytes are a small part of it."""
        end = min(self._size + self._room, self.full)
        if needed <= min(self._room // 8, end - self._size):
            try:
                self._tail = MappedTail(self._handle, self._size, end)
            except OSError:  # write(2) may do without so much room, or tells what is wrong
                self._room = 0
                self._cut()
        return self._tail

    def _write(self, lines: bytes) -> None:
        written = 0
        try:
            written = os.pwrite(self._handle, lines, self._size)
            while written < len(lines):
                written += os.pwrite(self._handle, memoryview(lines)[written:], self._size + written)
            self._size += len(lines)
        except BaseException as error:
            if written or not isinstance(error, OSError) or error.errno not in _NO_ROOM:
                self.untouched = False
            self._cut()
            raise

    def sync(self) -> None:
        """Have the disk keep all that was appended. Needs nobody to wait who appends."""
        os.fdatasync(self._handle)

    def stop(self) -> None:
        """Let nobody append but through `write`."""
        if self._tail is not None:
            self._tail.close()

    def close(self) -> None:
        """End the file with its content, and let go of it."""
        try:
            self._leave_tail()
            self._cut()
        except OSError:  # NULs then stay behind it
            pass
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close the file as it is, and so free its lock, unless another process holds it as well."""
        self.stop()
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _leave_tail(self) -> None:
        if self._tail is not None:
            self.stop()
            try:
                self._size = self._tail.end()
            except OSError:
                self.untouched = False
                raise
            self._tail = None

    def _cut(self) -> None:
        with suppress(OSError):
            os.ftruncate(self._handle, self._size)
