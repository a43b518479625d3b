"""Appending to the event log, beside a loop that writes the same lines with nothing else in it.

The floors' lines were encoded before the clock starts; ours encodes, stamps, looks for the erased and wakes
whoever waits. Events are `checked`, as the gateway's own are. In /var/tmp, which is on a disk.

What `power` costs beside its floor depends on how long the disk takes: ours adds .8 ms of Python to 256
waiting tasks. Virtual disks answer an fdatasync in .4 ms, out of a cache; ones that mean it take 2 to 10.
The promise is for a disk of 5 ms, to which every fdatasync of both is stretched. This disk's own is told, and
so is the floor's loop with 256 tasks that wait for it and are woken, which is the most that asyncio allows.

`process` keeps its promise with one event a call, encoding included: a small append is a copy into a mapped
file where the floor's is a system call.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from bench.claim import Claim, take_turns
from promptarena.definitions.event_lines import encode_events
from promptarena.definitions.events import Generation
from promptarena.storage.event_log import EventLog

_WAITING = 256
_PROCESS_EVENTS = 20_000
_PROCESS_ROUNDS = 25
"""So many that they outlast a neighbour's second on the same processor."""
_HOT_EVENTS = 500
"""Few enough to stay in the processor's cache."""
_SYNC_S = 0.005
_USED_MEMORY = 2**30
_AT_A_TIME = 2**18


