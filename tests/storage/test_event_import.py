"""Files become events: each field as it was meant, each row once, and nothing where anything is wrong."""

from __future__ import annotations

import csv
import gzip
import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.event_id import time_of_event_id
from promptarena.definitions.events import Content, Event, Exposure, Generation, Measurement
from promptarena.errors import ArenaError, DataError, UsageError
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.event_filter import FACTS, EventFilter
from promptarena.storage.event_import import MOST_PROBLEMS, Imported, import_events
from promptarena.storage.event_list import newest_events
from promptarena.storage.event_log import EventLog, LogReader
from promptarena.storage.import_fields import ColumnMap, read_column_map

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
ALL = EventFilter((*FACTS, "content"))
RATINGS = {"kind": "measurement", "name": "rating", "target_kind": "user", "source": "human"}
"""What every row of a file of ratings is."""


def into(root: Path, file: Path, said: ColumnMap, content: ContentPolicy | None = None) -> Imported:
    with EventLog(root / "log", content=content) as log:
        return import_events(str(file), said, log)


def events(root: Path) -> list[Event]:
    found = newest_events(LogReader(root / "log").snapshot(), ALL, 100_000)
    return [msgspec.structs.replace(event, received_at=None) for event in reversed(found)]


def written(folder: Path, text: str, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return path


def ratings(folder: Path, rows: Sequence[Sequence[object]], name: str = "ratings.csv") -> Path:
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([("ts", "target", "value"), *rows])
    return folder / name


def refused(root: Path, file: Path, said: ColumnMap) -> tuple[str, ...]:
    """What is said of a file that must not be imported, once it is certain that nothing of it was."""
    with pytest.raises(ArenaError) as caught:
        into(root, file, said)
    assert events(root) == []
    return tuple(map(str, caught.value.problems))


def test_text_becomes_what_each_field_means(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        ts,request_id,feature,latency_ms,turn,stream,params,user_id,error
        2026-03-01T10:00:00Z,007,bot,812.5,3,true,"{""temperature"": 0.3}",42,
        2026-03-01T11:00:00+01:00,008,bot,,4.0,0,,,boom
        1772359202.5,009,bot,1e2,,,,,
        """,
    )
    done = into(tmp_path, file, ColumnMap(constants={"kind": "generation"}))
    assert (done.rows, done.kinds, done.unused) == (3, {"generation": 3}, ())
    found = {event.request_id: event for event in events(tmp_path) if isinstance(event, Generation)}
    first, second, third = (found[name] for name in ("007", "008", "009"))
    assert (first.ts, first.latency_ms, first.turn, first.stream, first.user_id) == (
        NOW,
        812.5,
        3,
        True,
        "42",
    )
    assert (first.params, first.error) == ({"temperature": 0.3}, None)
    assert (second.ts, second.latency_ms, second.turn, second.stream) == (NOW, None, 4, False)
    assert (second.error, second.user_id) == ("boom", None)
    assert (third.ts, third.latency_ms) == (NOW + timedelta(seconds=2.5), 100.0)


def test_columns_are_mapped_set_and_parted(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        when,who,arm,share,device,segments.tier,country
        2026-03-01T10:00:00Z,c-1,treatment,0.5,phone,gold,SE
        """,
    )
    said = read_column_map(
        ["ts=when", "unit_id=who", "variant=arm", "propensity=share", "segments.device=device"],
        [
            "experiment=e",
            "definition_hash=h",
            "stage=ab",
            "epoch=0",
            "unit_kind=conversation",
            "segments.market=north",
        ],
        [],
        "exposure",
        None,
    )
    assert into(tmp_path, file, said).unused == ("country",)
    [event] = events(tmp_path)
    assert isinstance(event, Exposure)
    assert (event.unit_kind, event.unit_id, event.variant, event.propensity, event.epoch) == (
        "conversation",
        "c-1",
        "treatment",
        0.5,
        0,
    )
    assert event.segments == {"device": "phone", "tier": "gold", "market": "north"}


def test_a_set_value_stands_above_a_column_that_happens_to_have_the_name(tmp_path: Path) -> None:
    file = written(tmp_path, "ts,target,value,name\n2026-03-01T10:00:00Z,u1,1,Anna\n")
    into(tmp_path, file, ColumnMap(constants=RATINGS))
    [event] = events(tmp_path)
    assert isinstance(event, Measurement)
    assert event.name == "rating"


def test_times_without_a_zone_are_refused_until_one_is_given(tmp_path: Path) -> None:
    file = ratings(tmp_path, [("2026-07-01 12:00:00", "u1", 1)])
    [problem] = refused(tmp_path, file, ColumnMap(constants=RATINGS))
    assert f"{file}:2 (ts): `2026-07-01 12:00:00` is no `ts`" in problem
    assert "--timezone" in problem
    into(tmp_path, file, ColumnMap(constants=RATINGS, zone=ZoneInfo("Europe/Berlin")))
    assert [event.ts for event in events(tmp_path)] == [datetime(2026, 7, 1, 10, tzinfo=UTC)]


@pytest.mark.parametrize("moment", ["2026-03-01", "1772359202000", "20", "yesterday", "12:00", "NaN", "true"])
def test_what_is_no_moment_is_not_guessed_at(tmp_path: Path, moment: str) -> None:
    file = ratings(tmp_path, [(moment, "u1", 1)])
    [problem] = refused(tmp_path, file, ColumnMap(constants=RATINGS, zone=ZoneInfo("UTC")))
    assert f"{file}:2 (ts): `{moment}`" in problem


@pytest.mark.parametrize("number", ["nan", "inf", "-Infinity", "1_000", "1,5", "0x10", "five", "1e999"])
def test_what_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    file = ratings(tmp_path, [(NOW.isoformat(), "u1", number)])
    [problem] = refused(tmp_path, file, ColumnMap(constants=RATINGS))
    assert f"{file}:2 (value): `{number}` is no `value`" in problem


def test_parquet_keeps_its_types_and_nanoseconds_become_microseconds(tmp_path: Path) -> None:
    table = pa.table(
        {
            "ts": pa.array([NOW.replace(tzinfo=None), None], pa.timestamp("ns")),
            "request_id": pa.array([7, 8], pa.int64()),
            "feature": ["bot", "bot"],
            "cost_usd": pa.array([Decimal("0.25"), None], pa.decimal128(9, 4)),
            "turn": pa.array([2.0, math.nan], pa.float64()),
            "params": pa.array([{"top_p": 0.5, "seed": None}, None]),
        }
    )
    pq.write_table(table.slice(0, 1), tmp_path / "one.parquet")
    pq.write_table(table, tmp_path / "two.parquet")
    said = ColumnMap(constants={"kind": "generation"}, zone=ZoneInfo("UTC"))
    found = refused(tmp_path, tmp_path / "two.parquet", said)
    assert [text.split(": ")[:2] for text in found] == [
        [f"{tmp_path / 'two.parquet'} (ts)", "Row 2"],
        [f"{tmp_path / 'two.parquet'} (turn)", "Row 2"],
    ]
    into(tmp_path, tmp_path / "one.parquet", said)
    [event] = events(tmp_path)
    assert isinstance(event, Generation)
    assert (event.ts, event.request_id, event.cost_usd, event.turn) == (NOW, "7", 0.25, 2)
    assert event.params == {"top_p": 0.5}


def test_a_duckdb_table_is_a_source_too(tmp_path: Path) -> None:
    name = UUID(int=7)
    with duckdb.connect(str(tmp_path / "db.duckdb")) as database:
        database.execute("CREATE TABLE t (ts TIMESTAMPTZ, target UUID, value BOOLEAN)")
        database.execute("INSERT INTO t VALUES (?, ?, true)", [NOW, str(name)])
    with EventLog(tmp_path / "log") as log:
        import_events(f"{tmp_path / 'db.duckdb'}::t", ColumnMap(constants=RATINGS), log)
    [event] = events(tmp_path)
    assert isinstance(event, Measurement)
    assert (event.ts, event.target, event.value) == (NOW, str(name), 1.0)


@pytest.mark.parametrize("name", ["events.jsonl", "events.ndjson.gz"])
def test_events_that_were_listed_as_json_lines_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    sent: list[Event] = [
        Exposure(
            ts=NOW,
            experiment="e",
            definition_hash="h",
            stage="ab",
            epoch=0,
            variant="control",
            propensity=0.5,
            unit_kind="user",
            unit_id="u1",
            attributes={"age": 31, "vip": True},
            segments={"tier": "gold"},
        ),
        Generation(ts=NOW + timedelta(seconds=1), request_id="r1", feature="bot", params={"n": [1, None]}),
        Measurement(
            ts=NOW + timedelta(seconds=2), name="n", target_kind="user", target="u1", source="code", value=2.0
        ),
        Content(ts=NOW + timedelta(seconds=3), request_id="r1", input=[{"role": "user"}], output="x\ny"),
    ]
    with EventLog(tmp_path / "first" / "log", content=ContentPolicy(1.0)) as log:
        log.append(sent)
    stored = newest_events(
        LogReader(tmp_path / "first" / "log").snapshot(),
        ALL,
        10,
    )
    data = b"".join(msgspec.json.encode(event) + b"\n\n" for event in stored)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    done = into(tmp_path, tmp_path / name, ColumnMap(), ContentPolicy(1.0))
    assert done.kinds == {"content": 1, "exposure": 1, "generation": 1, "measurement": 1}
    assert events(tmp_path) == sent


def test_importing_twice_counts_once_also_when_the_file_has_grown(tmp_path: Path) -> None:
    rows: list[tuple[object, ...]] = [
        ((NOW + timedelta(seconds=i)).isoformat(), f"u{i}", i) for i in range(50)
    ]
    said = ColumnMap(constants=RATINGS)
    into(tmp_path, ratings(tmp_path, rows[:30]), said)
    before = events(tmp_path)
    into(tmp_path, ratings(tmp_path, rows[:30]), said)
    assert events(tmp_path) == before
    into(tmp_path, ratings(tmp_path, rows[::-1]), said)  # in another order, too
    after = events(tmp_path)
    assert [event for event in after if event in before] == before
    assert len(after) == 50
    assert all(time_of_event_id(event.event_id) == event.ts for event in after)


def test_one_row_may_become_several_measurements(tmp_path: Path) -> None:
    file = written(tmp_path, "ts,target,order,resolved,stars\n2026-03-01T10:00:00Z,u1,17,1,1\n")
    for key in ((), ("order",)):
        for name, column in (("resolved", "resolved"), ("rating", "stars")):
            into(
                tmp_path / "-".join(key),
                file,
                ColumnMap({"value": column}, {**RATINGS, "name": name}, key),
            )
        assert len(events(tmp_path / "-".join(key))) == 2


def test_a_key_names_an_event_whatever_else_its_row_says(tmp_path: Path) -> None:
    first = written(
        tmp_path, "ts,target,value,id\n2026-03-01T10:00:00Z,u1,1,a\n2026-03-01T10:00:00Z,u1,1,b\n"
    )
    said = ColumnMap(constants=RATINGS, key=("id",))
    into(tmp_path, first, said)
    assert len(events(tmp_path)) == 2
    again = written(tmp_path, "ts,target,value,id,new\n2026-03-01T10:00:00Z,u1,5,a,x\n", "again.csv")
    into(tmp_path, again, said)
    assert [event.value for event in events(tmp_path) if isinstance(event, Measurement)] == [1.0, 1.0]


def test_an_empty_key_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "ts,target,value,id\n2026-03-01T10:00:00Z,u1,1,a\n2026-03-01T10:00:00Z,u1,1,\n")
    [problem] = refused(tmp_path, file, ColumnMap(constants=RATINGS, key=("id",)))
    assert f"{file}:3 (id): the key is empty." in problem


