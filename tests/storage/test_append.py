from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import msgspec
import pytest

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.event_lines import MAX_EVENT_BYTES, EventError, decode_events, encode_events
from promptarena.definitions.events import Content, Event, Generation
from promptarena.errors import StorageError
from promptarena.storage import group_commit
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.event_log import Durability, EventLog, LogReader
from promptarena.storage.group_commit import GroupCommit
from promptarena.storage.log_folder import LogSettings

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _call(name: str) -> Generation:
    return Generation(ts=_NOW, request_id=name, feature="f")


class _Disk:
    """Answers no write before it is told to."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.entered, self.answers = threading.Event(), threading.Event()

    def write(self, lines: bytes) -> None:
        self.writes.append(lines)
        self.entered.set()
        self.answers.wait()

    def requests(self) -> list[list[str]]:
        """Of every write."""
        return [
            [event.request_id for event in decode_events(lines) if isinstance(event, Generation)]
            for lines in self.writes
        ]


async def _wait_for(commit: GroupCommit, name: str) -> None:
    await commit.append_async(_call(name), asyncio.get_running_loop())


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


def test_those_who_wait_share_one_write() -> None:
    writes: list[bytes] = []
    entered, release = threading.Event(), threading.Event()

    def write(lines: bytes) -> None:
        writes.append(lines)
        entered.set()
        release.wait()

    commit = GroupCommit(write)
    first = threading.Thread(target=commit.append, args=(b"0\n",))
    first.start()
    entered.wait()
    rest = [threading.Thread(target=commit.append, args=(b"1\n",)) for _ in range(50)]
    for thread in rest:
        thread.start()
    while commit._batch is None or commit._batch.waiting < 50:
        pass
    release.set()
    for thread in [first, *rest]:
        thread.join()
    commit.close()
    assert writes == [b"0\n", b"1\n" * 50]


def test_nobody_is_released_before_the_write_has_returned() -> None:
    release = threading.Event()

    def write(_: bytes) -> None:
        release.wait()

    commit = GroupCommit(write)
    waiting = threading.Thread(target=commit.append, args=(b"0\n",))
    waiting.start()
    waiting.join(timeout=0.1)
    assert waiting.is_alive()
    release.set()
    waiting.join()
    commit.close()


def test_a_failed_write_fails_those_who_waited_for_it_and_nobody_else() -> None:
    broken = True

    def write(_: bytes) -> None:
        if broken:
            raise StorageError("no")

    async def main() -> None:
        nonlocal broken
        loop = asyncio.get_running_loop()
        results = await asyncio.gather(
            *(commit.append_async(_call("x"), loop) for _ in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [StorageError] * 3
        assert len({id(result) for result in results}) == 3
        broken = False
        await commit.append_async(_call("y"), loop)

    commit = GroupCommit(write)
    asyncio.run(main())
    commit.close()


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


def test_a_task_that_is_cancelled_ends_at_once_though_the_disk_hangs() -> None:
    disk = _Disk()
    commit = GroupCommit(disk.write)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = commit.append_async(_call("first"), loop)
        await asyncio.to_thread(disk.entered.wait)
        tasks = [asyncio.ensure_future(_wait_for(commit, str(name))) for name in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_wait_for(commit, "impatient"), 0.01)
        assert not first.done()
        disk.answers.set()
        await asyncio.gather(first, tasks[0], tasks[2])

    asyncio.run(main())
    commit.close()
    assert disk.requests() == [["first"], ["0", "1", "2", "impatient"]]


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


def test_a_checked_event_is_encoded_when_the_loops_turn_ends_and_any_other_at_once() -> None:
    """What `append_async` says: whoever changes what an event holds meanwhile changes what is written."""
    disk = _Disk()

    async def main(root: Path) -> None:
        with EventLog(root) as log:
            log._commit = commit = GroupCommit(disk.write)
            first = log.append_async(_call("first"))
            await asyncio.to_thread(disk.entered.wait)
            params: list[dict[str, object]] = [{"seed": 1}, {"seed": 1}, {"seed": 1}]
            events = [
                Generation(ts=_NOW, request_id=str(at), feature="f", params=held)
                for at, held in enumerate(params)
            ]
            waits = [
                log.append_async(events[0], checked=True),
                log.append_async(events[1]),
                log.append_async(events[2:], checked=True),
            ]
            for held in params:
                held["seed"] = 2
            disk.answers.set()
            await asyncio.gather(first, *waits)
            commit.close()

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
    written = [event for event in decode_events(disk.writes[1]) if isinstance(event, Generation)]
    # In the order in which they were handed over, too.
    assert [(event.request_id, event.params) for event in written] == [
        ("0", {"seed": 2}),
        ("1", {"seed": 1}),
        ("2", {"seed": 1}),
    ]


def test_loops_of_several_threads_and_one_that_was_closed_share_a_batch() -> None:
    disk = _Disk()
    commit = GroupCommit(disk.write)
    first = threading.Thread(target=commit.append, args=(encode_events([_call("first")]),))
    first.start()
    disk.entered.wait()

    async def does_not_wait() -> None:
        commit.append_async(_call("gone"), asyncio.get_running_loop())

    asyncio.run(does_not_wait())
    loops = [
        threading.Thread(target=lambda name=name: asyncio.run(_wait_for(commit, name)))
        for name in ("a", "b", "c")
    ]
    for thread in loops:
        thread.start()
    while commit._batch is None or commit._batch.waiting < 4:
        pass
    disk.answers.set()
    for thread in [first, *loops]:
        thread.join()
    commit.close()
    assert [sorted(batch) for batch in disk.requests()] == [["first"], ["a", "b", "c", "gone"]]


def test_what_the_tasks_of_a_loop_append_in_one_turn_shares_the_first_batch_already() -> None:
    disk = _Disk()
    disk.answers.set()
    commit = GroupCommit(disk.write)

    async def main() -> None:
        await asyncio.gather(*(_wait_for(commit, str(name)) for name in range(20)))

    asyncio.run(main())
    commit.close()
    assert [len(requests) for requests in disk.requests()] == [20]


def test_what_was_appended_in_a_turn_that_never_ended_is_committed_on_close() -> None:
    disk = _Disk()
    disk.answers.set()
    commit = GroupCommit(disk.write)
    loop = asyncio.new_event_loop()

    def appends_and_ends_the_loop() -> None:
        commit.append_async(_call("last"), loop)
        loop.stop()

    loop.call_soon(appends_and_ends_the_loop)
    loop.run_forever()
    assert not disk.writes
    commit.close()
    loop.close()
    assert disk.requests() == [["last"]]


def test_a_log_closed_by_another_thread_commits_what_was_appended_before_and_after() -> None:
    disk = _Disk()
    disk.answers.set()
    commit = GroupCommit(disk.write)
    appended, closed = threading.Event(), threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = commit.append_async(_call("before"), loop)
        appended.set()
        closed.wait()
        assert disk.requests() == [["before"]]
        await asyncio.gather(before, commit.append_async(_call("after"), loop))

    tasks = threading.Thread(target=asyncio.run, args=(main(),))
    tasks.start()
    appended.wait()
    commit.close()
    closed.set()
    tasks.join()
    commit.close()
    assert disk.requests() == [["before"], ["after"]]


def test_loops_of_several_threads_never_lose_or_mix_up_what_their_tasks_wait_for() -> None:
    disk = _Disk()
    disk.answers.set()
    commit = GroupCommit(disk.write)
    refused: list[str] = []

    async def task(name: str) -> None:
        for at in range(50):
            bad = at % 10 == 3
            event = (
                _call(f"{name}-{at}")
                if not bad
                else msgspec.structs.replace(_call(name), params={"seed": object()})
            )
            try:
                await commit.append_async(event, asyncio.get_running_loop())
            except EventError:
                refused.append(f"{name}-{at}")

    async def tasks(name: int) -> None:
        await asyncio.gather(*(task(f"{name}-{at}") for at in range(8)))

    loops = [threading.Thread(target=lambda name=name: asyncio.run(tasks(name))) for name in range(6)]
    for thread in loops:
        thread.start()
    for thread in loops:
        thread.join()
    commit.close()
    every = {f"{loop}-{task}-{at}" for loop in range(6) for task in range(8) for at in range(50)}
    written = [request for requests in disk.requests() for request in requests]
    assert sorted(written) == sorted(every - set(refused))
    assert sorted(refused) == sorted(name for name in every if int(name.rpartition("-")[2]) % 10 == 3)


def test_whatever_waits_for_an_append_is_called_and_one_that_fails_is_told_to_the_loop() -> None:
    commit = GroupCommit(lambda _: None)
    called: list[str] = []
    told: list[object] = []

    def fails(_: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        waits = [commit.append_async(_call(str(name)), loop) for name in range(4)]
        waits[0].add_done_callback(fails)
        waits[1].add_done_callback(lambda _: called.append("one"))
        waits[2].add_done_callback(lambda _: called.append("of"))
        waits[2].add_done_callback(lambda _: called.append("two"))
        await waits[3]
        await asyncio.sleep(0)

    asyncio.run(main())
    commit.close()
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert called == ["one", "of", "two"]


def test_a_task_that_ends_the_loop_does_not_keep_those_behind_it_waiting() -> None:
    commit = GroupCommit(lambda _: None)
    loop = asyncio.new_event_loop()

    async def leaves() -> None:
        await _wait_for(commit, "leaves")
        raise KeyboardInterrupt

    tasks = [loop.create_task(task) for task in (_wait_for(commit, "a"), leaves(), _wait_for(commit, "b"))]
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert [task.done() for task in tasks] == [True, True, False]
    loop.run_until_complete(tasks[2])
    with pytest.raises(KeyboardInterrupt):
        tasks[1].result()
    loop.close()
    commit.close()


def test_a_turns_end_that_is_interrupted_is_made_up_for_when_the_loop_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As by the handler of a signal that raises."""
    disk = _Disk()
    disk.answers.set()
    commit = GroupCommit(disk.write)
    loop = asyncio.new_event_loop()
    task = loop.create_task(_wait_for(commit, "accepted"))

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(group_commit, "encode_entries", interrupted)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
    loop.run_until_complete(task)
    loop.close()
    commit.close()
    assert disk.requests() == [["accepted"]]


