"""Many that wait, one write and one fdatasync: the wait for the disk is shared.

While one batch is on its way to the disk, whatever arrives gathers in the next. What a waiter costs between
two batches is paid as often as there are waiters, so what can be done for all of them at once is done in the
thread that writes: their events are encoded there.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Final
from weakref import WeakSet

from promptarena.definitions.event_lines import Entry, encode_entries, encoded
from promptarena.errors import ArenaError, StorageError

__all__ = ["GroupCommit"]

_PATIENCE: Final = 0.25
"""The longest wait for a batch to fill, as a share of the time that the last write took."""


class _Batch:
    """What goes to the disk together, and who waits for it."""

    __slots__ = ("done", "entries", "error", "full", "futures")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.futures: list[asyncio.Future[None] | None] = []
        """Who waits for each entry; a thread waits for `done`."""
        self.full = threading.Event()
        self.done = threading.Event()
        self.error: Exception | None = None

    def lines(self) -> bytes:
        """All that can be written; whoever waits for an event that cannot be is told at once."""
        lines, refused = encode_entries(self.entries)
        for at, error in refused.items():
            _settle([self.futures[at]], error)
        return lines

    def settle(self, error: Exception | None) -> None:
        self.error = error
        self.done.set()
        _settle(self.futures, error)


def _settle(futures: list[asyncio.Future[None] | None], error: Exception | None) -> None:
    waiting: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for future in futures:
        if future is not None:
            waiting[future.get_loop()].append(future)
    for loop, those in waiting.items():
        # A loop that was closed meanwhile has nobody left who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_wake, those, error)


def _wake(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():  # its task was cancelled, or its event refused
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(_own(error))


def _own(error: Exception) -> Exception:
    """An error of one's own to raise: tracebacks of many threads do not share one object."""
    if isinstance(error, ArenaError):
        return type(error)(error.problems)
    return StorageError(f"the log could not be written: {error!r}")


class GroupCommit:
    """Collects entries from threads and tasks and gives their lines to `write_durably`, a batch at a time."""

    def __init__(self, write_durably: Callable[[bytes], None]) -> None:
        self._write_durably = write_durably
        self._begin()
        _commits.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._batch: _Batch | None = None
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        # Whoever waited for the last batch is likely to come again: see `_gather`.
        self._expected = 0
        self._last_write_s = 0.0

    def append(self, lines: bytes) -> None:
        """Return once the lines are durable.

        Raises:
            StorageError: they are not acknowledged; sent again under the same event ids they count once.
        """
        with self._lock:
            batch = self._join(encoded(lines), None)
        batch.done.wait()
        if batch.error is not None:
            raise _own(batch.error)

    def append_async(self, entry: Entry, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """The same as a future of this loop, which is the running one; an event is encoded with its batch.

        An event that cannot be encoded is refused alone: its future holds an `EventError`.
        """
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._join(entry, future)
        return future

    def close(self) -> None:
        """Commit what is waiting and stop; a later append begins again."""
        with self._lock:
            thread, self._thread = self._thread, None
            # What still joins the current batch is ahead of the end; a later batch gets its own queue.
            queue, self._queue = self._queue, SimpleQueue()
            if thread is not None:
                queue.put(None)
        if thread is not None:
            thread.join()

    def _join(self, entry: Entry, future: asyncio.Future[None] | None) -> _Batch:
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
            self._queue.put(batch)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(self._queue,), name="promptarena-commit", daemon=True
                )
                self._thread.start()
        entries = batch.entries
        entries.append(entry)
        batch.futures.append(future)
        if len(entries) == self._expected:
            batch.full.set()
        return batch

    def _run(self, queue: SimpleQueue[_Batch | None]) -> None:
        while (batch := queue.get()) is not None:
            self._gather(batch)
            error: Exception | None = None
            try:
                if lines := batch.lines():
                    start = time.monotonic()
                    self._write_durably(lines)
                    self._last_write_s = time.monotonic() - start
            except Exception as failure:  # whoever waits is told; the next batch gets its own chance
                error = failure
            batch.settle(error)

    def _gather(self, batch: _Batch) -> None:
        """Close a batch to latecomers, after a short wait for those who came to the last one.

        They were all woken at once and come back one after another: without a wait the first of them has the
        disk to itself and the rest wait for it. The wait is a fraction of what the disk itself takes.
        """
        if len(batch.entries) < self._expected:
            batch.full.wait(_PATIENCE * self._last_write_s)
        with self._lock:
            self._batch = None
            self._expected = len(batch.entries)


_commits: WeakSet[GroupCommit] = WeakSet()


def _begin_all() -> None:
    for commit in list(_commits):
        commit._begin()


# The thread does not live on in a forked child, and the batch is the parent's.
os.register_at_fork(after_in_child=_begin_all)
