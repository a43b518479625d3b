"""A live run over all cases: as many at once as keep the calls busy, and an end that loses nothing.

Memory does not grow with the texts: cases are streamed, a bounded number of them is worked on, and what comes
is written at once. Whatever stops a run (the budget, Ctrl-C, a provider that is down, a disk that is full),
calls under way are waited for, because they are paid for, and the error says what is missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from promptarena.errors import ArenaError, BudgetSpentError, Problem, RunStoppedError
from promptarena.evaluation.cases import Case
from promptarena.evaluation.live.setup import RunCounts
from promptarena.llm.provider_client import ProviderClient

__all__ = ["run_cases", "stopped"]

_INTERRUPTED = "Stopped by Ctrl-C."


async def run_cases(
    cases: Iterable[Case],
    work: Callable[[Case], Awaitable[object]],
    client: ProviderClient,
    *,
    at_once: int,
    interruptible: bool,
) -> None:
    """Work on cases in their order.

    Args:
        cases: taken only when there is room for one.
        work: done for each.
        client: halted where the run has to stop.
        at_once: cases that are worked on, at most.
        interruptible: whether Ctrl-C stops the run as described; a second one at once.

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

    async with _interrupts(lambda: fail(RunStoppedError(_INTERRUPTED)), under_way, interruptible):
        for case in cases:
            await room.acquire()
            if failure:
                break
            task: asyncio.Task[object] = asyncio.ensure_future(work(case))
            under_way.add(task)
            task.add_done_callback(finished)
        while under_way:
            await asyncio.wait(list(under_way))
    if failure:
        raise failure[0]


@contextlib.asynccontextmanager
async def _interrupts(
    interrupt: Callable[[], None], under_way: set[asyncio.Task[object]], wanted: bool
) -> AsyncIterator[None]:
    """Ctrl-C interrupts; once more, and calls under way are given up too."""
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, times = asyncio.get_running_loop(), 0

    def pressed() -> None:
        nonlocal times
        times += 1
        if times == 1:
            interrupt()
        else:
            for task in under_way:
                task.cancel()

    loop.add_signal_handler(signal.SIGINT, pressed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def stopped(error: ArenaError, counts: RunCounts) -> RunStoppedError:
    """A run's end as its user is told: what stopped it, what is done, what is missing, how to go on.

    Args:
        error: what stopped it.
        counts: how far it was.
    """
    missing = max(counts.calls - counts.done, 0) + counts.failed
    failed = f", {counts.failed:,} of which failed" if counts.failed else ""
    told = (
        f"{counts.complete:,} of {counts.cases:,} cases are complete; about {missing:,} of {counts.calls:,} "
        f"calls are missing{failed}; ${counts.usd:.4f} were spent in this run."
    )
    first, *others = error.problems
    more = "With a higher --budget the" if isinstance(error, BudgetSpentError) else "The"
    hint = f"{more} same command goes on from here and pays only for what is missing."
    hint = f"{first.hint} {hint}" if first.hint else hint
    return RunStoppedError([Problem(f"{first.message} {told}", first.where, hint), *others])
