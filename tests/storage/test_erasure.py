from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path

import ibis
import msgspec
import pyarrow.parquet as pq
import pytest
from tests.storage.logs import NOW, call, column, rating, stored

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.events import EVENT_TYPES, Content, Event, Exposure
from promptarena.errors import StorageError
from promptarena.storage import erased_events
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.durable_files import lock
from promptarena.storage.event_log import EventLog
from promptarena.storage.log_folder import LogFolder
from promptarena.storage.log_relation import events_relation
from promptarena.storage.manifest import read_manifest
from promptarena.storage.tombstones import (
    Identity,
    TombstoneWatch,
    add_tombstones,
    identities,
    read_tombstones,
)


def _exposure(unit_kind: str, unit_id: str, request: str) -> Exposure:
    return Exposure(
        ts=NOW,
        experiment="e",
        definition_hash="h",
        stage="ab",
        epoch=0,
        variant="control",
        propensity=0.5,
        unit_kind=unit_kind,
        unit_id=unit_id,
        request_id=request,
    )


def _of_ann_and_ben() -> list[Event]:
    """Ann's calls a1 and a2 in a conversation of hers, a3 in one she shares with Ben; and Ben's."""
    return [
        call("a1", user="ann", conversation="hers"),
        call("a2", user="ann", conversation="hers"),
        call("a3", user="ann", conversation="both"),
        call("b1", user="ben", conversation="both"),
        call("b2", user="ben", conversation="his"),
        _exposure("conversation", "hers", "a1"),
        _exposure("conversation", "both", "b1"),
        _exposure("user", "ann", "a9"),
        rating("of a request", "a2"),
        rating("of a conversation", "hers", "conversation"),
        rating("of both", "both", "conversation"),
        rating("of a person", "ann", "user"),
        rating("of a request known by exposure only", "a9"),
        rating("of ben", "ben", "user"),
        Content(ts=NOW, request_id="a1", input="my name is Ann"),
        Content(ts=NOW, request_id="b1", input="my name is Ben"),
    ]


_LEFT = {
    "generation": ["b1", "b2"],
    "exposure": ["b1"],
    "measurement": ["of ben", "of both"],
    "content": ["b1"],
}


def _seen(log: EventLog) -> dict[str, list[object]]:
    return {
        "generation": column(log),
        "exposure": column(log, "exposure"),
        "measurement": column(log, "measurement", "name"),
        "content": column(log, "content"),
    }


def _log(root: Path) -> EventLog:
    return EventLog(root, clock=ManualClock(NOW), content=ContentPolicy(sample=1, redact=frozenset()))


@pytest.mark.parametrize("state", ["open", "sealed", "compacted", "mixed"])
def test_after_erasing_a_person_no_reader_meets_anything_of_theirs(tmp_path: Path, state: str) -> None:
    with _log(tmp_path) as log:
        events = _of_ann_and_ben()
        log.append(events[:8] if state == "mixed" else events)
        if state != "open":
            log.seal()
        if state == "compacted":
            log.compact(everything=True)
        if state == "mixed":
            log.append(events[8:])
        log.erase("user", "ann")
        assert _seen(log) == _LEFT
        log.seal()
        assert _seen(log) == _LEFT


