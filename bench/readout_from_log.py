"""A readout from a log of 10 million units and 40 million events, beside the same joins written by hand.

The log is as a reader finds it: compacted files, and a last day of sealed ones that repeat some events. By
hand means the query that a careful person would write for these metrics in the same engine: repetitions left
out, first exposures, windows, the last of several ratings, sums of squares by variant, epoch, day, segment.
It does not look for late events, count units in two variants, or compare what was served.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb

from bench.claim import Claim, take_turns
from bench.readout_from_table import own_peak
from promptarena.analysis.cohort_cube import read_cohorts
from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.cube import Cube
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.log_readout import read_events
from promptarena.definitions.events import Kind
from promptarena.definitions.experiment import Experiment, load_experiment
from promptarena.storage.arrow_schema import schema_of
from promptarena.storage.log_relation import events_relation
from promptarena.storage.snapshot import KindTables
from promptarena.storage.warehouse import Warehouse

_SIZES: Final = (250_000, 2_500_000, 10_000_000)
"""Units; four times as many events. The promise is on the last."""
_MEMORY: Final = 4_000_000_000
"""The engine's limit; at half of it 10 million units do not fit."""
_MEMORY_BY_HAND: Final = 12_000_000_000
"""With less than about 8 GB the query by hand gives up at the larger size: its states cannot be spilled."""
_DAYS: Final = 14
_AS_OF: Final = datetime(2026, 3, 30, tzinfo=UTC)
_LAST: Final = date(2026, 3, 15)
_KINDS: Final[tuple[Kind, ...]] = ("exposure", "generation", "measurement")
_PROJECT: Final = """
providers: {openai: {base_url: "https://api.example/v1", key_env: OPENAI_API_KEY}}
features: {support-bot: {provider: openai, model: small}}
"""
_EXPERIMENT: Final = """
experiment: cites
feature: support-bot
unit: conversation
variants: {control: {}, treatment: {temperature: 0.5}}
metrics:
  resolved: {rate: resolved}
  cost: {sum: cost_usd}
  latency: {mean: latency_ms}
  turns: {count: requests}
  rating: {mean: rating}
primary: resolved
design: {expected: 0.6, mde: 0.05}
segments: [device]
"""
_TYPES: Final = {
    "string": "VARCHAR",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "map<string, string>": "MAP(VARCHAR, VARCHAR)",
}
_VARIANT: Final = "CASE WHEN hash(i * 7 + 1) % 2 = 0 THEN 'control' ELSE 'treatment' END"
# Names of 32 letters, as random as a UUID's.
_UNIT: Final = "printf('%016x%016x', hash(i), hash(i + 1000000007))"


def run() -> Iterator[Claim]:
    """Time both by turns at each size, and state each one's memory in a process of its own."""
    for units in _SIZES:
        with tempfile.TemporaryDirectory(prefix="promptarena-bench-") as folder:
            root = Path(folder)
            _write_log(root, units)
            experiment = _experiment(root)
            with _opened("ours") as warehouse, _opened("by hand") as other:
                _same_answers(warehouse, other, experiment, root)
                yield take_turns(
                    f"readout from a log, {units * 4 // 1_000_000}M events of {units:,} units",
                    partial(_ours, warehouse, experiment, root),
                    partial(_by_hand, other, experiment, root),
                    other_name="joins by hand",
                    target=1.3 if units == _SIZES[-1] else None,
                    rounds=3,
                )
            for name in ("ours", "by hand"):
                print(f"  peak memory of a process, {units:,} units, {name}: {_peak(name, root)}", flush=True)


def _opened(name: str) -> Warehouse:
    return Warehouse(memory=_MEMORY if name == "ours" else _MEMORY_BY_HAND, ordered=False)


def _experiment(root: Path) -> Experiment:
    (root / "arena.yaml").write_text(_PROJECT)
    (root / "cites.yaml").write_text(_EXPERIMENT)
    return load_experiment(root / "cites.yaml")


def _tables(warehouse: Warehouse, root: Path) -> EventTables:
    def events(kind: Kind) -> Any:
        tables = KindTables(
            kind=kind,
            compacted=tuple(sorted(root.glob(f"{kind}-compacted-*.parquet"))),
            fresh=tuple(sorted(root.glob(f"{kind}-fresh-*.parquet"))),
            tail=schema_of(kind).empty_table(),
            rivals=(),
            hidden=(),
        )
        return events_relation(warehouse.connection, tables)

    return EventTables(warehouse.connection, *(events(kind) for kind in _KINDS))


def _ours(warehouse: Warehouse, experiment: Experiment, root: Path) -> object:
    return read_events(experiment, _tables(warehouse, root), as_of=_AS_OF)


