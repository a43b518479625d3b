"""What this process appends to: one segment after the other, with a moment of receipt for every line."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final
from weakref import WeakSet

from promptarena.definitions.clock import Clock
from promptarena.storage.durable_files import explained
from promptarena.storage.log_folder import LogFolder, LogSettings
from promptarena.storage.open_segment import OpenSegment
from promptarena.storage.segments import receipt

__all__ = ["SegmentWriter"]

_ATTEMPTS: Final = 5
_RECEIPT_HOLDS_S: Final = 0.001
_NEVER: Final = -math.inf


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
        self._now = clock.now
        self._timestamp = clock.timestamp
        self._monotonic = clock.monotonic
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._segment: OpenSegment | None = None
        self._received_from = self._received_until = _NEVER
        """What comes from the one moment to before the other belongs to the segment's last receipt ..."""
        self._quick_until = _NEVER
        """... and before this one `_put` may be called for it: its pages are sound."""
        self._put: Callable[[bytes], int]
        self._failed: list[OpenSegment] = []
        # Taken in this order. Whoever holds the first knows that no descriptor is closed under an fdatasync.
        self._syncing = threading.Lock()
        self._writing = threading.Lock()

    @property
    def path(self) -> Path | None:
        """The open segment's file, if there is one."""
        segment = self._segment
        return segment.path if segment else None

    def write(self, lines: bytes) -> None:
        """One copy into the page cache: survives the death of this process.

        Raises:
            StorageError: nothing of it was accepted.
        """
        # The quick way, without a lock. After a millisecond or a sync all else is looked at.
        if self._received_from <= self._timestamp() < self._quick_until:
            try:
                self._put(lines)
                return
            except ValueError:
                pass
        self._rotate_if_due()
        with self._writing:
            self._write(lines, durable=False)

    def write_durably(self, lines: bytes) -> None:
        """The same and one fdatasync: survives a power cut.

        Raises:
            StorageError: nothing of it is acknowledged.
        """
        self._rotate_if_due()
        with self._syncing:
            with self._writing:
                segment = self._write(lines, durable=True)
            try:
                segment.sync()
            except OSError as error:
                # After a failed sync the kernel may have dropped the pages and call them clean: a second
                # fdatasync of this file would succeed and mean nothing.
                with self._writing:
                    self._give_up(segment)
                raise explained(error, "make events durable", segment.path) from error

    def _rotate_if_due(self) -> None:
        with self._writing:
            # Those that failed are closed first: a disk that refuses for hours must not take all handles.
            due = bool(self._failed) or (self._segment is not None and self._is_due(self._segment))
        if due:
            self.rotate(only_if_due=True)

    def rotate(self, *, only_if_due: bool = False) -> None:
        """Close the open segment, so that it can be sealed; the next append begins another."""
        with self._syncing, self._writing:
            segment = self._segment
            if segment is not None and not (only_if_due and not self._is_due(segment)):
                self._leave(segment)
                segment.close()
            while self._failed:
                self._failed.pop().let_go()

    def _write(self, lines: bytes, *, durable: bool) -> OpenSegment:
        now = self._now()
        moment = now.timestamp()
        if self._segment is not None and not self._is_sound(self._segment, moment):
            self._give_up(self._segment)
        current = self._received_from <= moment < self._received_until
        segment = self._segment
        if segment is None:
            segment = self._segment = self._open()
        data = lines if current else receipt(now) + lines
        try:
            segment.write(data, durable=durable)
        except BaseException as error:
            self._quick_until = _NEVER
            if not (segment.untouched and isinstance(error, OSError)):
                self._give_up(segment)
            if isinstance(error, OSError):
                raise explained(error, "append to the log", segment.path) from error
            raise
        if not current:
            self._received_from, self._received_until = moment, moment + _RECEIPT_HOLDS_S
        if segment.put is None or self._syncing.locked():
            self._quick_until = _NEVER
        else:
            self._put = segment.put
            self._quick_until = self._received_until
        return segment

    def _open(self) -> OpenSegment:
        for attempt in range(_ATTEMPTS):
            try:
                return OpenSegment(
                    self._folder,
                    self._settings.host,
                    due=self._monotonic() + self._settings.seal_after_s,
                    full=self._settings.seal_bytes,
                )
            except OSError as error:
                # Housekeeping may meet a file just before it is locked, and take it for a dead one's.
                disturbed = isinstance(error, FileNotFoundError | BlockingIOError)
                if not disturbed or attempt == _ATTEMPTS - 1:
                    raise explained(error, "begin a segment of the log", self._folder.open) from error
        raise AssertionError("unreachable")

    def _is_sound(self, segment: OpenSegment, moment: float) -> bool:
        # What was seen less than a millisecond ago, and before no sync, is not looked at again.
        return self._received_from <= moment < self._quick_until or segment.is_sound()

    def _give_up(self, segment: OpenSegment) -> None:
        if self._segment is segment:
            self._leave(segment)
            self._failed.append(segment)

    def _leave(self, segment: OpenSegment) -> None:
        self._segment = None
        self._received_from = self._received_until = self._quick_until = _NEVER
        segment.stop()

    def _is_due(self, segment: OpenSegment) -> bool:
        return segment.size >= segment.full or self._monotonic() >= segment.due

    def _forget(self) -> None:
        """In a forked child: the segment is the parent's, and so are whatever locks were held."""
        for segment in [*self._failed, *([self._segment] if self._segment else [])]:
            segment.let_go()
        self._begin()


_writers: WeakSet[SegmentWriter] = WeakSet()


def _forget_all() -> None:
    for writer in list(_writers):
        writer._forget()


os.register_at_fork(after_in_child=_forget_all)
