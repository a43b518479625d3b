from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from tests.storage.logs import NOW, call, column, rating

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.events import Generation
from promptarena.errors import StorageError
from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.snapshot import Snapshot


def _stopped() -> threading.Event:
    stop = threading.Event()
    stop.set()
    return stop


def _since(log: LogReader, snapshot: Snapshot) -> list[str]:
    events = log.follow(after=snapshot, stop=_stopped(), kinds=["generation"])
    return [event.request_id for event in events if isinstance(event, Generation)]


def test_a_follower_gets_what_came_after_its_snapshot_and_nothing_before(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append([call("a"), call("b")])
        log.seal()
        log.append(call("c"))
        snapshot = log.snapshot()
        assert column(snapshot) == ["a", "b", "c"]
        log.append([call("d"), rating("csat", "d")])
        log.seal()
        log.append(call("e"))
        log.compact(everything=True)
        log.append(call("f"), "process")
        assert _since(log, snapshot) == ["d", "e", "f"]


def test_a_follower_gets_a_repetition_once_and_nothing_of_the_erased(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        snapshot = log.snapshot()
        twice = call("twice")
        log.append([twice, call("ann's", user="ann"), twice])
        log.seal()
        log.append(twice)
        log.erase("user", "ann")
        assert _since(log, snapshot) == ["twice"]


def test_a_follower_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("a"))
        (path,) = log.folder.segments()
        whole = path.read_bytes()
        snapshot = log.snapshot()
        log.append(call("b"))
        longer = path.read_bytes()
        path.write_bytes(longer[:-10])
        followed = log.follow(after=snapshot, poll_s=0.001)
        seen: list[object] = []
        reader = threading.Thread(target=lambda: seen.append(next(followed)))
        reader.start()
        reader.join(timeout=0.05)
        assert seen == []
        path.write_bytes(longer)
        reader.join()
        assert isinstance(seen[0], Generation)
        assert (seen[0].request_id, seen[0].received_at is not None) == ("b", True)
        assert len(whole) < len(longer)


def test_a_follower_waits_for_what_is_being_copied_and_misses_nothing_behind_it(tmp_path: Path) -> None:
    """A processor may copy the end of a line, or of several, before their beginning."""
    with EventLog(tmp_path) as log:
        log.append(call("a"), "process")
        (path,) = log.folder.segments()
        snapshot = log.snapshot()
        log.append([call("b"), call("c")], "process")
        final = path.read_bytes()
        line = final.index(b'"request_id":"b"')
        half = final[: line - 30] + b"\0" * 50 + final[line + 20 :]
        path.write_bytes(half)
        followed = log.follow(after=snapshot, poll_s=0.001)
        seen: list[object] = []
        reader = threading.Thread(target=lambda: seen.extend([next(followed), next(followed)]))
        reader.start()
        reader.join(timeout=0.05)
        assert seen == []
        assert column(log) == ["a"]
        with path.open("r+b") as file:
            file.write(final)
        reader.join()
        assert [event.request_id for event in seen if isinstance(event, Generation)] == ["b", "c"]
        assert column(log) == ["a", "b", "c"]


def test_everything_that_threads_write_while_it_is_sealed_and_compacted_is_followed_once(
    tmp_path: Path,
) -> None:
    with EventLog(tmp_path, settings=LogSettings(seal_bytes=4_000)) as log:
        stop = threading.Event()
        seen: list[str] = []
        snapshot = log.snapshot()

        def follow() -> None:
            for event in log.follow(after=snapshot, poll_s=0.001, stop=stop):
                assert isinstance(event, Generation)
                seen.append(event.request_id)

        def write(name: int) -> None:
            for at in range(100):
                log.append(call(f"{name}-{at}"), "process" if at % 2 else "power")

        follower = threading.Thread(target=follow)
        writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
        for thread in [follower, *writers]:
            thread.start()
        for _ in range(3):
            log.seal()
        log.compact(everything=True)
        for thread in writers:
            thread.join()
        stop.set()
        follower.join()
        assert len(seen) == 400
        assert sorted(seen) == column(log)


def test_a_follower_that_fell_behind_by_the_grace_is_told(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with EventLog(tmp_path, clock=clock) as log:
        snapshot = log.snapshot()
        log.append([call("a"), call("b")])
        events = log.follow(after=snapshot, poll_s=0.001)
        next(events)
        clock.advance(timedelta(seconds=600))
        next(events)
        with pytest.raises(StorageError, match="take a new snapshot"):
            next(events)


def test_a_folder_without_a_log_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no log here"):
        LogReader(tmp_path / "nowhere").snapshot()
    assert list(tmp_path.iterdir()) == []