def _by_hand(warehouse: Warehouse, experiment: Experiment, root: Path) -> list[Any]:
    def events(kind: str) -> str:
        return f"""(SELECT * FROM read_parquet('{root}/{kind}-compacted-*.parquet') UNION ALL
            SELECT * FROM read_parquet('{root}/{kind}-fresh-*.parquet')
            QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY received_at) = 1)"""

    query = f"""
        WITH units AS (
            SELECT unit_id, min(ts) AS first,
                arg_min(struct_pack(variant, epoch, stage, device := segments['device']), ts) AS met
            FROM {events("exposure")}
            WHERE experiment = '{experiment.name}' AND definition_hash = '{experiment.content_hash}'
                AND unit_kind = 'conversation'
            GROUP BY unit_id),
        calls AS (
            SELECT unit_id, sum(cost_usd) AS cost, avg(latency_ms) AS latency, count(*) AS turns
            FROM {events("generation")} JOIN units ON conversation_id = unit_id
            WHERE role = 'served' AND feature = 'support-bot'
                AND ts >= first AND ts < first + INTERVAL 24 HOUR
            GROUP BY unit_id),
        measured AS (
            SELECT * FROM {events("measurement")}
            WHERE name IN ('resolved', 'rating') AND target_kind = 'conversation'),
        rated AS (
            SELECT unit_id, avg(value) AS rating
            FROM (SELECT * FROM measured WHERE name = 'rating'
                QUALIFY row_number() OVER (PARTITION BY target ORDER BY ts DESC) = 1)
                JOIN units ON target = unit_id
            WHERE ts >= first AND ts < first + INTERVAL 24 HOUR
            GROUP BY unit_id),
        resolved AS (
            SELECT unit_id, max(value) AS resolved
            FROM measured JOIN units ON target = unit_id
            WHERE name = 'resolved' AND ts >= first AND ts < first + INTERVAL 24 HOUR
            GROUP BY unit_id)
        SELECT met.variant, met.epoch, met.device, first::DATE AS day, count(*) AS units,
            sum(coalesce(resolved, 0)) AS resolved,
            sum(coalesce(cost, 0)) AS cost, sum(coalesce(cost, 0) ** 2) AS cost_squared,
            sum(latency - 1500) AS latency, sum((latency - 1500) ** 2) AS latency_squared,
            sum(coalesce(turns, 0)) AS turns, sum(coalesce(turns, 0) ** 2) AS turns_squared,
            count(rating) AS rated, sum(rating) AS rating, sum(rating * rating) AS rating_squared
        FROM units LEFT JOIN calls USING (unit_id) LEFT JOIN rated USING (unit_id)
            LEFT JOIN resolved USING (unit_id)
        WHERE met.stage = 'ab'
        GROUP BY ALL"""
    cursor = warehouse.connection.con.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _same_answers(warehouse: Warehouse, other: Warehouse, experiment: Experiment, root: Path) -> None:
    """A fast readout that is wrong would be no claim: sums by hand and ours are equal to 1e-9."""
    cube = _cube(warehouse, experiment, root)
    cells = cube.by()
    totals: dict[str, dict[str, float]] = {}
    for row in _by_hand(other, experiment, root):
        own = totals.setdefault(row["variant"], {})
        for name, value in row.items():
            if name not in ("variant", "epoch", "device", "day"):
                own[name] = own.get(name, 0.0) + (value or 0.0)
    assert {key[0] for key in cells} == set(totals)
    for (variant,), cell in cells.items():
        own = totals[variant]
        assert cell.units == own["units"]
        assert cell.moments["rating"].n == own["rated"]
        for name, pivot in (("resolved", 0), ("cost", 0), ("latency", 1500), ("turns", 0), ("rating", 0)):
            moments = cell.moments[name]
            total = moments.n * (moments.mean[0] - pivot)
            assert math.isclose(total, own[name], rel_tol=1e-9, abs_tol=1e-3), (name, total, own[name])
            if f"{name}_squared" in own:
                squares = moments.comoments[0, 0] + moments.n * (moments.mean[0] - pivot) ** 2
                assert math.isclose(squares, own[f"{name}_squared"], rel_tol=1e-9), name


def _cube(warehouse: Warehouse, experiment: Experiment, root: Path) -> Cube:
    return read_cohorts(
        _tables(warehouse, root),
        experiment,
        experiment.metrics,
        as_of=_AS_OF,
        last_day=_LAST,
        maturity=Maturity.of(experiment.metrics, experiment.unit),
    ).cube


def _write_log(root: Path, units: int) -> None:
    """Each kind as a compacted file a day, but for the last: two files that share every twentieth event."""
    experiment = _experiment(root)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        first = f"TIMESTAMPTZ '2026-03-02' + to_microseconds(i * {_DAYS * 86_400_000_000 // units})"
        for kind, columns, repeated in _columns(experiment):
            selected = ", ".join(
                f"({columns.get(field.name, 'NULL')})::{_TYPES[str(field.type)]} AS {field.name}"
                for field in schema_of(kind)
            )
            for day in range(_DAYS):
                low, high = units * day // _DAYS, units * (day + 1) // _DAYS
                source = (
                    f"(SELECT i, k, {first} AS first FROM range({low}, {high}) a(i), range({repeated}) b(k))"
                )
                query = f"SELECT {selected} FROM {source} ORDER BY event_id"
                if day < _DAYS - 1:
                    _save(connection, query, root / f"{kind}-compacted-{day:02}.parquet")
                else:
                    _save(
                        connection,
                        f"SELECT * FROM ({query}) WHERE hash(event_id) % 40 < 21",
                        root / f"{kind}-fresh-a.parquet",
                    )
                    _save(
                        connection,
                        f"SELECT * FROM ({query}) WHERE hash(event_id) % 40 > 18",
                        root / f"{kind}-fresh-b.parquet",
                    )


