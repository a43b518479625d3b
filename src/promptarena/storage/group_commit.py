"""Many that wait, one write and one fdatasync: the wait for the disk is shared.

While one batch is on its way to the disk, whatever arrives gathers in the next.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final
from weakref import WeakSet

from promptarena.definitions.event_lines import Entry, encode_entries
from promptarena.errors import StorageError
from promptarena.storage.waiting_tasks import NO_TURN, Turn, own, wake

__all__ = ["GroupCommit"]

_PATIENCE: Final = 0.25
"""The longest wait for a batch to fill, as a share of the time that the last write took."""


class _Batch:
    """What goes to the disk together, and who waits for it."""

    __slots__ = ("done", "error", "full", "lines", "tasks", "waiting")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.waiting = 0
        """Threads and tasks; a thread waits for `done`."""
        self.tasks: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
        self.full = threading.Event()
        self.done = threading.Event()
        self.error: Exception | None = None

    def settle(self, error: Exception | None) -> None:
        self.error = error
        self.done.set()
        for loop, futures in self.tasks.items():
            wake(loop, futures, error)


class GroupCommit:
    """Collects lines from threads and tasks and gives them to `write_durably`, a batch at a time."""

    def __init__(self, write_durably: Callable[[bytes], None]) -> None:
        self._write_durably = write_durably
        self._begin()
        _commits.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._batch: _Batch | None = None
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._turn = NO_TURN
        self._turns: set[Turn] = set()
        """Those that are not over, of any loop."""
        # Whoever waited for the last batch is likely to come again: see `_gather`.
        self._expected = 0
        self._last_write_s = 0.0

    def append(self, lines: bytes) -> None:
        """Return once the lines are durable.

        Raises:
            StorageError: they are not acknowledged; sent again under the same event ids they count once.
        """
        with self._lock:
            batch = self._join(lines, 1)
        batch.done.wait()
        if batch.error is not None:
            raise own(batch.error)

    def append_async(self, entry: Entry, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """The same as a future of this loop, which is the running one; encoded when its turn ends.

        An event that cannot be encoded is refused alone: its future holds an `EventError`.
        """
        turn = self._turn
        if turn.loop is not loop:
            turn = self._begin_turn(loop)
        future: asyncio.Future[None] = loop.create_future()
        turn.futures.append(future)
        turn.entries.append(entry)
        return future

    def _begin_turn(self, loop: asyncio.AbstractEventLoop) -> Turn:
        turn = Turn(loop)
        loop.call_soon(self._end_turn, turn, loop)
        with self._lock:
            self._turns.add(turn)
        # A loop of another thread may take its place: the next append then begins a second one of this loop.
        self._turn = turn
        return turn

    def _end_turn(self, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            turn.loop = None
            self._turns.discard(turn)
            self._hand_over(turn, loop)

    def _hand_over(self, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        entries, futures = turn.take()
        try:
            lines, refused = encode_entries(entries)
            if lines:
                self._join(lines, len(futures)).tasks[loop] += futures
            for at, error in refused.items():
                wake(loop, [futures[at]], error)
        except BaseException as error:
            wake(loop, futures, error)
            if not isinstance(error, Exception):
                raise

    def close(self) -> None:
        """Commit what is waiting and stop; a later append begins again."""
        with self._lock:
            for turn in self._turns:
                if turn.loop is not None:
                    self._hand_over(turn, turn.loop)
            thread, self._thread = self._thread, None
            # What still joins the current batch is ahead of the end; a later batch gets its own queue.
            queue, self._queue = self._queue, SimpleQueue()
            if thread is not None:
                queue.put(None)
        if thread is not None:
            thread.join()

    def _join(self, lines: bytes, waiting: int) -> _Batch:
        batch = self._batch
        if batch is None:
            if self._thread is None:
                self._thread = self._begin_thread()
            batch = self._batch = _Batch()
            self._queue.put(batch)
        batch.lines.append(lines)
        batch.waiting += waiting
        if batch.waiting >= self._expected:
            batch.full.set()
        return batch

    def _begin_thread(self) -> threading.Thread:
        thread = threading.Thread(
            target=self._run, args=(self._queue,), name="promptarena-commit", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # too many, or the interpreter is on its way out
            raise StorageError(f"the thread that writes the log could not be begun: {error}.") from error
        return thread

    def _run(self, queue: SimpleQueue[_Batch | None]) -> None:
        while (batch := queue.get()) is not None:
            self._gather(batch)
            error: Exception | None = None
            try:
                start = time.monotonic()
                self._write_durably(b"".join(batch.lines))
                self._last_write_s = time.monotonic() - start
            except Exception as failure:  # whoever waits is told; the next batch gets its own chance
                error = failure
            batch.settle(error)

    def _gather(self, batch: _Batch) -> None:
        """Close a batch to latecomers, after a short wait for those who came to the last one.

        They were all woken at once and come back one after another: without a wait the first of them has the
        disk to itself and the rest wait for it. The wait is a fraction of what the disk itself takes.
        """
        if batch.waiting < self._expected:
            batch.full.wait(_PATIENCE * self._last_write_s)
        with self._lock:
            self._batch = None
            self._expected = batch.waiting


_commits: WeakSet[GroupCommit] = WeakSet()


def _begin_all() -> None:
    for commit in list(_commits):
        commit._begin()


# The thread does not live on in a forked child, and the batch is the parent's.
os.register_at_fork(after_in_child=_begin_all)
