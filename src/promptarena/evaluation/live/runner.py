"""A live run over all cases: as many at once as keep the calls busy, and an end that loses nothing.

Memory does not grow with the texts: cases are streamed, a bounded number of them is worked on, and what comes
is written at once. Whatever stops a run (the budget, Ctrl-C, a provider that is down, a disk that is full),
calls under way are waited for, because they are paid for, and the error says what is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator

from promptarena.errors import ArenaError, BudgetSpentError, Problem, RunStoppedError
from promptarena.evaluation.cases import Case
from promptarena.evaluation.counted import counted
from promptarena.evaluation.live.setup import RunCounts
from promptarena.llm.provider_client import ProviderClient

__all__ = ["Interrupts", "interrupts", "run_cases", "still_heap", "stopped"]

_INTERRUPTED = "Stopped by Ctrl-C."
_OBJECTS_A_LOOK = 20_000
"""A call leaves few objects in circles; this many take some MB."""


class Interrupts:
    """Ctrl-C during a run: the first stops it as described, a second one gives up calls under way too."""

    def __init__(self) -> None:
        self._times = 0
        self._stop: Callable[[], None] = _nothing
        self._under_way: set[asyncio.Task[object]] = set()

    def press(self) -> None:
        """What a signal does."""
        self._times += 1
        if self._times == 1:
            self._stop()
        else:
            for task in self._under_way:
                task.cancel()

    def raise_if_pressed(self) -> None:
        """For moments at which no call is under way.

        Raises:
            RunStoppedError: somebody pressed Ctrl-C.
        """
        if self._times:
            raise RunStoppedError(_INTERRUPTED)

    @contextlib.contextmanager
    def during(self, stop: Callable[[], None], under_way: set[asyncio.Task[object]]) -> Iterator[None]:
        """While these calls are made; stops at once where Ctrl-C came before."""
        self._stop, self._under_way = stop, under_way
        if self._times:
            stop()
        try:
            yield
        finally:
            self._stop, self._under_way = _nothing, set()


def _nothing() -> None:
    """No calls are made now: `raise_if_pressed` tells of it afterwards."""


@contextlib.contextmanager
def interrupts(wanted: bool) -> Iterator[Interrupts]:
    """Take Ctrl-C as the end of a run, where that is wanted and this is the main thread."""
    found = Interrupts()
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield found
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, found.press)
    try:
        yield found
    finally:
        loop.remove_signal_handler(signal.SIGINT)


@contextlib.contextmanager
def still_heap() -> Iterator[None]:
    """Have the garbage collector look at what a run makes, seldom, and not at what was there before: one look
    at all that was imported takes 60 to 90 ms, in which no answer is read and no call goes out."""
    if gc.get_freeze_count():  # somebody else has settled it
        yield
        return
    often, *others = gc.get_threshold()
    gc.freeze()
    if often:  # 0: nothing is collected at all
        gc.set_threshold(max(often, _OBJECTS_A_LOOK), *others)
    try:
        yield
    finally:
        gc.set_threshold(often, *others)
        gc.unfreeze()


async def run_cases(
    cases: Iterable[Case],
    work: Callable[[Case], Awaitable[object]],
    client: ProviderClient,
    *,
    at_once: int,
    pressed: Interrupts,
) -> None:
    """Work on cases in their order.

    Args:
        cases: taken only when there is room for one.
        work: done for each.
        client: halted where the run has to stop.
        at_once: cases that are worked on, at most.
        pressed: Ctrl-C, of the whole run.

    Raises:
        ArenaError: what stopped the run.
    """
    failure: list[BaseException] = []
    room = asyncio.Semaphore(at_once)
    under_way: set[asyncio.Task[object]] = set()

    def fail(error: BaseException) -> None:
        failure.append(error)
        client.halt(error if isinstance(error, ArenaError) else RunStoppedError("The run failed."))

    def finished(task: asyncio.Task[object]) -> None:
        under_way.discard(task)
        room.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            fail(error)

    with pressed.during(lambda: fail(RunStoppedError(_INTERRUPTED)), under_way):
        for number, case in enumerate(cases):
            await room.acquire()
            if failure:
                break
            task: asyncio.Task[object] = asyncio.ensure_future(work(case))
            under_way.add(task)
            task.add_done_callback(finished)
            if number < at_once:
                # The first calls go out before further cases are read, not after all that there is room for;
                # so the first answers come one by one too, and none waits until all others are read.
                await asyncio.sleep(0)
        while under_way:
            await asyncio.wait(list(under_way))
    if failure:
        raise failure[0]


def stopped(error: ArenaError, counts: RunCounts) -> RunStoppedError:
    """A run's end as its user is told: what stopped it, what is done, what is missing, how to go on.

    Args:
        error: what stopped it.
        counts: how far it was.
    """
    missing = max(counts.calls - counts.done, 0) + counts.failed
    failed = f", {counts.failed:,} of which failed" if counts.failed else ""
    told = (
        f"{counts.complete:,} of {counted(counts.cases, 'case is', 'cases are')} complete; about {missing:,} "
        f"of {counted(counts.calls, 'call is', 'calls are')} missing{failed}; ${counts.usd:.4f} "
        "were spent in this run."
    )
    first, *others = error.problems
    more = "With a higher --budget the" if isinstance(error, BudgetSpentError) else "The"
    hint = f"{more} same command goes on from here and pays only for what is missing."
    hint = f"{first.hint} {hint}" if first.hint else hint
    return RunStoppedError([Problem(f"{first.message} {told}", first.where, hint), *others])
