"""Tasks that wait for a commit: their turns, and how they go on."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.storage.disk import NOW, Disk, call, wait_for

from promptarena.definitions.event_lines import EventError, decode_events, encode_entries, encode_events
from promptarena.definitions.events import Generation
from promptarena.errors import StorageError
from promptarena.storage import group_commit, waiting_tasks
from promptarena.storage.event_log import EventLog
from promptarena.storage.group_commit import GroupCommit


def test_a_task_that_is_cancelled_ends_at_once_though_the_disk_hangs() -> None:
    disk = Disk()
    commit = GroupCommit(disk.write)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = commit.append_async(call("first"), loop)
        await asyncio.to_thread(disk.entered.wait)
        tasks = [asyncio.ensure_future(wait_for(commit, str(name))) for name in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait_for(commit, "impatient"), 0.01)
        assert not first.done()
        disk.answers.set()
        await asyncio.gather(first, tasks[0], tasks[2])

    asyncio.run(main())
    commit.close()
    assert disk.requests() == [["first"], ["0", "1", "2", "impatient"]]


def test_a_checked_event_is_encoded_when_the_loops_turn_ends_and_any_other_at_once() -> None:
    """What `append_async` says: whoever changes what an event holds meanwhile changes what is written."""
    disk = Disk()

    async def main(root: Path) -> None:
        with EventLog(root) as log:
            log._commit = commit = GroupCommit(disk.write)
            first = log.append_async(call("first"))
            await asyncio.to_thread(disk.entered.wait)
            params: list[dict[str, object]] = [{"seed": 1}, {"seed": 1}, {"seed": 1}]
            events = [
                Generation(ts=NOW, request_id=str(at), feature="f", params=held)
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


def test_what_the_tasks_of_a_loop_append_in_one_turn_shares_the_first_batch_already() -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)

    async def main() -> None:
        await asyncio.gather(*(wait_for(commit, str(name)) for name in range(20)))

    asyncio.run(main())
    commit.close()
    assert [len(requests) for requests in disk.requests()] == [20]


def _append_and_end(commit: GroupCommit, loop: asyncio.AbstractEventLoop) -> None:
    """The last append is made in a turn of the loop that never ends."""

    def appends_and_ends() -> None:
        commit.append_async(call("last"), loop)
        loop.stop()

    loop.call_soon(appends_and_ends)
    loop.run_forever()


def test_what_was_appended_in_a_turn_that_never_ended_is_committed_on_close() -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    loop = asyncio.new_event_loop()
    _append_and_end(commit, loop)
    assert not disk.writes
    commit.close()
    loop.close()
    assert disk.requests() == [["last"]]


def test_a_log_closed_by_another_thread_commits_what_was_appended_before_and_after() -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    appended, closed = threading.Event(), threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = commit.append_async(call("before"), loop)
        appended.set()
        closed.wait()
        assert disk.requests() == [["before"]]
        await asyncio.gather(before, commit.append_async(call("after"), loop))

    tasks = threading.Thread(target=asyncio.run, args=(main(),))
    tasks.start()
    appended.wait()
    commit.close()
    closed.set()
    tasks.join()
    commit.close()
    assert disk.requests() == [["before"], ["after"]]


def test_loops_of_several_threads_never_lose_or_mix_up_what_their_taskswait_for() -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    refused: list[str] = []

    async def task(name: str) -> None:
        for at in range(50):
            bad = at % 10 == 3
            event = (
                call(f"{name}-{at}")
                if not bad
                else msgspec.structs.replace(call(name), params={"seed": object()})
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
    written = disk.written()
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
        waits = [commit.append_async(call(str(name)), loop) for name in range(4)]
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
        await wait_for(commit, "leaves")
        raise KeyboardInterrupt

    tasks = [loop.create_task(task) for task in (wait_for(commit, "a"), leaves(), wait_for(commit, "b"))]
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
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    loop = asyncio.new_event_loop()
    task = loop.create_task(wait_for(commit, "accepted"))

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
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    appended: list[asyncio.Future[None]] = []

    def fails() -> None:
        raise KeyError("no such zone")

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def appends() -> None:
            if not appended:
                appended.append(commit.append_async(call("within"), loop))

        zones = {"failing": _Zone(fails), "appending": _Zone(appends)}
        events = [
            Generation(ts=NOW.replace(tzinfo=zones.get(name, UTC)), request_id=name, feature="f")
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
    written = disk.written()
    assert sorted(written) == ["appending", "plain", "within"]


def test_each_task_goes_on_in_the_context_that_is_its_own() -> None:
    commit = GroupCommit(lambda _: None)
    request: ContextVar[str] = ContextVar("request")

    async def task(name: str) -> None:
        request.set(name)
        for _ in range(3):
            await wait_for(commit, name)
            assert request.get() == name
            current = asyncio.current_task()
            assert current is not None
            assert current.get_name() == name

    async def main() -> None:
        await asyncio.gather(*(asyncio.create_task(task(str(at)), name=str(at)) for at in range(20)))

    asyncio.run(main())
    commit.close()


def test_refused_events_are_told_what_is_wrong_with_them_though_nothing_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = GroupCommit(lambda _: None)

    def cannot(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        bad = msgspec.structs.replace(call("bad"), params={"seed": object()})
        waits = [commit.append_async(event, loop) for event in (bad, call("good"))]
        return await asyncio.gather(*waits, return_exceptions=True)

    monkeypatch.setattr(threading.Thread, "start", cannot)
    assert [type(result) for result in asyncio.run(main())] == [EventError, StorageError]


def test_the_turn_of_a_loop_that_was_closed_is_let_go() -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    asyncio.run(wait_for(commit, "first"))
    assert not commit._turns
    loop = asyncio.new_event_loop()
    _append_and_end(commit, loop)
    loop.close()
    commit.close()
    assert not commit._turns
    assert disk.requests() == [["first"], ["last"]]


def test_what_is_handed_over_by_close_as_its_turn_ends_is_written_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    closes = threading.current_thread()
    appended, closing = threading.Event(), threading.Event()

    def slow(entries: list[Generation]) -> object:
        if threading.current_thread() is closes:
            closing.set()
            tasks.join(0.1)  # the turn ends meanwhile
        return encode_entries(entries)

    async def main() -> None:
        wait = commit.append_async(call("once"), asyncio.get_running_loop())
        appended.set()
        closing.wait()
        await wait

    monkeypatch.setattr(group_commit, "encode_entries", slow)
    tasks = threading.Thread(target=asyncio.run, args=(main(),))
    tasks.start()
    appended.wait()
    commit.close()
    tasks.join()
    commit.close()
    assert disk.requests() == [["once"]]


def test_a_close_within_a_close_forgets_nothing_that_was_added_meanwhile() -> None:
    """As by a signal's handler, while another thread's tasks append."""
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    loop = asyncio.new_event_loop()
    closes: list[object] = []

    def closes_again() -> None:
        if not closes:
            closes.append(None)
            commit.close()
            waits.append(commit.append_async(call("meanwhile"), loop))

    event = Generation(ts=NOW.replace(tzinfo=_Zone(closes_again)), request_id="closing", feature="f")
    waits = [commit.append_async(event, loop)]
    commit.close()
    loop.run_until_complete(asyncio.wait(waits, timeout=5))
    assert [wait.done() for wait in waits] == [True, True]
    loop.close()
    commit.close()
    assert set(disk.written()) == {"closing", "meanwhile"}


def test_a_time_zone_may_append_and_wait_and_close_while_its_event_is_encoded() -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    acted: list[object] = []

    def acts() -> None:
        if not acted:
            acted.append(None)
            commit.append(encode_events([call("within")]))
            commit.close()

    async def main() -> None:
        event = Generation(ts=NOW.replace(tzinfo=_Zone(acts)), request_id="zone", feature="f")
        wait = commit.append_async(event, asyncio.get_running_loop())
        commit.close()
        await asyncio.wait_for(wait, 5)

    asyncio.run(main())
    commit.close()
    assert set(disk.written()) == {"within", "zone"}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_in_a_turn_has_no_part_in_it() -> None:
    disk = Disk(answers=True)
    commit = GroupCommit(disk.write)
    loop = asyncio.new_event_loop()
    wait = commit.append_async(call("parent"), loop)
    child = os.fork()
    if child == 0:
        try:
            loop.run_until_complete(asyncio.wait_for(wait_for(commit, "child"), 5))
            commit.close()
            os._exit(0 if disk.requests() == [["child"]] else 2)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    loop.run_until_complete(wait)
    loop.close()
    commit.close()
    assert disk.requests() == [["parent"]]


@pytest.mark.parametrize("before", [True, False])
def test_tasks_whose_settling_is_interrupted_go_on_when_the_loop_does(
    before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a signal's handler that raises, before or after a future is set."""
    commit = GroupCommit(lambda _: None)
    loop = asyncio.new_event_loop()
    tasks = [loop.create_task(wait_for(commit, name)) for name in "abc"]
    put = waiting_tasks._set
    interrupts: list[None] = [None]

    def interrupted(future: asyncio.Future[None], error: BaseException | None) -> None:
        if not interrupts or not before:
            put(future, error)
        if interrupts:
            interrupts.clear()
            raise KeyboardInterrupt

    monkeypatch.setattr(waiting_tasks, "_set", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.run_until_complete(asyncio.wait(tasks, timeout=5))
    assert [task.done() for task in tasks] == [True] * 3
    loop.close()
    commit.close()


def test_a_turn_ends_though_a_signals_handler_takes_its_callback_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = GroupCommit(lambda _: None)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call_soon = loop.call_soon
        handles: list[asyncio.Handle] = []

        def first_is_lost(callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
            handles.append(call_soon(callback, *args, context=context))
            handles[0].cancel()
            return handles[-1]

        with monkeypatch.context() as patched:
            patched.setattr(loop, "call_soon", first_is_lost)
            wait = commit.append_async(call("accepted"), loop)
        await asyncio.wait_for(wait, 5)

    asyncio.run(main())
    commit.close()


def test_a_cancelled_wait_is_no_error_to_the_loop() -> None:
    commit = GroupCommit(lambda _: None)
    told: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context))
        waits = [commit.append_async(call(name), loop) for name in "abc"]
        waits[1].cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        await asyncio.sleep(0)

    asyncio.run(main())
    commit.close()
    assert not told
