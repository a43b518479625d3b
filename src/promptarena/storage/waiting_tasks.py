"""Tasks that wait for the disk: what those of one loop append goes there together, and they go on together.

Whatever is done for each waiter is done as often as there are waiters, so what can be is done for all at
once: tasks that run in one turn of their loop gather here without a lock, their events are encoded by one
call at its end, where they still lie in the cache, and one callback lets all go on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, TypeAlias

from promptarena.definitions.event_lines import Entry
from promptarena.errors import ArenaError, StorageError

__all__ = ["NO_TURN", "Turn", "own_error", "settle"]

_Waits: TypeAlias = asyncio.Future[None]
_Callbacks: TypeAlias = Sequence[tuple[Callable[[_Waits], object], Context]]


class Turn:
    """What the tasks of one loop append in one turn of it. Only the loop's thread adds."""

    __slots__ = ("added", "lock", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        """Whose tasks may add; `None` once the turn is over."""
        self.added: list[Any] = []
        """Entries, each followed by the future that waits for it: added in one step, without a lock."""
        self.lock = threading.RLock()
        """For handing over, during which a signal's handler may close the log."""

    def pairs(self) -> tuple[list[Entry], list[_Waits]]:
        """All entries until now, and who waits for each."""
        added = self.added[:]
        return added[::2], added[1::2]

    def forget(self, futures: list[_Waits]) -> None:
        """The first entries, which were handed over for these; nothing if they are forgotten already."""
        if self.added[1:2] == futures[:1]:
            del self.added[: 2 * len(futures)]


NO_TURN: Final = Turn(None)


def settle(loop: asyncio.AbstractEventLoop, futures: Iterable[_Waits], error: BaseException | None) -> None:
    """Settle these futures of a loop, and let whoever waits for them go on. Any thread may."""
    # A loop that was closed meanwhile has nobody left who waits.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle_here, loop, iter(futures), error)


def _settle_here(
    loop: asyncio.AbstractEventLoop, futures: Iterator[_Waits], error: BaseException | None
) -> None:
    # A task may end the loop, or run it from within itself: then this goes on with those behind it.
    rest = loop.call_soon(_settle_here, loop, futures, error)
    for future in futures:
        callback = None
        try:
            if future.done():  # its task was cancelled
                continue
            waiting: _Callbacks = getattr(future, "_callbacks", None) or ()
            if len(waiting) == 1:
                # A future would hand its task to the loop, in a handle of its own. This is a callback of the
                # loop already: the task is called from here, in half the time.
                [(callback, context)] = waiting
                future.remove_done_callback(callback)
            _set(future, error)
        except BaseException:  # a signal's handler raised: all as if this future's turn were yet to come
            loop.call_soon(_settle_here, loop, iter((future,)), error)
            if callback is not None:
                future.remove_done_callback(callback)
                future.add_done_callback(callback, context=context)
            raise
        if callback is not None:
            try:
                context.run(callback, future)
            except Exception as failure:
                told = {"message": "A callback of an append failed", "exception": failure, "future": future}
                loop.call_exception_handler(told)
    rest.cancel()


def _set(future: _Waits, error: BaseException | None) -> None:
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(own_error(error))


def own_error(error: BaseException) -> Exception:
    """The same for one who waits: tracebacks of many threads do not share one object."""
    if isinstance(error, ArenaError):
        return type(error)(error.problems)
    return StorageError(f"the log could not be written: {error!r}")
