from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.event_lines import MAX_EVENT_BYTES, EventError
from promptarena.definitions.events import Content, Event, Generation
from promptarena.errors import StorageError
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.event_log import Durability, EventLog, LogReader
from promptarena.storage.log_folder import LogSettings

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _call(name: str) -> Generation:
    return Generation(ts=_NOW, request_id=name, feature="f")


def _requests(root: Path) -> list[str]:
    """Read as another process would: from the folder alone."""
    tail = LogReader(root).snapshot().tail["generation"]
    return [event.request_id for event in tail if isinstance(event, Generation)]


@pytest.mark.parametrize("durability", ["power", "process"])
def test_what_was_appended_is_there_for_another_reader_at_once(
    tmp_path: Path, durability: Durability
) -> None:
    with EventLog(tmp_path) as log:
        log.append(_call("a"), durability)
        assert _requests(tmp_path) == ["a"]
        log.append([_call("b"), _call("c")], durability)
        assert _requests(tmp_path) == ["a", "b", "c"]
        log.append([], durability)
        assert _requests(tmp_path) == ["a", "b", "c"]


def test_received_at_is_the_logs_and_not_the_senders(tmp_path: Path) -> None:
    clock = ManualClock(_NOW)
    with EventLog(tmp_path, clock=clock) as log:
        forged = Generation(ts=_NOW, request_id="a", feature="f", received_at=_NOW - timedelta(days=400))
        log.append(forged)
        clock.advance(timedelta(minutes=1))
        log.append(_call("b"))
        received = [event.received_at for event in log.snapshot().tail["generation"]]
    assert received == [_NOW, _NOW + timedelta(minutes=1)]


def test_writes_of_one_millisecond_share_a_receipt_whichever_way_the_clock_goes(tmp_path: Path) -> None:
    clock = ManualClock(_NOW)
    late, early = timedelta(microseconds=999), timedelta(seconds=-1)
    with EventLog(tmp_path, clock=clock) as log:
        for moved in (timedelta(0), late, timedelta(milliseconds=1), early):
            clock.set(_NOW + moved)
            log.append(_call("a"), "process")
        received = {event.received_at for event in log.snapshot().tail["generation"]}
        [segment] = log.folder.segments()
        assert segment.read_bytes().count(b'{"kind":"receipt"') == 3
    assert received == {_NOW, _NOW + timedelta(milliseconds=1), _NOW + early}


def test_many_threads_and_tasks_that_wait_all_get_what_they_were_promised(tmp_path: Path) -> None:
    with EventLog(tmp_path, settings=LogSettings(seal_bytes=20_000)) as log:

        def work(name: int) -> None:
            for at in range(20):
                log.append(_call(f"thread-{name}-{at}"), "power" if at % 3 else "process")

        async def task(name: int) -> None:
            for at in range(20):
                await log.append_async(_call(f"task-{name}-{at}"), "power" if at % 3 else "process")

        async def tasks() -> None:
            await asyncio.gather(*(task(name) for name in range(40)))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        asyncio.run(tasks())
        for thread in threads:
            thread.join()
        expected = {f"thread-{name}-{at}" for name in range(16) for at in range(20)}
        expected |= {f"task-{name}-{at}" for name in range(40) for at in range(20)}
        found = _requests(tmp_path)
        assert len(found) == len(expected)
        assert set(found) == expected
        assert len(log.folder.segments()) > 1


def test_a_cancelled_wait_neither_takes_the_event_back_nor_disturbs_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        waits = [log.append_async(_call(str(name))) for name in range(5)]
        waits[2].cancel()
        results = await asyncio.gather(*waits, return_exceptions=True)
        assert [result for result in results if result is None] == [None] * 4
        await log.append_async(_call("last"))

    with EventLog(tmp_path) as log:
        asyncio.run(main())
        assert set(_requests(tmp_path)) == {"0", "1", "2", "3", "4", "last"}


def test_an_event_that_cannot_be_encoded_after_all_is_refused_alone(tmp_path: Path) -> None:
    unwritable = Generation(ts=_NOW, request_id="unwritable", feature="f", params={"seed": object()})
    long = Generation(ts=_NOW, request_id="long", feature="f", error="x" * MAX_EVENT_BYTES)

    async def main() -> None:
        good = [_call(str(name)) for name in range(3)]
        waits = [log.append_async(event, checked=True) for event in (good[0], unwritable, good[1], long)]
        results = await asyncio.gather(
            *waits, log.append_async(good[2:], checked=True), return_exceptions=True
        )
        assert [type(result) for result in results] == [
            type(None),
            EventError,
            type(None),
            EventError,
            type(None),
        ]
        assert "(params): this cannot be written as JSON" in str(results[1])
        assert "bytes long" in str(results[3])
        with pytest.raises(EventError):
            await log.append_async(unwritable, checked=True)

    with EventLog(tmp_path) as log:
        asyncio.run(main())
        assert sorted(_requests(tmp_path)) == ["0", "1", "2"]


