"""The segment that this process appends to: JSON lines in a file of its own, locked while it lives."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from weakref import WeakSet

from promptarena.definitions.clock import Clock
from promptarena.storage.durable_files import explained, fsync_folder
from promptarena.storage.log_folder import LogFolder, LogSettings
from promptarena.storage.segments import receipt

__all__ = ["SegmentWriter"]

_ATTEMPTS: Final = 5
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_RECEIPT_HOLDS: Final = timedelta(milliseconds=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class _OpenSegment:
    """One file, from its creation to its last byte."""

    def __init__(self, folder: LogFolder, host: str, due: float) -> None:
        self.due = due
        """When it is to be closed, on the monotonic clock."""
        self.size = 0
        self.untouched = True
        """Whether each write that failed found no room at all, so that nothing of it was ever in the file."""
        self.received_from = self.received_until = _LONG_AGO
        """What came from the one moment to before the other belongs to the last receipt."""
        self.path = folder.open / folder.new_segment_name(host)
        # Locked before it has its name: whoever looks for orphans never meets it without its owner.
        aside = self.path.with_name(f".{self.path.name}")
        self._handle = os.open(
            aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640
        )
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            aside.rename(self.path)
            fsync_folder(folder.open)
        except BaseException:
            self.close()
            aside.unlink(missing_ok=True)
            raise

    def write(self, lines: bytes) -> None:
        """Append all of it. If that fails nothing of it stays, or its end is the file's torn last line."""
        written = 0
        try:
            written = os.write(self._handle, lines)
            if written != len(lines):
                rest = memoryview(lines)[written:]
                while rest:
                    rest = rest[os.write(self._handle, rest) :]
        except BaseException as error:
            if written or not isinstance(error, OSError) or error.errno not in _NO_ROOM:
                self.untouched = False
            with suppress(OSError):
                os.ftruncate(self._handle, self.size)
            raise
        self.size += len(lines)

    def sync(self) -> None:
        os.fdatasync(self._handle)

    def close(self) -> None:
        os.close(self._handle)


class SegmentWriter:
    """Appends to an open segment and begins another at a certain age or size, or after a failure.

    A receipt, a line that says when what follows was received, stands before what came a millisecond or more
    after the last one: `received_at` is that exact, and many small writes do not each pay for a line of it.

    A segment that failed is never appended to again. A reader that follows it counts in bytes, and would take
    what comes after a truncation for what it has already read. Where a full disk took not one byte there is
    nothing to mistake, and the segment stays: else every try on such a disk would leave another empty file.
    """

    def __init__(self, folder: LogFolder, settings: LogSettings, clock: Clock) -> None:
        self._folder = folder
        self._settings = settings
        # Looked at in every write.
        self._seal_bytes = settings.seal_bytes
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._segment: _OpenSegment | None = None
        self._failed: list[_OpenSegment] = []
        # Taken in this order. Whoever holds the first knows that no descriptor is closed under an fdatasync.
        self._syncing = threading.Lock()
        self._writing = threading.Lock()

    @property
    def path(self) -> Path | None:
        """The open segment's file, if there is one."""
        segment = self._segment
        return segment.path if segment else None

    def write(self, lines: bytes) -> None:
        """One write(2): survives the death of this process.

        Raises:
            StorageError: nothing of it was accepted.
        """
        self._rotate_if_due()
        with self._writing:
            self._write(lines)

    def write_durably(self, lines: bytes) -> None:
        """One write(2) of all of it and one fdatasync: survives a power cut.

        Raises:
            StorageError: nothing of it is acknowledged.
        """
        self._rotate_if_due()
        with self._syncing:
            with self._writing:
                segment = self._write(lines)
            try:
                segment.sync()
            except OSError as error:
                # After a failed sync the kernel may have dropped the pages and call them clean: a second
                # fdatasync of this file would succeed and mean nothing.
                with self._writing:
                    self._give_up(segment)
                raise explained(error, "make events durable", segment.path) from error

    def _rotate_if_due(self) -> None:
        segment = self._segment
        # Those that failed are closed first: a disk that refuses for hours must not take all handles.
        if self._failed or (
            segment is not None and (segment.size >= self._seal_bytes or self._monotonic() >= segment.due)
        ):
            self.rotate(only_if_due=True)

    def rotate(self, *, only_if_due: bool = False) -> None:
        """Close the open segment, so that it can be sealed; the next append begins another."""
        with self._syncing, self._writing:
            segment = self._segment
            if segment is not None and not (only_if_due and not self._due(segment)):
                self._segment = None
                segment.close()
            for failed in self._failed:
                failed.close()
            self._failed.clear()

    def _write(self, lines: bytes) -> _OpenSegment:
        segment = self._segment
        if segment is None:
            segment = self._segment = self._open()
        now = self._now()
        current = segment.received_from <= now < segment.received_until
        try:
            segment.write(lines if current else receipt(now) + lines)
        except BaseException as error:
            if not segment.untouched:
                self._give_up(segment)
            if isinstance(error, OSError):
                raise explained(error, "append to the log", segment.path) from error
            raise
        if not current:
            segment.received_from, segment.received_until = now, now + _RECEIPT_HOLDS
        return segment

    def _open(self) -> _OpenSegment:
        for attempt in range(_ATTEMPTS):
            try:
                return _OpenSegment(
                    self._folder,
                    self._settings.host,
                    self._monotonic() + self._settings.seal_after_s,
                )
            except OSError as error:
                # Housekeeping may meet a file just before it is locked, and take it for a dead one's.
                disturbed = isinstance(error, FileNotFoundError | BlockingIOError)
                if not disturbed or attempt == _ATTEMPTS - 1:
                    raise explained(error, "begin a segment of the log", self._folder.open) from error
        raise AssertionError("unreachable")

    def _give_up(self, segment: _OpenSegment) -> None:
        if self._segment is segment:
            self._segment = None
            self._failed.append(segment)

    def _due(self, segment: _OpenSegment) -> bool:
        return segment.size >= self._seal_bytes or self._monotonic() >= segment.due

    def _forget(self) -> None:
        """In a forked child: the segment is the parent's, and so are whatever locks were held."""
        for segment in [*self._failed, *([self._segment] if self._segment else [])]:
            segment.close()
        self._begin()


_writers: WeakSet[SegmentWriter] = WeakSet()


def _forget_all() -> None:
    for writer in list(_writers):
        writer._forget()


os.register_at_fork(after_in_child=_forget_all)
