from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.storage.logs import NOW, call, column, rating, stored

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.event_id import event_id_for
from promptarena.definitions.events import Generation
from promptarena.storage.arrow_schema import schema_of
from promptarena.storage.durable_files import lock
from promptarena.storage.event_log import EventLog
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.manifest import read_manifest


def test_compaction_leaves_one_file_a_day_with_each_event_once_and_the_same_answers(tmp_path: Path) -> None:
    with EventLog(tmp_path, clock=ManualClock(NOW)) as log:
        calls = [call(f"{at:02}") for at in range(40)]
        for start in range(0, 40, 10):
            log.append(calls[max(0, start - 3) : start + 10])
            log.seal()
        before = column(log)
        assert log.compact() == 0  # not due
        assert log.compact(everything=True) == 1
        assert column(log) == before == [f"{at:02}" for at in range(40)]
        assert log.counts().duplicates == 9
        (segment,) = read_manifest(log.folder).segments
        assert (segment.compacted, segment.rows) == (True, 40)
        table = pq.ParquetFile(tmp_path / segment.path).read()
        assert table.schema.remove_metadata().equals(schema_of("generation"))
        ids = table.column("event_id").to_pylist()
        assert ids == sorted(ids)
        assert log.compact(everything=True) == 0


def test_a_day_that_has_passed_and_a_crowded_one_are_due(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with EventLog(tmp_path, clock=clock, settings=LogSettings(merge_at=3)) as log:
        for name in "ab":
            log.append(call(name))
            log.seal()
        assert log.compact() == 0
        log.append(call("c"))
        log.seal()
        assert log.compact() == 1
        log.append(call("d"))
        log.seal()
        assert log.compact() == 0
        clock.advance(timedelta(days=1))
        assert log.compact() == 1
        assert [one.rows for one in read_manifest(log.folder).segments] == [4]


def test_a_repetition_across_midnight_is_found_by_the_time_in_its_id_and_the_first_stays(
    tmp_path: Path,
) -> None:
    clock = ManualClock(NOW)
    first = call("first")
    with EventLog(tmp_path, clock=clock) as log:
        log.append(first)
        log.seal()
        log.compact(everything=True)
        clock.advance(timedelta(days=1))
        log.append([msgspec.structs.replace(first, request_id="again"), call("b")])
        assert column(log) == ["b", "first"]
        log.seal()
        assert column(log) == ["b", "first"]
        log.compact(everything=True)
        assert column(log) == ["b", "first"]
        assert [(one.day, one.rows) for one in read_manifest(log.folder).segments] == [
            ("2026-03-01", 1),
            ("2026-03-02", 1),
        ]


def test_days_can_be_read_alone_and_add_up_even_where_a_repetition_lies_in_two(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    twice = call("twice")
    with EventLog(tmp_path, clock=clock) as log:
        log.append([twice, call("a")])
        log.seal()
        clock.advance(timedelta(days=1))
        log.append([twice, call("b")])
        snapshot = log.snapshot()
        first, second = NOW.date(), NOW.date() + timedelta(days=1)
        assert column(snapshot, until=first) == ["a", "twice"]
        assert column(snapshot, since=second) == ["b"]
        assert column(snapshot, since=first, until=second) == ["a", "b", "twice"]


def test_a_file_of_an_older_version_is_read_with_its_missing_columns_empty(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("a"))
        log.seal()
        (segment,) = read_manifest(log.folder).segments
        path = tmp_path / segment.path
        pq.write_table(pq.ParquetFile(path).read().drop_columns(["warm", "retry_count"]), path)
        log.append(call("b"))
        log.seal()
        assert column(log) == ["a", "b"]
        log.compact(everything=True)
        (segment,) = read_manifest(log.folder).segments
        assert pq.ParquetFile(tmp_path / segment.path).schema_arrow.names == schema_of("generation").names


def test_only_one_process_compacts(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("a"))
        log.seal()
        with lock(log.folder.compaction_lock):
            assert log.compact(everything=True) == 0
        assert log.compact(everything=True) == 1


def test_a_snapshot_reads_on_while_its_files_are_compacted_away(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with EventLog(tmp_path, clock=clock) as log:
        for name in "abc":
            log.append(call(name))
            log.seal()
        old = log.snapshot()
        log.append(call("d"))
        log.seal()
        log.compact(everything=True)
        clock.advance(timedelta(seconds=599))
        log.maintain()
        assert column(old) == ["a", "b", "c"]
        assert len(stored(tmp_path)) == 8
        assert len(log.folder.segments()) == 4
        clock.advance(timedelta(seconds=1))
        log.maintain()
        assert len(stored(tmp_path)) == 4
        assert log.folder.segments() == []
        assert column(log) == ["a", "b", "c", "d"]


def test_what_a_crash_put_in_place_without_listing_it_is_removed(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("a"))
        log.seal()
        (listed,) = log.folder.sealed_files()
        stray = listed.with_name("stray.parquet")
        stray.write_bytes(listed.read_bytes())
        assert column(log) == ["a"]
        log.maintain()
        assert not stray.exists()
        assert listed.exists()


@dataclass
class _Model:
    """The log as a plain dictionary: event id to the request it first came with."""

    events: dict[str, str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def append(self, event: Generation) -> None:
        if event.user_id not in self.erased:
            self.events.setdefault(event.event_id, f"{event.user_id}")

    def erase(self, user: str) -> None:
        self.erased.add(user)
        self.events = {name: owner for name, owner in self.events.items() if owner != user}


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(0, 15), min_size=1, max_size=6)),
        st.tuples(st.sampled_from(["seal", "compact", "maintain", "restart"]), st.just([])),
        st.tuples(st.just("wait"), st.lists(st.sampled_from([20, 700, 50_000]), min_size=1, max_size=1)),
        st.tuples(st.just("erase"), st.lists(st.integers(0, 3), min_size=1, max_size=1)),
    ),
    min_size=4,
    max_size=12,
)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS)
def test_whatever_is_done_to_a_log_it_holds_what_a_dictionary_would(
    steps: list[tuple[str, list[int]]],
) -> None:
    _compare(steps)