def run() -> Iterator[Claim]:
    """Time all in one folder. Files are opened, and the log's threads begun, before the clock starts."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        _use_memory(folder)
        for each, batches, sync_s, target in (
            (1, 200, _SYNC_S, 1 / 0.8),
            (16, 8, _SYNC_S, None),
            (1, 60, 0.0, None),
        ):
            calls = _hot_calls(_WAITING * each * batches)
            lines = _lines(calls)
            shares = _shares(calls, each)
            disk = f"a disk of {sync_s * 1000:.0f} ms" if sync_s else "this disk"
            with (
                _file(folder) as handle,
                EventLog(folder / f"power-{each}-{sync_s}") as log,
                _syncs_take(sync_s),
            ):
                yield take_turns(
                    f"append, power, 256 tasks waiting, {each} event(s) each, {disk}",
                    lambda log=log, shares=shares: _power(log, shares),  # type: ignore[misc]
                    lambda handle=handle, lines=lines, batch=_WAITING * each: _bare_power(  # type: ignore[misc]
                        handle, lines, batch
                    ),
                    other_name="write + fdatasync a batch",
                    target=target,
                )
                if each == 1:
                    yield take_turns(
                        f"the same, {disk}",
                        lambda log=log, shares=shares: _power(log, shares),  # type: ignore[misc]
                        lambda handle=handle, lines=lines: _power_by_asyncio(handle, lines),  # type: ignore[misc]
                        other_name="write + fdatasync, 256 woken",
                        target=None,
                    )
        calls = _hot_calls(_PROCESS_EVENTS)
        lines = _lines(calls)
        with _file(folder) as handle, EventLog(folder / "process") as log:
            for each in (16, 4, 1):
                yield take_turns(
                    f"append, process, {each} event(s) a call",
                    lambda each=each: _process(log, calls, each),  # type: ignore[misc]
                    lambda: _bare_process(handle, lines),
                    other_name="write(2) a line",
                    target=1 / 0.7,
                    rounds=_PROCESS_ROUNDS,
                )


def _calls(n: int) -> list[Generation]:
    now = datetime.now(UTC)
    return [
        Generation(
            ts=now,
            request_id=f"request-{at:024d}",
            response_id=f"chatcmpl-{at:029d}",
            feature="support-bot",
            conversation_id=f"conversation-{at // 4:019d}",
            user_id=f"user-{at // 16}",
            turn=at % 4,
            experiment="support-cites-policy",
            variant="treatment",
            config_hash="5d41402abc4b2a76",
            provider="openai",
            model_asked="gpt-4o-mini",
            model_answered="gpt-4o-mini-2024-07-18",
            params={"temperature": 0.3},
            stream=True,
            input_tokens=812,
            output_tokens=203,
            cost_usd=0.00123,
            ttft_ms=320.5,
            tpot_ms=11.2,
            itl_p95_ms=33.2,
            latency_ms=2594.1,
            finish_reason="stop",
        )
        for at in range(n)
    ]


def _hot_calls(n: int) -> list[Generation]:
    """So many, the same few again and again: an event that is appended was made just now."""
    few = _calls(_HOT_EVENTS)
    return [few[at % _HOT_EVENTS] for at in range(n)]


def _lines(calls: Sequence[Generation]) -> list[bytes]:
    return encode_events(calls, checked=True).splitlines(keepends=True)


def _shares(calls: list[Generation], each: int) -> list[list[Generation | list[Generation]]]:
    """What each task appends, one after the other."""
    if each == 1:
        return [[*calls[at::_WAITING]] for at in range(_WAITING)]
    groups = [calls[at : at + each] for at in range(0, len(calls), each)]
    return [[*groups[at::_WAITING]] for at in range(_WAITING)]


def _power(log: EventLog, shares: list[list[Generation | list[Generation]]]) -> None:
    async def append(mine: list[Generation | list[Generation]]) -> None:
        for group in mine:
            await log.append_async(group, checked=True)

    async def all_of_them() -> None:
        await asyncio.gather(*map(append, shares))

    asyncio.run(all_of_them())


def _bare_power(handle: int, lines: list[bytes], batch: int) -> None:
    for at in range(0, len(lines), batch):
        os.write(handle, b"".join(lines[at : at + batch]))
        os.fdatasync(handle)


def _power_by_asyncio(handle: int, lines: list[bytes]) -> None:
    """Tasks that wait for a future each, set when the batch is on the disk; nothing else is done for them."""
    batches: SimpleQueue[list[asyncio.Future[None]] | None] = SimpleQueue()

    def wake(waiting: list[asyncio.Future[None]]) -> None:
        for future in waiting:
            future.set_result(None)

    def write(loop: asyncio.AbstractEventLoop) -> None:
        at = 0
        while (waiting := batches.get()) is not None:
            os.write(handle, b"".join(lines[at : at + _WAITING]))
            os.fdatasync(handle)
            at += _WAITING
            loop.call_soon_threadsafe(wake, waiting)

    async def all_of_them() -> None:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[None]] = []

        def hand_over() -> None:
            batches.put(waiting[:])
            waiting.clear()

        async def task() -> None:
            for _ in range(len(lines) // _WAITING):
                if not waiting:
                    loop.call_soon(hand_over)
                future = loop.create_future()
                waiting.append(future)
                await future

        writer = threading.Thread(target=write, args=(loop,))
        writer.start()
        await asyncio.gather(*(task() for _ in range(_WAITING)))
        batches.put(None)
        writer.join()

    asyncio.run(all_of_them())


def _process(log: EventLog, calls: list[Generation], each: int) -> None:
    if each == 1:
        for call in calls:
            log.append(call, "process", checked=True)
    else:
        for at in range(0, len(calls), each):
            log.append(calls[at : at + each], "process", checked=True)


def _bare_process(handle: int, lines: list[bytes]) -> None:
    for line in lines:
        os.write(handle, line)


def _use_memory(folder: Path) -> None:
    """Take as much page cache as all that follows, and give it back.

    A page that a virtual machine has never used costs ten microseconds of its host, and whether one meets
    such pages depends on what ran before and on how many are asked for at a time.
    """
    with _file(folder) as handle:
        for _ in range(_USED_MEMORY // _AT_A_TIME):
            os.write(handle, bytes(_AT_A_TIME))


@contextmanager
def _syncs_take(seconds: float) -> Iterator[None]:
    """Both sides' fdatasync returns after so long, or as late as the disk itself does."""
    of_the_disk = os.fdatasync

    def stretched(fd: Any) -> None:
        start = time.perf_counter()
        of_the_disk(fd)
        time.sleep(max(0.0, start + seconds - time.perf_counter()))

    if seconds:
        os.fdatasync = stretched
    try:
        yield
    finally:
        os.fdatasync = of_the_disk


@contextmanager
def _file(folder: Path) -> Iterator[int]:
    """An append-only file that is gone afterwards."""
    path = folder / "floor"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL)
    try:
        yield handle
    finally:
        os.close(handle)
        path.unlink()