def test_all_mistakes_come_together_with_their_lines(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        {"ts": "2026-03-01T10:00:00Z", "kind": "measurement", "name": "n", "target_kind": "user"}

        {"ts": "2026-03-01T10:00:00Z", "kind": "generaton"}
        [1]
        {"ts": "2026-03-01T10:00:00Z"
        {"ts": 5, "kind": "generation", "request_id": "r", "feature": "f", "latency_ms": -1}
        {"ts": "2026-03-01T10:00:00Z", "kind": "generation", "request_id": "r", "feature": "f", "event_id": "x"}
        {"ts": "2026-03-01T10:00:00Z"}
        """,
        "events.jsonl",
    )
    found = refused(tmp_path, file, ColumnMap())
    starts = [(1, "target"), (1, "source"), (1, "value"), (3, "kind"), (4, ""), (5, ""), (6, "ts")]
    starts += [(6, "latency_ms"), (7, "event_id"), (8, "kind")]
    # A measurement's missing value is only looked for where its fields are whole.
    starts.remove((1, "value"))
    assert len(found) == len(starts)
    for text, (line, field) in zip(found, starts, strict=True):
        assert text.startswith(f"{file}:{line}" + (f" ({field}): " if field else ": "))


def test_no_more_than_twenty_mistakes_are_told(tmp_path: Path) -> None:
    file = ratings(tmp_path, [(NOW.isoformat(), f"u{i}", "x") for i in range(500)])
    found = refused(tmp_path, file, ColumnMap(constants=RATINGS))
    assert len(found) == MOST_PROBLEMS + 1
    assert [f"{file}:{line} (value)" in text for line, text in enumerate(found[:-1], start=2)] == [True] * 20
    assert "there may be more" in found[-1]


def test_a_mistake_in_the_last_of_many_batches_lets_nothing_in(tmp_path: Path) -> None:
    rows = [(NOW.isoformat(), f"u{i}", "x" if i == 4_500 else i) for i in range(4_501)]
    [problem] = refused(tmp_path, ratings(tmp_path, rows), ColumnMap(constants=RATINGS))
    assert ":4502 (value)" in problem


def test_a_set_value_that_is_wrong_is_told_once(tmp_path: Path) -> None:
    file = ratings(tmp_path, [(NOW.isoformat(), f"u{i}", i) for i in range(50)])
    [problem] = refused(tmp_path, file, ColumnMap(constants={**RATINGS, "source": "humn"}))
    assert "--set source=humn: invalid enum value 'humn'. Did you mean `human`?" in problem


@pytest.mark.parametrize(
    ("maps", "sets", "key", "kind", "words"),
    [
        (["valu=value"], [], [], "measurement", ["`valu`", "Did you mean `value`?"]),
        ([], ["received_at=x"], [], "measurement", ["stamped by the log"]),
        (["name=target"], ["name=n"], [], "measurement", ["both mapped and set"]),
        (["name.x=target"], [], [], "measurement", ["`name.x`"]),
        ([], [], [], "measurment", ["Did you mean `measurement`?"]),
        ([], [], [], None, ["--kind"]),
        ([], [], [], "measurement", ["`name`", "`source`", "`target_kind`", "--map", "--set"]),
        (
            ["label=stars"],
            ["name=n", "source=code", "target_kind=user"],
            ["id"],
            "measurement",
            ["`stars`", "`id`"],
        ),
        (["ts"], ["=x"], [], "measurement", ["--map 'ts'", "--set '=x'"]),
        (["ts=a", "ts=b"], [], [], "measurement", ["twice"]),
    ],
)
def test_what_is_said_of_columns_must_fit(
    tmp_path: Path, maps: list[str], sets: list[str], key: list[str], kind: str | None, words: list[str]
) -> None:
    file = ratings(tmp_path, [(NOW.isoformat(), "u1", 1)])
    with pytest.raises(ArenaError) as caught:
        into(tmp_path, file, read_column_map(maps, sets, key, kind, None))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_zone_that_is_none_is_suggested() -> None:
    with pytest.raises(UsageError, match=r"Did you mean `Europe/Berlin`\?"):
        read_column_map([], [], [], None, "Europe/Berln")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", b"", "no rows"),
        ("a.jsonl", b"\n\n", "no rows"),
        ("a.json", b"[]", "one JSON object a line"),
        ("a.jsonl.gz", b"not zipped", "cannot be unpacked"),
        ("a.csv", b"ts,target\n", "no rows"),
        ("a.txt", b"x", "not known"),
        ("a.jsonl", b'{"kind": "measurement", "ts": "\xff"}', "not JSON"),
        ("a.jsonl", b'{"a": "' + b"x" * (9 * 2**20) + b'"}', "longer than"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_message(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=words) as caught:
        into(
            tmp_path,
            tmp_path / name,
            ColumnMap(constants={"kind": "measurement"} if ".csv" not in name else RATINGS),
        )
    assert len(caught.value.problems) <= 3
    with pytest.raises(DataError):
        into(tmp_path, tmp_path / "absent.jsonl", ColumnMap())


def test_mapped_columns_that_no_json_line_has_are_told(tmp_path: Path) -> None:
    file = written(
        tmp_path, json.dumps({**RATINGS, "ts": NOW.isoformat(), "target": "u", "value": 1}), "a.jsonl"
    )
    [problem] = refused(tmp_path, file, ColumnMap({"label": "lable"}))
    assert "There is no column `lable`" in problem


def test_who_was_erased_does_not_come_back_by_an_import(tmp_path: Path) -> None:
    file = ratings(tmp_path, [(NOW.isoformat(), f"u{i}", i) for i in range(5)])
    with EventLog(tmp_path / "log") as log:
        log.erase("user", "u3")
    done = into(tmp_path, file, ColumnMap(constants=RATINGS))
    assert (done.rows, done.erased) == (5, 1)
    assert len(events(tmp_path)) == 4


def test_content_is_kept_only_as_the_project_says(tmp_path: Path) -> None:
    file = written(tmp_path, "ts,request_id,input\n2026-03-01T10:00:00Z,r1,write to ann@example.org\n")
    said = ColumnMap(constants={"kind": "content"})
    assert into(tmp_path, file, said).unsampled == 1
    assert events(tmp_path) == []
    into(tmp_path, file, said, ContentPolicy(1.0, None, frozenset({"email"})))
    [event] = events(tmp_path)
    assert isinstance(event, Content)
    assert "ann@example.org" not in str(event.input)


def test_progress_runs_to_the_end_of_both_readings(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    file = ratings(tmp_path, [(NOW.isoformat(), f"u{i}", i) for i in range(4_100)])
    with EventLog(tmp_path / "log") as log:
        import_events(str(file), ColumnMap(constants=RATINGS), log, progress=lambda *at: told.append(at))
    for stage in ("checking", "writing"):
        shares = [share for name, share in told if name == stage]
        assert len(shares) >= 3
        assert shares == sorted(shares)
        assert shares[-1] == 1


@given(
    st.lists(
        st.tuples(
            st.floats(-1e9, 4e9).map(lambda s: datetime.fromtimestamp(s, UTC)),
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20),
            st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_json_lines_lose_nothing_on_their_way(rows: list[tuple[datetime, str, float | bool]]) -> None:
    from promptarena.definitions.event_lines import decode_events
    from promptarena.storage.import_fields import FieldPlan

    plan = FieldPlan(ColumnMap(constants=RATINGS), None)
    lines = [{"ts": moment.isoformat(), "target": target, "value": value} for moment, target, value in rows]
    made = decode_events(b"\n".join(msgspec.json.encode(plan.event(line, textual=False)) for line in lines))
    assert [(event.ts, event.target, event.value) for event in made if isinstance(event, Measurement)] == [
        (moment, target, value) for moment, target, value in rows
    ]
    alike: dict[str, Any] = {
        json.dumps(line): event.event_id for line, event in zip(lines, made, strict=True)
    }
    assert len(set(alike.values())) == len(alike)


@pytest.mark.soak
@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Peak resident memory of an import of a million JSON lines is within 60 MB of that of two hundred thousand."""
    peaks = []
    for rows in (200_000, 1_000_000):
        file = tmp_path / f"{rows}.jsonl"
        with file.open("w") as out:
            for i in range(rows):
                out.write(f'{{"ts":"2026-03-01T10:00:00Z","target":"user-{i}","value":{i % 5}}}\n')
        code = (
            "import resource, sys; from pathlib import Path\n"
            "from promptarena.storage.event_import import import_events\n"
            "from promptarena.storage.event_log import EventLog\n"
            "from promptarena.storage.import_fields import ColumnMap\n"
            f"with EventLog(Path({str(tmp_path / f'log-{rows}')!r})) as log:\n"
            f"    import_events({str(file)!r}, ColumnMap(constants={RATINGS!r}), log)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 60_000, peaks
