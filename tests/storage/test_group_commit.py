"""The commit that many share: batches, and the thread that writes them."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from tests.storage.disk import Disk, call, wait_for

from promptarena.definitions.event_lines import encode_events
from promptarena.errors import StorageError
from promptarena.storage.group_commit import GroupCommit


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
            *(commit.append_async(call("x"), loop) for _ in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [StorageError] * 3
        assert len({id(result) for result in results}) == 3
        with pytest.raises(StorageError):
            commit.append(b"{}\n")
        broken = False
        await commit.append_async(call("y"), loop)

    commit = GroupCommit(write)
    asyncio.run(main())
    commit.close()


def test_loops_of_several_threads_and_one_that_was_closed_share_a_batch() -> None:
    disk = Disk()
    commit = GroupCommit(disk.write)
    first = threading.Thread(target=commit.append, args=(encode_events([call("first")]),))
    first.start()
    disk.entered.wait()

    async def does_not_wait() -> None:
        commit.append_async(call("gone"), asyncio.get_running_loop())

    asyncio.run(does_not_wait())
    loops = [
        threading.Thread(target=lambda name=name: asyncio.run(wait_for(commit, name)))
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


def test_a_thread_whose_beginning_was_interrupted_does_not_keep_the_next_from_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = GroupCommit(lambda _: None)
    before = set(threading.enumerate())
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
    begun = set(threading.enumerate()) - before
    for thread in begun:
        thread.join(5)
    assert not any(thread.is_alive() for thread in begun)


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
            asyncio.run(wait_for(commit, "refused"))
    commit.append(b"{}\n")
    asyncio.run(wait_for(commit, "written"))
    commit.close()


def test_those_who_come_again_a_little_later_share_the_next_batch_too() -> None:
    disk = Disk()

    def write(lines: bytes) -> None:
        disk.write(lines)
        time.sleep(0.2)

    commit = GroupCommit(write)

    async def comes_again(name: int) -> None:
        for _ in range(3):
            await wait_for(commit, str(name))
            await asyncio.sleep(0.005 * (name % 2))

    async def main() -> None:
        first = commit.append_async(call("first"), asyncio.get_running_loop())
        await asyncio.to_thread(disk.entered.wait)
        tasks = [asyncio.ensure_future(comes_again(name)) for name in range(20)]
        await asyncio.sleep(0)
        disk.answers.set()
        await asyncio.gather(first, *tasks)

    asyncio.run(main())
    commit.close()
    assert [len(requests) for requests in disk.requests()] == [1, 20, 20, 20]


def test_a_batch_that_stays_smaller_than_the_last_one_is_written_however_quick_the_disk() -> None:
    commit = GroupCommit(lambda _: None)
    ended = threading.Event()

    def append() -> None:
        for at in range(5_000):
            commit._expected, commit._last_write_s = 2, at * 4e-9
            commit.append(b"{}\n")
        ended.set()

    threading.Thread(target=append, daemon=True).start()
    assert ended.wait(30)
    commit.close()
