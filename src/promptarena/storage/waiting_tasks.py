"""Tasks that wait for the disk: what those of one loop append goes there together, and they wake together.

A waiter's share of the time between two batches is paid as often as there are waiters. What can be done for
all at once is done once: tasks that run in one turn of their loop gather here without a lock, their events
are encoded by one call at its end, where they still lie in the cache, and one callback lets all go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Final, TypeAlias

from promptarena.definitions.event_lines import Entry
from promptarena.errors import ArenaError, StorageError

__all__ = ["NO_TURN", "Turn", "own", "wake"]

_Callbacks: TypeAlias = Sequence[tuple[Callable[[asyncio.Future[None]], object], Context]]


class Turn:
    """What the tasks of one loop appended since its last turn. Only the loop's thread adds to it."""

    __slots__ = ("entries", "futures", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        """`None` once the turn is over."""
        self.entries: list[Entry] = []
        self.futures: list[asyncio.Future[None]] = []
        """Who waits for each entry. May be one ahead of `entries`, never behind."""

    def take(self) -> tuple[list[Entry], list[asyncio.Future[None]]]:
        """All that was added until now. Any thread may, one at a time, while the loop's adds more."""
        n = len(self.entries)
        taken = self.entries[:n], self.futures[:n]
        del self.entries[:n], self.futures[:n]
        return taken


NO_TURN: Final = Turn(None)


def wake(
    loop: asyncio.AbstractEventLoop, futures: Iterable[asyncio.Future[None]], error: BaseException | None
) -> None:
    """Let those go on who wait for these futures of a loop. Any thread may."""
    # A loop that was closed meanwhile has nobody left who waits.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, loop, iter(futures), error)


def _settle(
    loop: asyncio.AbstractEventLoop, futures: Iterator[asyncio.Future[None]], error: BaseException | None
) -> None:
    try:
        for future in futures:
            if future.done():  # its task was cancelled, or its event refused
                continue
            waiting: _Callbacks = getattr(future, "_callbacks", None) or ()
            if len(waiting) != 1:
                _set(future, error)
                continue
            # A future would hand its task to the loop, in a handle of its own. This is a callback of the loop
            # already, so to call the task from here is the same, in half the time.
            [(callback, context)] = waiting
            future.remove_done_callback(callback)
            _set(future, error)
            try:
                context.run(callback, future)
            except Exception as failure:
                told = {"message": "A callback of an append failed", "exception": failure, "future": future}
                loop.call_exception_handler(told)
    except BaseException:  # a task ends the loop; if it runs again, those behind it go on
        loop.call_soon(_settle, loop, futures, error)
        raise


def _set(future: asyncio.Future[None], error: BaseException | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(own(error))


def own(error: BaseException) -> Exception:
    """An error of one's own to raise: tracebacks of many threads do not share one object."""
    if isinstance(error, ArenaError):
        return type(error)(error.problems)
    return StorageError(f"the log could not be written: {error!r}")