def test_compaction_and_grace_remove_the_bytes_of_every_stream(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with EventLog(tmp_path, clock=clock, content=ContentPolicy(sample=1, redact=frozenset())) as log:
        log.append(_of_ann_and_ben())
        log.seal()
        log.compact(everything=True)
        log.append(_of_ann_and_ben())
        log.erase("user", "ann")
        log.seal()
        log.maintain()
        assert _seen(log) == {**_LEFT, **{kind: sorted(found * 2) for kind, found in _LEFT.items()}}
        assert read_manifest(log.folder).hidden == ()
        clock.advance(timedelta(seconds=600))
        log.maintain()
        log.maintain()
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"ann" not in kept
        assert stored(tmp_path, "generation", "user_id") == ["ben"] * 4
        assert stored(tmp_path, "content", "input") == ['"my name is Ben"'] * 2
        assert log.counts().erased == 2 * 10


def test_what_comes_later_about_an_erased_person_is_dropped_and_counted(tmp_path: Path) -> None:
    with _log(tmp_path) as log, _log(tmp_path) as another_process:
        log.append(_of_ann_and_ben())
        log.erase("user", "ann")
        for writer in (log, another_process):
            writer.append(
                [call("a4", user="ann"), rating("late", "a1"), Content(ts=NOW, request_id="a2"), call("c1")]
            )
            assert writer.dropped.erased == 3
        assert column(log) == ["b1", "b2", "c1", "c1"]
        assert {name: found for name, found in _seen(log).items() if name != "generation"} == {
            name: found for name, found in _LEFT.items() if name != "generation"
        }


def test_other_erasures_reach_as_far_as_they_say(tmp_path: Path) -> None:
    with _log(tmp_path) as log:
        log.append(_of_ann_and_ben())
        log.erase("request", "a2")
        assert column(log) == ["a1", "a3", "b1", "b2"]
        log.erase("conversation", "both")
        assert column(log) == ["a1", "b2"]
        assert "of both" not in column(log, "measurement", "name")


def test_erasing_twice_and_erasing_a_stranger_do_no_harm(tmp_path: Path) -> None:
    with _log(tmp_path) as log:
        log.append(_of_ann_and_ben())
        log.seal()
        assert log.erase("user", "stranger") == 0
        assert read_manifest(log.folder).hidden == ()
        assert log.erase("user", "ann") == 10
        assert log.erase("user", "ann") == 10
        assert _seen(log) == _LEFT


def test_the_list_names_nobody_and_its_key_is_the_owners_alone(tmp_path: Path) -> None:
    with _log(tmp_path) as log:
        log.erase("user", "ann@example.org")
        assert b"ann" not in log.folder.tombstones.read_bytes()
        assert log.folder.tombstone_key.stat().st_mode & 0o777 == 0o600
    with _log(tmp_path / "other") as other:
        other.erase("user", "ann@example.org")
        assert other.folder.tombstones.read_bytes() != log.folder.tombstones.read_bytes()


def test_a_torn_entry_of_one_who_died_while_erasing_is_overwritten(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    folder.create()
    add_tombstones(folder, [Identity("user", "a")])
    with folder.tombstones.open("ab") as file:
        file.write(b"0123456789")
    assert read_tombstones(folder).has("user", "a")
    entries = add_tombstones(folder, [Identity("user", "b")])
    assert entries.has("user", "a")
    assert entries.has("user", "b")
    assert len(folder.tombstones.read_text().split()) == 2


def test_a_watch_sees_an_entry_from_the_moment_it_was_added(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    folder.create()
    watch = TombstoneWatch(folder)
    for at in range(20):
        assert not watch.current().has("user", str(at))
        add_tombstones(folder, [Identity("user", str(at))])
        assert watch.current().has("user", str(at))
    watch.close()


def test_a_watch_knows_whether_anybody_was_erased(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    before = TombstoneWatch(folder)
    assert before.nobody()
    add_tombstones(folder, [Identity("user", "ann")])
    after = TombstoneWatch(folder)
    for watch in (before, after):
        assert not watch.nobody()
        assert watch.current().has("user", "ann")
        assert not watch.nobody()
        watch.close()


def test_a_list_that_could_not_be_read_is_read_at_the_next_look(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    watch = TombstoneWatch(folder)
    add_tombstones(folder, [Identity("user", "ann")])
    aside = folder.tombstone_key.rename(tmp_path / "aside")
    for _ in range(2):
        with pytest.raises(StorageError, match="read the key"):
            watch.current()
    aside.rename(folder.tombstone_key)
    assert watch.current().has("user", "ann")
    watch.close()


def test_an_event_being_sealed_while_its_person_is_erased_does_not_slip_through(tmp_path: Path) -> None:
    """Sealers and writers go on under two erasures; the sealed rest is what the erased leave."""
    with _log(tmp_path) as log:
        stop = threading.Event()
        failures: list[Exception] = []

        def seal() -> None:
            try:
                while not stop.is_set():
                    log.seal()
                    log.compact(everything=True)
            except Exception as failure:  # told below
                failures.append(failure)

        def write() -> None:
            at = 0
            while not stop.is_set() and at < 1_000:
                log.append([call(f"u{user}-{at}", user=f"u{user}") for user in range(6)], "process")
                at += 1

        threads = [threading.Thread(target=seal), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        for user in range(2):
            log.erase("user", f"u{user}")
            assert {one for one in column(log, name="user_id") if one == f"u{user}"} == set()
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert set(column(log, name="user_id")) == {"u2", "u3", "u4", "u5"}


@pytest.mark.parametrize("step", ["seal", "compact"])
def test_what_was_prepared_before_an_erasure_is_prepared_again(tmp_path: Path, step: str) -> None:
    with _log(tmp_path) as log:
        log.append([call("a", user="ann"), call("b", user="ben")])
        if step == "compact":
            log.seal()
        clean = {"seal": log.seal, "compact": lambda: log.compact(everything=True)}[step]
        worker = threading.Thread(target=clean)
        with lock(log.folder.manifest_lock):
            worker.start()
            while not list(log.folder.work.glob("*/*.parquet")):
                time.sleep(0.001)
            time.sleep(0.2)  # finished, and waiting for the lock
            add_tombstones(log.folder, [Identity("user", "ann")])
        worker.join()
        rows = [
            pq.read_table(tmp_path / one.path, columns=["user_id"]).column("user_id").to_pylist()
            for one in read_manifest(log.folder).segments
        ]
        assert rows == [["ben"]]


def test_the_engine_and_python_agree_on_what_an_event_is_about(tmp_path: Path) -> None:
    with _log(tmp_path) as log:
        events = [
            *_of_ann_and_ben(),
            msgspec.structs.replace(rating("duel", "b1"), against="b2"),
        ]
        log.append(events)
        log.seal()
        connection = ibis.duckdb.connect()
        snapshot = log.snapshot()
        found = set()
        for kind in EVENT_TYPES:
            relation = events_relation(connection, snapshot.tables(kind))
            about = erased_events.identities_of(relation, kind).to_pyarrow().to_pylist()
            found |= {(one["event_id"], one["about_kind"], one["about_id"]) for one in about}
    assert found == {(event.event_id, who.kind, who.id) for event in events for who in identities(event)}
