"""The queue between an application and the log: bounded, patient, honest about what it lost."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime

import pytest

from promptarena.definitions.events import Event, Measurement
from promptarena.errors import DataError, StorageError
from promptarena.sdk.event_queue import EventQueue, QueueLimits

_NOW = datetime(2026, 3, 2, tzinfo=UTC)


def _event(number: int) -> Measurement:
    return Measurement(ts=_NOW, name="n", target_kind="user", target="u", source="code", value=number)


class Disk:
    """Takes events unless it is told to refuse or to wait."""

    def __init__(self) -> None:
        self.got: list[float] = []
        self.refuses: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def write(self, events: list[Event]) -> None:
        self.open.wait(10)
        if self.refuses is not None:
            raise self.refuses
        for event in events:
            assert isinstance(event, Measurement)
            if event.value == -1:
                raise DataError("minus one is no value")
            assert event.value is not None
            self.got.append(event.value)


def _until(condition: object, wait_s: float = 5.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def test_events_of_many_threads_all_arrive_each_thread_in_its_order() -> None:
    disk = Disk()
    queue = EventQueue(disk.write, QueueLimits(events=50, patience_s=10))
    threads = [
        threading.Thread(target=lambda base=base: [queue.put(_event(base + at)) for at in range(500)])
        for base in range(0, 4000, 1000)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.flush() == 0
    assert sorted(disk.got) == [base + at for base in range(0, 4000, 1000) for at in range(500)]
    for base in range(0, 4000, 1000):
        mine = [value for value in disk.got if base <= value < base + 1000]
        assert mine == sorted(mine)
    assert queue.state().written == 2000
    queue.close()


def test_the_writer_needs_no_flush() -> None:
    disk = Disk()
    queue = EventQueue(disk.write)
    queue.put(_event(1))
    _until(lambda: disk.got == [1])
    queue.close()


def test_a_full_queue_makes_the_caller_wait_no_longer_than_said_then_drops_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk()
    disk.open.clear()
    queue = EventQueue(disk.write, QueueLimits(events=3, patience_s=0.1))
    with caplog.at_level(logging.WARNING, "promptarena"):
        for number in range(3):
            assert queue.put(_event(number))
        start = time.monotonic()
        assert not queue.put(_event(3))
        waited = time.monotonic() - start
    assert 0.09 < waited < 2
    assert queue.state().dropped == {"measurement": 1}
    assert "dropped" in caplog.text
    disk.open.set()
    assert queue.flush() == 0
    assert disk.got == [0, 1, 2]
    assert queue.put(_event(4))
    queue.close()
    assert disk.got == [0, 1, 2, 4]


def test_a_caller_that_waits_goes_on_as_soon_as_there_is_room() -> None:
    disk = Disk()
    disk.open.clear()
    queue = EventQueue(disk.write, QueueLimits(events=1, patience_s=30))
    queue.put(_event(0))
    threading.Timer(0.1, disk.open.set).start()
    start = time.monotonic()
    assert queue.put(_event(1))
    assert time.monotonic() - start < 10
    queue.close()
    assert disk.got == [0, 1]


def test_the_queue_is_bounded_in_bytes_too_but_one_large_event_passes() -> None:
    disk = Disk()
    disk.open.clear()
    queue = EventQueue(disk.write, QueueLimits(bytes=1000, patience_s=0))
    assert queue.put(_event(0), size=5000)
    assert not queue.offer(_event(1), size=1)
    disk.open.set()
    assert queue.flush() == 0
    assert queue.offer(_event(2), size=600)
    queue.close()


def test_what_the_disk_refuses_is_kept_and_written_once_later(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    disk.refuses = StorageError("no space left")
    queue = EventQueue(disk.write)
    with caplog.at_level(logging.WARNING, "promptarena"):
        queue.put(_event(1))
        _until(lambda: queue.state().problem is not None)
        assert queue.flush(0.15) == 1
    assert caplog.text.count("kept for now") == 1
    disk.refuses = None
    queue.put(_event(2))
    assert queue.flush() == 0
    assert disk.got == [1, 2]
    assert queue.state().problem is None
    queue.close()


def test_an_event_that_the_log_never_takes_does_not_hold_up_the_rest() -> None:
    disk = Disk()
    disk.open.clear()
    queue = EventQueue(lambda events: disk.write(_sorted(events)))
    for number in (1, -1, 2):
        queue.put(_event(number))
    disk.open.set()
    assert queue.flush() == 0
    # What the refused batch had written before it was refused comes again, under its own event id.
    assert set(disk.got) == {1, 2}
    assert queue.state().dropped == {"measurement": 1}
    assert queue.state().written == 2
    queue.close()


def _sorted(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event.event_id)


def test_a_closed_queue_takes_nothing_and_says_what_it_could_not_write() -> None:
    disk = Disk()
    disk.refuses = StorageError("gone")
    queue = EventQueue(disk.write, QueueLimits(last_flush_s=0.1))
    queue.put(_event(1))
    queue.close()
    assert not queue.put(_event(2))
    queue.close()
    assert queue.state().dropped == {"measurement": 2}
    assert queue.state().waiting == 0
