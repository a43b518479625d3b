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
from promptarena.storage.waiting_tasks import NO_TURN, Turn, own_error, settle

__all__ = ["GroupCommit"]

_PATIENCE: Final = 0.25
"""The longest wait for a batch to fill, as a share of the time that the last write took."""


class _Batch:
    """What goes to the disk together, and who waits for it."""

    __slots__ = ("error", "gathering", "lines", "pending", "tasks", "waiting")

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.waiting = 0
        """Threads and tasks."""
        self.tasks: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
        # Plain locks: a signal's handler that closes the log could find a `threading.Event` half set, and the
        # first `get` of a `SimpleQueue` may outlast a short timeout for ever (Python 3.11 to 3.13).
        self.gathering = threading.Lock()
        """Held until all are there who are expected."""
        self.gathering.acquire()
        self.pending = threading.Lock()
        """Held until the batch is settled: threads wait for it."""
        self.pending.acquire()
        self.error: Exception | None = None

    def settle(self, error: Exception | None) -> None:
        self.error = error
        self.pending.release()
        for loop, futures in self.tasks.items():
            settle(loop, futures, error)


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
        self._turns: dict[Turn, asyncio.AbstractEventLoop] = {}
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
        with batch.pending:
            pass
        if batch.error is not None:
            raise own_error(batch.error)

    def append_async(self, entry: Entry, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """The same as a future of this loop, which is the running one; encoded when its present turn ends.

        An event that cannot be encoded is refused alone: its future holds an `EventError`.
        """
        turn = self._turn
        if turn.loop is not loop:
            turn = self._begin_turn(loop)
        future: asyncio.Future[None] = loop.create_future()
        turn.added += (entry, future)
        return future

    def _begin_turn(self, loop: asyncio.AbstractEventLoop) -> Turn:
        turn = Turn(loop)
        # The second finds nothing to do, unless a signal's handler raised as the first began.
        loop.call_soon(self._end_turn, turn, loop)
        loop.call_soon(self._end_turn, turn, loop)
        self._turns[turn] = loop
        # Another thread's loop may overwrite it: the next append then begins a second turn of this one.
        self._turn = turn
        return turn

    def _end_turn(self, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        try:
            turn.loop = None
            if turn in self._turns:  # or it was another process's, before a fork
                self._hand_over(turn, loop)
                del self._turns[turn]
        except BaseException:  # a signal's handler raised
            loop.call_soon(self._end_turn, turn, loop)
            raise

    def _hand_over(self, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        # Encoding may call foreign code (a `tzinfo`) that appends: the turn is locked, the commit is not.
        with turn.lock:
            entries, futures = turn.pairs()
            try:
                lines, refused = encode_entries(entries)
                accepted = futures
                if refused:
                    accepted = [future for at, future in enumerate(futures) if at not in refused]
                    for at, error in refused.items():
                        settle(loop, [futures[at]], error)
                if accepted:
                    with self._lock:
                        self._join(lines, len(accepted)).tasks[loop] += accepted
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                settle(loop, futures, error)
            # Only now: what a signal interrupts is handed over once more, and counts once.
            turn.forget(futures)

    def close(self) -> None:
        """Commit what is waiting and stop; a later append begins again."""
        for turn, loop in list(self._turns.items()):
            self._hand_over(turn, loop)
            if loop.is_closed():
                turn.loop = None
                self._turns.pop(turn, None)
        fresh: SimpleQueue[_Batch | None] = SimpleQueue()
        with self._lock:
            thread, self._thread = self._thread, None
            # What still joins the current batch is ahead of the end; a later batch gets its own queue.
            queue, self._queue = self._queue, fresh
            if thread is not None:
                queue.put(None)
        if thread is not None:
            thread.join()

    def _join(self, lines: bytes, waiting: int) -> _Batch:
        batch = self._batch
        if batch is None:
            if self._thread is None:
                self._begin_thread()
            batch = _Batch()
            self._queue.put(batch)
            self._batch = batch
        batch.lines.append(lines)
        batch.waiting += waiting
        if batch.waiting >= self._expected and batch.gathering.locked():
            batch.gathering.release()
        return batch

    def _begin_thread(self) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(self._queue,), name="promptarena-commit", daemon=True
        )
        try:
            self._thread.start()
        except BaseException as error:
            # Interrupted, it may have begun nevertheless: then it ends, and the next has a queue of its own.
            self._thread = None
            self._queue.put(None)
            self._queue = SimpleQueue()
            if not isinstance(error, RuntimeError):
                raise
            # Too many, or the interpreter is on its way out.
            raise StorageError(f"the thread that writes the log could not be begun: {error}.") from error

    def _run(self, queue: SimpleQueue[_Batch | None]) -> None:
        while (batch := queue.get()) is not None:
            self._gather(batch)
            error: Exception | None = None
            try:
                if lines := b"".join(batch.lines):
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
        if batch.waiting < self._expected:
            batch.gathering.acquire(timeout=_PATIENCE * self._last_write_s)
        with self._lock:
            self._batch = None
            self._expected = batch.waiting


_commits: WeakSet[GroupCommit] = WeakSet()


def _begin_all() -> None:
    for commit in list(_commits):
        commit._begin()


# The thread does not live on in a forked child, and the batch is the parent's.
os.register_at_fork(after_in_child=_begin_all)