def _save(connection: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    connection.execute(
        f"COPY ({query}) TO '{file}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 100000)"
    )


def _columns(experiment: Experiment) -> Iterator[tuple[Kind, dict[str, str], int]]:
    """What each kind's events hold, and how many of them a unit has."""
    hashes = {variant.name: variant.settings.config_hash for variant in experiment.variants}
    served = f"CASE WHEN {_VARIANT} = 'control' THEN '{hashes['control']}' ELSE '{hashes['treatment']}' END"
    yield (
        "exposure",
        {
            "event_id": _event_id("first", 1),
            "ts": "first",
            "received_at": "first + INTERVAL 1 SECOND",
            "experiment": f"'{experiment.name}'",
            "definition_hash": f"'{experiment.content_hash}'",
            "stage": "CASE WHEN first < TIMESTAMPTZ '2026-03-03' THEN 'canary' ELSE 'ab' END",
            "epoch": "0",
            "variant": _VARIANT,
            "propensity": "0.5",
            "unit_kind": "'conversation'",
            "unit_id": _UNIT,
            "attributes": "'{}'",
            "segments": "MAP {'device': ['desktop', 'mobile', 'tablet'][1 + (hash(i * 13) % 3)::INTEGER]}",
            "request_id": _event_id("first", 2),
        },
        1,
    )
    called = "first + to_seconds((k * 60 + hash(i * 31 + k) % 60)::BIGINT)"
    yield (
        "generation",
        {
            "event_id": _event_id(called, 3),
            "ts": called,
            "received_at": f"{called} + INTERVAL 2 SECOND",
            "request_id": _event_id("first", 2),
            "response_id": _event_id(called, 4),
            "feature": "'support-bot'",
            "role": "'served'",
            "conversation_id": _UNIT,
            "user_id": "printf('%016x', hash(i // 3))",
            "turn": "k",
            "experiment": f"'{experiment.name}'",
            "variant": _VARIANT,
            "config_hash": served,
            "provider": "'openai'",
            "model_asked": "'small'",
            "input_tokens": "100 + hash(i * 3 + k) % 1000",
            "output_tokens": "hash(i * 5 + k) % 500",
            "cost_usd": "(hash(i * 7 + k) % 1000) / 1e5",
            "ttft_ms": "200 + hash(i * 9 + k) % 300",
            "latency_ms": "1000 + hash(i * 11 + k) % 2000",
            "finish_reason": "'stop'",
            "retry_count": "0",
        },
        2,
    )
    measured = "first + to_seconds((600 + hash(i * 37) % 90000)::BIGINT)"
    is_rating = "hash(i * 3) % 10 > 6"
    yield (
        "measurement",
        {
            "event_id": _event_id(measured, 5),
            "ts": measured,
            "received_at": f"{measured} + INTERVAL 5 SECOND",
            "name": f"CASE WHEN {is_rating} THEN 'rating' ELSE 'resolved' END",
            "target_kind": "'conversation'",
            "target": _UNIT,
            "source": f"CASE WHEN {is_rating} THEN 'human' ELSE 'business' END",
            "value": f"CASE WHEN {is_rating} THEN 1 + hash(i * 43) % 5"
            " ELSE (hash(i * 41) % 10 < 6)::INTEGER END",
        },
        1,
    )


def _event_id(moment: str, salt: int) -> str:
    """With a time prefix, as the log's own."""
    random = f"printf('%016x', hash(i * 8 + k, {salt}))"
    time = f"printf('%012x', epoch_ms({moment}))"
    return (
        f"substr({time}, 1, 8) || '-' || substr({time}, 9, 4) || '-7' || substr({random}, 1, 3) || '-8'"
        f" || substr({random}, 4, 3) || '-' || substr({random}, 7, 10) || '00'"
    )


def _peak(name: str, root: Path) -> str:
    """What a fresh process needs, or why it gave up."""
    command = [sys.executable, "-m", "bench.readout_from_log", name, str(root)]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    if answer.returncode != 0:
        return f"gave up: {answer.stderr.strip().splitlines()[-1]:.150}"
    return f"{json.loads(answer.stdout)['megabytes']:.0f} MB"


def _once(name: str, root: Path) -> None:
    experiment = _experiment(root)
    with _opened(name) as warehouse:
        _ = _ours(warehouse, experiment, root) if name == "ours" else _by_hand(warehouse, experiment, root)
    print(json.dumps({"megabytes": own_peak() / 1000}))


if __name__ == "__main__":
    _once(sys.argv[1], Path(sys.argv[2]))
