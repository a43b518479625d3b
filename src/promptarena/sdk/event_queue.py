"""Events on their way from the application to the log: a bounded queue that holds up no answer for long.

What happens to an event:

- It is queued in the caller's thread, without a wait, and written by a thread of our own within
  `linger_s` (many at once: one write for all that gathered).
- While the queue is full (the disk is slow, full or away) the caller waits for room, at most `patience_s`.
- Then the event is dropped, counted by its kind, and said in the log of the application. What is dropped does
  not depend on the variant, so comparisons lose units and not their balance.
- What could not be written is kept and tried again. Events have names, so nothing counts twice.
- `flush` writes what waits, in the caller's thread; at the end of the process that is done by itself. A
  process that is killed loses what was queued within the last `linger_s`.

A forked child begins with an empty queue: what its parent queued is the parent's to write.
"""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakSet

from promptarena.definitions.events import Event
from promptarena.errors import StorageError
from promptarena.sdk.fork_guard import guard

__all__ = ["EventQueue", "QueueLimits", "QueueState"]

_SAID: Final = logging.getLogger("promptarena")
_BATCH: Final = 1_000
_FIRST_RETRY_S: Final = 0.1
_LONGEST_RETRY_S: Final = 2.0
_OVERHEAD: Final = 512
"""Bytes that any event may take; longer ones say so."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much may wait, and for how long."""

    events: int = 10_000
    bytes: int = 64 * 2**20
    patience_s: float = 0.25
    """How long a caller waits for room."""
    linger_s: float = 0.02
    """How long the writer lets events gather."""
    last_flush_s: float = 5.0
    """How long the end of the process may wait for the disk."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """What has become of the events that this process queued."""

    waiting: int
    written: int
    dropped: dict[str, int]
    """By kind: those that found no room, and those that the log refused for good."""
    problem: str | None
    """Why the last write failed, if it did."""


class EventQueue:
    """Takes events from any thread and hands them to `write`, in order.

    Args:
        write: makes a batch durable; raises `StorageError` where that may succeed later, and anything else
            where it never will.
    """

    def __init__(self, write: Callable[[list[Event]], None], limits: QueueLimits | None = None) -> None:
        self._write = write
        self._limits = limits or QueueLimits()
        self._closed = False
        self._begin()
        _queues.add(self)
        guard(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._more = threading.Condition(self._lock)
        self._one_writer = threading.Lock()
        self._events: deque[tuple[Event, int]] = deque()
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._written = 0
        self._dropped: Counter[str] = Counter()
        self._problem: str | None = None

    def offer(self, event: Event, size: int = _OVERHEAD) -> bool:
        """Queue an event if there is room now.

        Args:
            size: about how many bytes it takes.
        """
        with self._lock:
            return self._add(event, size)

    def put(self, event: Event, size: int = _OVERHEAD) -> bool:
        """Queue an event, waiting for room if need be; whether it was not dropped."""
        with self._lock:
            if self._add(event, size):
                return True
            deadline = time.monotonic() + self._limits.patience_s
            while not self._closed and (left := deadline - time.monotonic()) > 0:
                self._room.wait(left)
                if self._add(event, size):
                    return True
        self._drop(event, "the queue of events is full" if not self._closed else "this Arena is closed")
        return False

    def flush(self, timeout_s: float | None = None) -> int:
        """Write what waits, now.

        Returns:
            How many events are still waiting, because the disk refused them; 0 is success.
        """
        deadline = time.monotonic() + (self._limits.last_flush_s if timeout_s is None else timeout_s)
        while self._write_some():
            if self._problem is not None:
                if time.monotonic() + _FIRST_RETRY_S > deadline:
                    break
                time.sleep(_FIRST_RETRY_S)
        return len(self._events)

    def close(self) -> None:
        """Flush, and take no more; what the disk refuses until the end is dropped, counted and said."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._more.notify_all()
            self._room.notify_all()
        if self.flush():
            with self._lock:
                left, self._bytes = list(self._events), 0
                self._events.clear()
            for event, _ in left:
                self._drop(event, self._problem or "the disk is too slow")

    def state(self) -> QueueState:
        """What has become of the events until now."""
        with self._lock:
            return QueueState(len(self._events), self._written, dict(self._dropped), self._problem)

    def hold(self) -> None:
        """Before a fork: wait until nobody is writing."""
        self._one_writer.acquire()

    def let_go(self) -> None:
        """After a fork, in the parent."""
        self._one_writer.release()

    def begin_in_child(self) -> None:
        """After a fork, in the child: what is queued is the parent's to write."""
        self._begin()

    def _add(self, event: Event, size: int) -> bool:
        waiting, limits = self._events, self._limits
        # One event that is larger than all room there is must pass some time.
        if self._closed or (waiting and (len(waiting) >= limits.events or self._bytes + size > limits.bytes)):
            return False
        waiting.append((event, size))
        self._bytes += size
        if self._thread is None:
            self._start()
        elif len(waiting) == 1:
            self._more.notify()
        return True

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="promptarena-events", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter is ending: the last flush writes it
            self._thread = None
        _flush_at_end_of_child(self)

    def _run(self) -> None:
        retry = _FIRST_RETRY_S
        while True:
            with self._lock:
                while not self._events and not self._closed:
                    self._more.wait()
                if self._closed:
                    return
            time.sleep(self._limits.linger_s)
            self._write_some()
            if self._problem is None:
                retry = _FIRST_RETRY_S
            else:
                time.sleep(retry)
                retry = min(2 * retry, _LONGEST_RETRY_S)

    def _write_some(self) -> bool:
        """Write one batch; whether there was one."""
        with self._one_writer:
            with self._lock:
                batch = [self._events[at][0] for at in range(min(_BATCH, len(self._events)))]
            if not batch:
                return False
            try:
                refused = self._write_batch(batch)
            except StorageError as error:
                self._complain(str(error))
                return True
            with self._lock:
                for _ in batch:
                    self._bytes -= self._events.popleft()[1]
                self._written += len(batch) - len(refused)
                self._problem = None
                self._room.notify_all()
        for event, why in refused:
            self._drop(event, why)
        return True

    def _write_batch(self, batch: Sequence[Event]) -> list[tuple[Event, str]]:
        """Write events; those that the log will never take do not hold up the rest."""
        try:
            self._write(list(batch))
        except StorageError:
            raise
        except Exception as error:
            if len(batch) == 1:
                return [(batch[0], str(error))]
            return [refused for event in batch for refused in self._write_batch([event])]
        return []

    def _complain(self, problem: str) -> None:
        if self._problem is None:
            _SAID.warning("Events cannot be written and are kept for now: %s", problem)
        self._problem = problem

    def _drop(self, event: Event, why: str) -> None:
        kind = type(event).__name__.lower()
        with self._lock:
            self._dropped[kind] += 1
            times = self._dropped[kind]
        if times & (times - 1) == 0:  # the first, second, fourth, eighth ...: said without flooding
            _SAID.warning("An event was dropped (%s, %d until now): %s", kind, times, why)


_queues: WeakSet[EventQueue] = WeakSet()


def _close_all() -> None:
    for queue in list(_queues):
        queue.close()


def _flush_at_end_of_child(queue: EventQueue) -> None:
    """A child of `multiprocessing` leaves without `atexit` on the Pythons that we support."""
    util = sys.modules.get("multiprocessing.util")
    parent = sys.modules.get("multiprocessing.process")
    if util is not None and parent is not None and parent.parent_process() is not None:
        util.Finalize(None, queue.flush, exitpriority=0)


atexit.register(_close_all)