@pytest.mark.soak
@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS)
def test_whatever_is_done_to_a_log_at_length(steps: list[tuple[str, list[int]]]) -> None:
    _compare(steps)


def _compare(steps: list[tuple[str, list[int]]]) -> None:
    model = _Model()
    clock = ManualClock(NOW)
    with TemporaryDirectory() as folder:
        log = EventLog(Path(folder), clock=clock)
        for step, numbers in steps:
            if step == "append":
                events = [
                    msgspec.structs.replace(
                        call(f"r{number}", user=f"u{number % 4}"), event_id=event_id_for(str(number), NOW)
                    )
                    for number in numbers
                ]
                log.append(events)
                for event in events:
                    model.append(event)
            elif step == "erase":
                log.erase("user", f"u{numbers[0]}")
                model.erase(f"u{numbers[0]}")
            elif step == "wait":
                clock.advance(timedelta(seconds=numbers[0]))
            elif step == "restart":
                log.close()
                log = EventLog(Path(folder), clock=clock)
            elif step == "compact":
                log.compact(everything=True)
            else:
                getattr(log, step)()
            assert column(log, name="event_id") == sorted(model.events)
        log.seal()
        log.compact(everything=True)
        assert column(log, name="event_id") == sorted(model.events)
        assert sum(one.rows for one in read_manifest(log.folder).segments) == len(model.events)
        log.close()


def test_kinds_are_compacted_apart(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append([call("a"), rating("csat", "a"), rating("csat", "b")])
        log.seal()
        assert log.compact(everything=True) == 2
        assert (column(log), column(log, "measurement", "target")) == (["a"], ["a", "b"])
