"""To put a line into a mapped tail is to have it in the file, and what goes wrong is an error and no signal."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.storage.logs import call, column

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.event_lines import encode_events
from promptarena.definitions.events import Generation
from promptarena.storage import mapped_tail
from promptarena.storage.event_log import Durability, EventLog, LogReader
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.mapped_tail import MappedTail

_PAGE = os.sysconf("SC_PAGESIZE")


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


@pytest.mark.parametrize("size", [0, 10, _PAGE - 1, _PAGE, _PAGE + 1, 3 * _PAGE + 5])
@pytest.mark.parametrize("room", [7, _PAGE, 100_000])
def test_what_is_put_is_in_the_file_at_once_and_nuls_behind_it_until_it_is_full(
    tmp_path: Path, handle: int, size: int, room: int
) -> None:
    content = b"x" * size
    os.write(handle, content)
    tail = MappedTail(handle, size, size + room)
    line = b"a line\n"
    while room - (len(content) - size) >= len(line):
        tail.put(line)
        content += line
        assert tail.size == len(content)
        if len(content) % 1000 < len(line):
            assert (tmp_path / "file").read_bytes() == content.ljust(size + room, b"\0")
    with pytest.raises(ValueError, match="out of range"):
        tail.put(line)
    rest = b"y" * (size + room - len(content))
    tail.put(rest)
    assert (tmp_path / "file").read_bytes() == content + rest
    tail.close()
    assert tail.end() == size + room


def test_it_may_be_closed_when_it_is_empty_and_more_than_once(handle: int) -> None:
    empty = MappedTail(handle, 0, 5000)
    empty.close()
    assert empty.end() == 0
    os.pwrite(handle, b"0123456789", 0)
    tail = MappedTail(handle, 10, 5000)
    tail.put(b"a line\n")
    for _ in range(2):
        tail.close()
        assert tail.end() == 17
    with pytest.raises(ValueError, match="closed"):
        tail.put(b"a line\n")


def test_whoever_puts_while_it_is_closed_is_in_the_file_or_refused(tmp_path: Path, handle: int) -> None:
    size = 0
    put: list[bytes] = []

    def work(name: str, tail: MappedTail) -> None:
        try:
            for at in range(10_000):
                line = f"{name} {at}\n".encode()
                tail.put(line)
                put.append(line)
        except ValueError:
            pass

    for turn in range(60):
        tail = MappedTail(handle, size, size + 200_000)
        threads = [threading.Thread(target=work, args=(f"{turn} {one}", tail)) for one in range(4)]
        for thread in threads:
            thread.start()
        while tail.size - size < turn * 1000:
            pass
        tail.close()
        size = tail.end()
        for thread in threads:
            thread.join()
    found = (tmp_path / "file").read_bytes()
    assert found.rstrip(b"\0") == found[:size]
    assert sorted(found[:size].splitlines(keepends=True)) == sorted(put)
    assert len(put) > 1000


def test_a_file_that_was_cut_off_is_an_error_and_no_signal(handle: int) -> None:
    tail = MappedTail(handle, 0, 50_000)
    tail.put(b"a line\n")
    tail.refresh()
    os.ftruncate(handle, 0)
    with pytest.raises(OSError, match="Bad address"):
        tail.refresh()
    tail.close()
    assert tail.end() == 7


@pytest.mark.parametrize("durability", ["power", "process"])
@pytest.mark.parametrize("madvise", ["new", "old"])
def test_a_log_writes_the_same_with_and_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, madvise: str
) -> None:
    """A kernel older than 5.14 cannot say whether a page can be written to."""
    if madvise == "old":
        monkeypatch.setattr(mapped_tail, "_POPULATE_WRITE", 9_999)
    with EventLog(tmp_path, settings=LogSettings(seal_bytes=50_000)) as log:
        for at in range(400):
            log.append(call(f"{at:04}"), durability, checked=at % 2 == 0)
            if at % 100 == 0:
                log.append([call(f"{at:04}-{one:04}") for one in range(300)], durability)
        mapped = any(b"\0" in path.read_bytes() for path in log.folder.segments())
        assert mapped == (durability == "process" and madvise == "new")
        before = column(log)
    expected = [f"{at:04}" for at in range(400)]
    expected += [f"{at:04}-{one:04}" for at in range(0, 400, 100) for one in range(300)]
    assert before == column(LogReader(tmp_path)) == sorted(expected)
    # Whoever looks into a file that is closed finds lines and nothing else.
    assert not any(b"\0" in path.read_bytes() for path in log.folder.segments())


def test_a_segment_that_was_cut_off_is_left_for_another(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("lost"), "process")
        (path,) = log.folder.segments()
        os.truncate(path, 0)
        # Within a millisecond of the last line nobody looks; then it is found, whoever comes.
        threading.Event().wait(0.002)
        log.append(call("a"), "process")
        log.append(call("b"))
        assert len(log.folder.segments()) == 2
        assert column(log) == ["a", "b"]


def test_a_calendar_before_1970_is_a_calendar(tmp_path: Path) -> None:
    with EventLog(tmp_path, clock=ManualClock(datetime(1969, 7, 20, tzinfo=UTC))) as log:
        for name in "abcd":
            log.append(call(name), "power" if name == "a" else "process", checked=True)
        assert column(log) == ["a", "b", "c", "d"]


def test_a_sync_has_few_nuls_to_write(tmp_path: Path) -> None:
    """What is mapped ahead goes to the disk with whatever waits for it."""
    with EventLog(tmp_path) as log:
        log.append(call("a"), "process")
        (path,) = log.folder.segments()
        assert path.stat().st_size > 100_000
        for at in range(20):
            log.append(call(f"{at}"))
            assert path.stat().st_size < 40_000
            log.append(call(f"{at}"), "process")
            assert path.stat().st_size < 40_000
        assert len(column(log)) == 41


def test_interrupts_neither_lose_what_was_acknowledged_nor_end_the_log(tmp_path: Path) -> None:
    """Ctrl-C at any moment, again and again, among appends of both kinds and segments that are closed."""
    chance = random.Random(1)
    acknowledged: list[str] = []
    interrupts = 0
    armed = False

    def interrupt(*_: object) -> None:
        if armed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with EventLog(tmp_path, settings=LogSettings(seal_bytes=30_000)) as log:
            for at in range(2_000):
                name = f"{at:05}"
                events = [call(name)] * (1 + at % 3)
                try:
                    armed = True
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 2e-3))
                    for _ in range(20):
                        log.append(events, "process", checked=True)
                    if at % 50 == 0:
                        log._writer.write_durably(encode_events(events))
                    armed = False
                except KeyboardInterrupt:
                    armed = False
                    interrupts += 1
                else:
                    acknowledged.append(name)
            found = Counter(column(log))
            assert [name for name in acknowledged if found[name] == 0] == []
            assert log.counts().refused == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupts > 20
    assert len(acknowledged) > 100


def test_threads_lose_nothing_while_segments_are_closed_and_disks_are_asked(tmp_path: Path) -> None:
    """All ways at once: put without a lock, written, synced, closed by size and by another thread."""
    stop = threading.Event()
    with EventLog(tmp_path, settings=LogSettings(seal_bytes=30_000)) as log:

        def hurry(name: int) -> None:
            for at in range(1_500):
                log.append(call(f"{name}-{at:05}"), "process", checked=True)

        def take_time(name: int) -> None:
            for at in range(100):
                log.append([call(f"{name}-{at:05}-{one}") for one in range(3)], "power", checked=True)

        def close() -> None:
            while not stop.wait(0.003):
                log._writer.rotate()

        threads = [threading.Thread(target=hurry, args=(name,)) for name in range(4)]
        threads += [threading.Thread(target=take_time, args=(name,)) for name in range(4, 6)]
        closer = threading.Thread(target=close)
        for thread in (*threads, closer):
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        closer.join()
        expected = [f"{name}-{at:05}" for name in range(4) for at in range(1_500)]
        expected += [f"{name}-{at:05}-{one}" for name in (4, 5) for at in range(100) for one in range(3)]
        assert column(log) == sorted(expected)
        assert log.counts().torn == log.counts().refused == 0
        assert len(log.folder.segments()) > 10
        calls = [one for one in log.snapshot().tail["generation"] if isinstance(one, Generation)]
        for name in range(4):
            order = [one.request_id for one in calls if one.request_id.startswith(f"{name}-")]
            assert order == sorted(order)
        log.seal()
        assert column(log) == sorted(expected)