def test_a_thread_whose_beginning_was_interrupted_does_not_keep_the_next_from_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = GroupCommit(lambda _: None)
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            commit.append(b"{}\n")
    commit.append(b"{}\n")
    commit.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "promptarena-commit"]


class _Zone(tzinfo):
    """Code of somebody else's, which runs while an event is encoded."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action

    def utcoffset(self, _: datetime | None) -> timedelta:
        self._action()
        return timedelta(0)

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        return "somewhere"


def test_a_time_zone_that_fails_refuses_its_event_and_one_that_appends_holds_up_nobody() -> None:
    disk = _Disk()
    disk.answers.set()
    commit = GroupCommit(disk.write)
    appended: list[asyncio.Future[None]] = []

    def fails() -> None:
        raise KeyError("no such zone")

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def appends() -> None:
            if not appended:
                appended.append(commit.append_async(_call("within"), loop))

        zones = {"failing": _Zone(fails), "appending": _Zone(appends)}
        events = [
            Generation(ts=_NOW.replace(tzinfo=zones.get(name, UTC)), request_id=name, feature="f")
            for name in ("failing", "appending", "plain")
        ]
        failing, *others = await asyncio.gather(
            *(commit.append_async(event, loop) for event in events), return_exceptions=True
        )
        assert isinstance(failing, EventError)
        assert "no such zone" in str(failing)
        assert others == [None, None]
        await appended[0]

    asyncio.run(main())
    commit.close()
    written = [request for requests in disk.requests() for request in requests]
    assert sorted(written) == ["appending", "plain", "within"]


def test_each_task_goes_on_in_the_context_that_is_its_own() -> None:
    commit = GroupCommit(lambda _: None)
    request: ContextVar[str] = ContextVar("request")

    async def task(name: str) -> None:
        request.set(name)
        for _ in range(3):
            await _wait_for(commit, name)
            assert request.get() == name
            current = asyncio.current_task()
            assert current is not None
            assert current.get_name() == name

    async def main() -> None:
        await asyncio.gather(*(asyncio.create_task(task(str(at)), name=str(at)) for at in range(20)))

    asyncio.run(main())
    commit.close()


def test_an_append_fails_while_no_thread_can_be_begun_and_the_next_one_begins_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = GroupCommit(lambda _: None)

    def cannot(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", cannot)
        with pytest.raises(StorageError, match="can't start new thread"):
            commit.append(b"{}\n")
        with pytest.raises(StorageError, match="can't start new thread"):
            asyncio.run(_wait_for(commit, "refused"))
    commit.append(b"{}\n")
    asyncio.run(_wait_for(commit, "written"))
    commit.close()


def test_those_who_come_again_a_little_later_share_the_next_batch_too() -> None:
    disk = _Disk()

    def write(lines: bytes) -> None:
        disk.write(lines)
        time.sleep(0.2)

    commit = GroupCommit(write)

    async def comes_again(name: int) -> None:
        for _ in range(3):
            await _wait_for(commit, str(name))
            await asyncio.sleep(0.005 * (name % 2))

    async def main() -> None:
        first = commit.append_async(_call("first"), asyncio.get_running_loop())
        await asyncio.to_thread(disk.entered.wait)
        tasks = [asyncio.ensure_future(comes_again(name)) for name in range(20)]
        await asyncio.sleep(0)
        disk.answers.set()
        await asyncio.gather(first, *tasks)

    asyncio.run(main())
    commit.close()
    assert [len(requests) for requests in disk.requests()] == [1, 20, 20, 20]


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
