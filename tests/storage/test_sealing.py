from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from tests.storage.logs import NOW, call, column, rating, stored

from promptarena.definitions.clock import ManualClock, SystemClock
from promptarena.definitions.events import Exposure
from promptarena.storage.arrow_schema import schema_of
from promptarena.storage.durable_files import lock
from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.housekeeping import Housekeeper
from promptarena.storage.log_folder import LogFolder, LogSettings
from promptarena.storage.manifest import Counts, read_manifest
from promptarena.storage.segment_writer import SegmentWriter


def _exposure() -> Exposure:
    return Exposure(
        ts=NOW,
        experiment="e",
        definition_hash="h",
        stage="ab",
        epoch=0,
        variant="control",
        propensity=0.5,
        unit_kind="user",
        unit_id="u",
        attributes={"age": 3, "vip": True},
        segments={"device": "phone"},
    )


def test_sealing_moves_events_to_parquet_by_kind_and_day_and_readers_see_the_same(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with EventLog(tmp_path, clock=clock) as log:
        log.append([call("a"), rating("csat", "a")])
        clock.advance(timedelta(hours=13))
        log.append(call("b"))
        before = column(log), column(log, "measurement", "target")
        sealed = log.seal()
        assert (column(log), column(log, "measurement", "target")) == before == (["a", "b"], ["a"])
        segments = read_manifest(log.folder).segments
        assert sorted((one.kind, one.day, one.rows, one.compacted) for one in segments) == [
            ("generation", "2026-03-01", 1, False),
            ("generation", "2026-03-02", 1, False),
            ("measurement", "2026-03-01", 1, False),
        ]
        # The lines stay for whoever reads them now.
        assert [path.name for path in log.folder.segments()] == sealed
        assert len(sealed) == 2
        assert log.snapshot().tail["generation"] == []


def test_a_sealed_file_has_the_fixed_columns_sorted_by_id_and_compressed(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append([_exposure() for _ in range(20)][::-1])
        log.seal()
        (segment,) = read_manifest(log.folder).segments
        table = pq.ParquetFile(tmp_path / segment.path).read()
    assert table.schema.equals(schema_of("exposure"))
    ids = table.column("event_id").to_pylist()
    assert ids == sorted(ids)
    assert (segment.min_id, segment.max_id, segment.rows) == (ids[0], ids[-1], 20)
    first = table.to_pylist()[0]
    assert (first["segments"], first["attributes"]) == ([("device", "phone")], '{"age":3,"vip":true}')
    metadata = pq.read_metadata(tmp_path / segment.path)
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_repetitions_within_a_segment_are_dropped_the_first_stays_and_they_are_counted(
    tmp_path: Path,
) -> None:
    first = call("first")
    again = msgspec.structs.replace(first, request_id="changed")
    with EventLog(tmp_path) as log:
        log.append([first, again])
        log.append(first)
        assert column(log) == ["first"]
        assert log.counts().duplicates == 2
        log.seal()
        assert stored(tmp_path) == ["first"]
        assert log.counts().duplicates == 2


_NO_EVENTS = (
    b'{"kind":"generation","ts":"2026-03-01T12:00:00Z","later_field":1}',
    b"\xff\xfe",
    b'{"kind":"unheard-of"}',
)


def test_a_torn_last_line_is_ignored_and_counted(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append([call("a"), call("b")])
    (path,) = log.folder.segments()
    with path.open("ab") as file:
        file.write(b'{"kind":"generation","ts":"2026-03-01T12:0')
    with EventLog(tmp_path) as log:
        assert (column(log), log.counts().torn) == (["a", "b"], 1)
        assert log.seal() == [path.name]
        assert (column(log), log.counts().torn) == (["a", "b"], 1)


@pytest.mark.parametrize("line", _NO_EVENTS)
def test_lines_that_are_no_events_are_counted_and_kept_and_spoil_no_others(
    tmp_path: Path, line: bytes
) -> None:
    path = _with_a_line_between(tmp_path, line)
    with EventLog(tmp_path) as log:
        assert (column(log), log.counts().refused) == (["a", "b"], 1)
        log.seal()
        assert (column(log), log.counts().refused) == (["a", "b"], 1)
    assert (tmp_path / "refused" / path.name).read_bytes() == line + b"\n"


@pytest.mark.parametrize("line", [b"\0" * 40, b'{"kind":"gen\0\0\0\0', b'\0\0\0\0"feature":"f"}'])
def test_what_a_power_cut_left_in_the_middle_is_torn_and_spoils_nothing_once_it_is_sealed(
    tmp_path: Path, line: bytes
) -> None:
    """Until then a reader cannot know whether it is being copied just now."""
    _with_a_line_between(tmp_path, line)
    assert column(LogReader(tmp_path)) == ["a"]
    with EventLog(tmp_path) as log:
        log.seal()
        assert (column(log), log.counts().torn, log.counts().refused) == (["a", "b"], 1, 0)


def test_lines_whose_receipt_a_power_cut_took_are_torn_with_it(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    with EventLog(tmp_path, clock=clock) as log:
        for name in "abc":
            log.append(call(name))
            log.append(call(f"{name} too"))
            clock.advance(timedelta(seconds=5))
    (path,) = log.folder.segments()
    data = path.read_bytes()
    receipt = [at for at in range(len(data)) if data[at:].startswith(b'{"kind":"receipt"')][1]
    path.write_bytes(data[: receipt + 5] + b"\0" * 10 + data[receipt + 15 :])
    with EventLog(tmp_path) as log:
        log.seal()
        assert (column(log), log.counts().torn) == (["a", "a too", "c", "c too"], 3)
        received = {str(at) for at in column(log, name="received_at")}
        assert received == {str(NOW), str(NOW + timedelta(seconds=10))}


def _with_a_line_between(root: Path, line: bytes) -> Path:
    """A dead process's segment: "a", this line, "b", which has a receipt of its own."""
    clock = ManualClock(NOW)
    with EventLog(root, clock=clock) as log:
        log.append(call("a"))
        clock.advance(timedelta(seconds=5))
        log.append(call("b"))
    (path,) = log.folder.segments()
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*whole[:2], line + b"\n", *whole[2:]]))
    return path


@pytest.mark.parametrize("behind", [b"", b"\0" * 5000])
@pytest.mark.parametrize("lost", [slice(10, 60), slice(0, 1), slice(-1, None), slice(0, None)])
def test_a_line_that_was_being_copied_when_its_writer_died_is_torn(
    tmp_path: Path, lost: slice, behind: bytes
) -> None:
    with EventLog(tmp_path) as log:
        log.append([call("a"), call("b")])
    (path,) = log.folder.segments()
    *whole, last = path.read_bytes().splitlines(keepends=True)
    half = bytearray(last)
    half[lost] = b"\0" * len(half[lost])
    path.write_bytes(b"".join([*whole, half]) + behind)
    torn = int(any(half))  # of what was lost whole there is no trace
    with EventLog(tmp_path) as log:
        assert (column(log), log.counts().refused) == (["a"], 0)
        log.seal()
        assert (column(log), log.counts().torn, log.counts().refused) == (["a"], torn, 0)


def test_clocks_that_are_off_lose_nothing_and_are_counted(tmp_path: Path) -> None:
    offsets = {
        "now": timedelta(0),
        "an hour late": timedelta(hours=-1),
        "a year late": timedelta(days=-365),
        "a minute ahead": timedelta(minutes=1),
        "an hour ahead": timedelta(hours=1),
        "a century ahead": timedelta(days=36525),
    }
    with EventLog(tmp_path, clock=ManualClock(NOW)) as log:
        for name, off in offsets.items():
            log.append(msgspec.structs.replace(call(name), ts=NOW + off))
        expected = Counts(late=2, ahead=2)
        assert log.counts() == expected
        log.seal()
        assert log.counts() == expected
        assert column(log) == sorted(offsets)
        assert {one.day for one in read_manifest(log.folder).segments} == {"2026-03-01"}


def test_the_segments_of_the_dead_are_adopted_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    with EventLog(tmp_path) as other, EventLog(tmp_path) as mine:
        other.append(call("living"))
        assert mine.seal() == []
        other._writer.rotate()
        assert len(mine.seal()) == 1
        other.append(call("living still"))
        assert mine.seal() == []
        assert column(mine) == ["living", "living still"]


def test_another_hosts_segment_is_adopted_only_after_lying_still_for_the_grace(tmp_path: Path) -> None:
    """On a network disk a free lock may only mean that locks do not reach across it."""
    clock = ManualClock(NOW)
    folder = LogFolder(tmp_path)
    folder.create()
    away = SegmentWriter(folder, LogSettings(host="far-away"), clock)
    line = b'{"kind":"generation","ts":"2026-03-01T12:00:00Z","event_id":"%d","request_id":"r%d","feature":"f"}\n'
    away.write(line % (1, 1))
    path = folder.segments()[0]
    away.rotate()
    with EventLog(tmp_path, clock=clock) as log:
        assert column(log) == ["r1"]
        assert log.seal() == []
        clock.advance(timedelta(seconds=599))
        assert log.seal() == []
        with path.open("ab") as file:  # it lives, although its lock seems free
            file.write(line % (2, 2))
        clock.advance(timedelta(seconds=599))
        assert log.seal() == []
        clock.advance(timedelta(seconds=599))
        assert log.seal() == []
        os.utime(path)  # as of a file that is appended to within its size, through a mapped tail
        clock.advance(timedelta(seconds=1))
        assert log.seal() == []
        clock.advance(timedelta(seconds=600))
        assert log.seal() == [path.name]
        assert column(log) == ["r1", "r2"]


def test_two_hosts_write_to_one_folder_and_an_event_that_reached_both_counts_once(tmp_path: Path) -> None:
    twice = call("twice")
    with (
        EventLog(tmp_path, settings=LogSettings(host="one")) as one,
        EventLog(tmp_path, settings=LogSettings(host="two")) as two,
    ):
        one.append([call("a"), twice])
        two.append([call("b"), twice])
        assert column(one) == ["a", "b", "twice"]
        assert (len(one.seal()), len(two.seal())) == (1, 1)
        assert column(two) == ["a", "b", "twice"]
        assert one.compact(everything=True) == 1
        assert stored_listed(one) == ["a", "b", "twice"]


def stored_listed(log: LogReader) -> list[object]:
    snapshot = log.snapshot()
    assert all(one.compacted for one in snapshot.manifest.segments)
    return column(snapshot)


def test_sealing_again_after_a_crash_before_the_manifest_changes_nothing_twice(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append([call("a"), call("b")])
        log.seal()
        manifest = log.folder.manifest.read_bytes()
        log.append(call("c"))
        log.seal()
        # As if the process had died after putting the file in place and before listing it.
        log.folder.manifest.write_bytes(manifest)
        assert column(log) == ["a", "b", "c"]
        assert len(log.seal()) == 1
        assert column(log) == ["a", "b", "c"]
        assert len(list(log.folder.sealed_files())) == 2


def test_of_two_who_seal_at_once_one_does(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log.append(call("a"))
        log._writer.rotate()
        (path,) = log.folder.segments()
        with lock(path):
            assert log.seal() == []
        assert log.seal() == [path.name]
        assert log.seal() == []


def test_a_segment_of_nothing_is_sealed_to_nothing(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        path = log.folder.open / log.folder.new_segment_name(LogSettings().host)
        path.touch()
        assert log.seal() == [path.name]
        assert read_manifest(log.folder).segments == ()


def test_half_made_segments_and_the_work_of_the_dead_are_cleared_away(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        half = log.folder.open / ".019c1159-7000-7b3f-8b01-dc250833d03b~dead.jsonl"
        half.touch()
        space = log.folder.work / "019c1159-7000-7b3f-8b01-dc250833d03b"
        space.mkdir()
        (space / "unfinished.parquet").touch()
        owner = space.with_suffix(".lock")
        with lock(owner):
            log.maintain()
            assert space.exists()
        log.maintain()
        assert list(log.folder.work.iterdir()) == []
        assert not half.exists()
        assert list(log.folder.open.iterdir()) == []


def test_lines_that_are_deleted_under_a_reader_make_it_begin_again(tmp_path: Path) -> None:
    """With no grace at all: a reader between the manifest and the lines finds neither old nor new whole."""
    with EventLog(tmp_path, settings=LogSettings(grace_s=0)) as log:
        housekeeper = Housekeeper(log.folder, LogSettings(grace_s=0), SystemClock())
        acknowledged = 0
        done = threading.Event()

        def work() -> None:
            nonlocal acknowledged
            for at in range(30):
                log.append(call(str(at)), "process")
                acknowledged += 1
                log.seal()
                housekeeper.tidy()
            done.set()

        writer = threading.Thread(target=work)
        writer.start()
        readings = 0
        while not done.is_set():
            least = acknowledged
            snapshot = LogReader(tmp_path).snapshot()
            found = sum(one.rows for one in snapshot.manifest.segments) + len(snapshot.tail["generation"])
            assert least <= found <= acknowledged + 1
            readings += 1
        writer.join()
        assert readings > 1