def test_what_is_about_the_erased_is_dropped_however_it_comes(tmp_path: Path) -> None:
    async def main() -> None:
        for durability in ("power", "process"):
            for event in (_call("erased"), _call("kept")):
                await log.append_async(event, durability, checked=True)
                log.append(event, durability, checked=True)

    with EventLog(tmp_path) as log, EventLog(tmp_path) as another_process:
        log.append(_call("before"), checked=True)
        another_process.erase("request", "erased")
        asyncio.run(main())
        assert log.dropped.erased == 4
        assert set(_requests(tmp_path)) == {"before", "kept"}


def test_a_batch_with_one_bad_event_is_refused_whole(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        bad = Generation(ts=_NOW, request_id="b", feature="f", input_tokens=-1)
        for durability in ("power", "process"):
            with pytest.raises(EventError, match="input_tokens"):
                log.append([_call("a"), bad], durability)
        not_an_event: list[Event] = [_call("a"), {"kind": "generation"}]  # type: ignore[list-item]
        with pytest.raises(EventError, match="dict is not an event"):
            log.append(not_an_event)
        assert _requests(tmp_path) == []


def test_a_segment_is_closed_at_its_age_and_at_its_size(tmp_path: Path) -> None:
    clock = ManualClock(_NOW)
    with EventLog(tmp_path, clock=clock, settings=LogSettings(seal_after_s=30, seal_bytes=2_000)) as log:
        log.append(_call("a"))
        clock.advance(timedelta(seconds=29))
        log.append(_call("b"), "process")
        assert len(log.folder.segments()) == 1
        clock.advance(timedelta(seconds=1))
        log.append(_call("c"), "process")
        assert len(log.folder.segments()) == 2
        log.append([_call(str(at)) for at in range(30)])
        log.append(_call("d"))
        assert len(log.folder.segments()) == 3


def test_a_change_of_the_calendar_closes_no_segment(tmp_path: Path) -> None:
    clock = ManualClock(_NOW)
    with EventLog(tmp_path, clock=clock) as log:
        log.append(_call("a"))
        clock.set(_NOW + timedelta(days=365))
        log.append(_call("b"))
        assert len(log.folder.segments()) == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_writes_to_a_segment_of_its_own(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(_call("parent"), "process")
        child = os.fork()
        if child == 0:
            try:
                log.append(_call("child"))
                log.append(_call("child-2"), "process")
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        log.append(_call("parent-2"), "process")
        assert set(_requests(tmp_path)) == {"parent", "parent-2", "child", "child-2"}
        assert len(log.folder.segments()) == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_a_batch_is_under_way_has_no_part_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fdatasync, entered, answers = os.fdatasync, threading.Event(), threading.Event()
    parent = os.getpid()

    def held_up(handle: int) -> None:
        if os.getpid() == parent:
            entered.set()
            answers.wait()
        fdatasync(handle)

    monkeypatch.setattr(os, "fdatasync", held_up)

    async def main() -> None:
        under_way = log.append_async(_call("under way"), checked=True)
        await asyncio.to_thread(entered.wait)
        waiting = log.append_async(_call("waiting"), checked=True)
        child = os.fork()
        if child == 0:
            try:
                log.append(_call("child"))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        answers.set()
        await asyncio.gather(under_way, waiting)

    with EventLog(tmp_path) as log:
        asyncio.run(main())
        assert sorted(_requests(tmp_path)) == ["child", "under way", "waiting"]


def test_content_is_sampled_by_request_and_redacted_before_it_is_written(tmp_path: Path) -> None:
    said = [Content(ts=_NOW, request_id=str(at), input=f"ann{at}@example.org") for at in range(400)]
    with EventLog(tmp_path, content=ContentPolicy(sample=0.25)) as log:
        log.append(said)
        kept = log.snapshot().tail["content"]
        assert 60 < len(kept) < 140
        assert log.dropped.unsampled == 400 - len(kept)
        log.append([Content(ts=_NOW, request_id=one.request_id, output="x") for one in said])
        requests = [one.request_id for one in log.snapshot().tail["content"] if isinstance(one, Content)]
        assert sorted(requests) == sorted([one.request_id for one in kept if isinstance(one, Content)] * 2)
    assert b"example.org" not in b"".join(path.read_bytes() for path in log.folder.segments())


def test_without_a_policy_no_content_is_kept(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append([_call("a"), Content(ts=_NOW, request_id="a", input="secret")])
        snapshot = log.snapshot()
    assert (len(snapshot.tail["generation"]), len(snapshot.tail["content"])) == (1, 0)


def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    log.close()
    with pytest.raises(StorageError, match="closed"):
        log.append(_call("a"))


def test_appending_loads_neither_arrow_nor_an_engine(tmp_path: Path) -> None:
    program = f"""
import sys
from datetime import datetime, UTC
from pathlib import Path
from promptarena.definitions.events import Generation
from promptarena.storage.event_log import EventLog
with EventLog(Path({str(tmp_path)!r})) as log:
    log.append(Generation(ts=datetime.now(UTC), request_id="a", feature="f"))
print([name for name in ("pyarrow", "duckdb", "ibis", "numpy", "pydantic") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
