"""A readout's pass over 10 million units and 5 metrics, beside sums written by hand and tea-tasting.

The floor is what a careful person would write for one comparison: shifted sums by variant, nothing else. Ours
crosses them with 14 days and 3 segment values. tea-tasting's own query is timed alone, without its tests.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb

from bench.claim import Claim, take_turns
from promptarena.analysis.metric_query import Columns, measure, one_row_a_unit, read_table
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.storage.table_file import TableFile, open_table

_UNITS = 10_000_000
_MEMORY = 2_000_000_000
_METRICS = (
    Metric(name="resolved", kind=MetricKind.RATE, of="resolved", absent=Absence.ZERO),
    Metric(name="turns", kind=MetricKind.SUM, of="turns", absent=Absence.ZERO),
    Metric(name="cost", kind=MetricKind.SUM, of="cost", absent=Absence.ZERO),
    Metric(name="latency", kind=MetricKind.MEAN, of="latency", absent=Absence.MISSING),
    Metric(name="rating", kind=MetricKind.MEAN, of="rating", absent=Absence.MISSING),
)
_NAMES = [metric.name for metric in _METRICS]
_PLAIN = Columns(unit="unit", variant="variant")
_CROSSED = Columns(unit="unit", variant="variant", time="first_seen", segments=("device",))
_PIVOTS = {"resolved": 0.0, "turns": 3.0, "cost": 0.02, "latency": 1500.0, "rating": 3.0}

# Pseudo-random by rule: the same on every machine and with any number of threads. A fifth have not rated.
_DATA = f"""
    SELECT i AS unit,
        CASE WHEN hash(i * 7 + 1) % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant,
        TIMESTAMP '2025-01-06' + to_seconds((hash(i * 11 + 3) % 1209600)::BIGINT) AS first_seen,
        ['desktop', 'mobile', 'tablet'][1 + (hash(i * 13 + 5) % 3)::INTEGER] AS device,
        (hash(i * 17) % 100 < 60)::INTEGER AS resolved,
        (hash(i * 19) % 7)::BIGINT AS turns,
        -ln((hash(i * 23) % 1000000 + 1) / 1000001.0) * 0.02 AS cost,
        1500 + 300 * sqrt(-2 * ln((hash(i * 29) % 1000000 + 1) / 1000001.0))
            * cos(6.283185307 * (hash(i * 31) % 1000000) / 1e6) AS latency,
        CASE WHEN hash(i * 41) % 5 > 0 THEN 1 + (hash(i * 37) % 1000) / 250.0::DOUBLE END AS rating
    FROM range({_UNITS}) AS numbers(i)
"""


def run() -> Iterator[Claim]:
    """Time the passes by turns, and state each one's memory in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="promptarena-bench-") as folder:
        database, parquet = Path(folder, "units.duckdb"), Path(folder, "units.parquet")
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"CREATE TABLE units AS {_DATA}")
            connection.execute(f"COPY units TO '{parquet}' (FORMAT parquet)")
        for file in (database, parquet):
            kind = "DuckDB table" if file is database else "Parquet"
            with open_table(file, memory=_MEMORY) as opened:
                _same_answers(opened)
                yield from _timed(kind, _passes(opened))
            for name in ("ours, crossed", "by hand", "ours, plain", "tea-tasting", "ours, checked"):
                peak = _peak(name, file)
                print(f"  peak memory of a process, {kind}, {name}: {peak:.0f} MB", flush=True)


def _timed(kind: str, passes: dict[str, Callable[[], Any]]) -> Iterator[Claim]:
    yield take_turns(
        f"readout pass, {kind}, 14 days x 3 segments",
        passes["ours, crossed"],
        passes["by hand"],
        other_name="sums by hand",
        target=1.5,
    )
    yield take_turns(
        f"readout pass, {kind}, by variant alone",
        passes["ours, plain"],
        passes["tea-tasting"],
        other_name="tea-tasting 1.14",
        target=1.0,
    )
    yield take_turns(
        f"the same with 14 days x 3 segments, {kind}",
        passes["ours, crossed"],
        passes["tea-tasting"],
        other_name="tea-tasting 1.14 without",
        target=None,
    )
    yield take_turns(
        f"every row checked, units proven distinct, {kind}",
        passes["ours, checked"],
        passes["by hand"],
        other_name="sums by hand, unchecked",
        target=None,
        rounds=3,
    )


def _passes(opened: TableFile) -> dict[str, Callable[[], Any]]:
    from tea_tasting.aggr import read_aggregates

    rows = opened.rows
    by_hand = _by_hand(opened)
    return {
        "ours, crossed": lambda: measure(one_row_a_unit(rows, _CROSSED, _METRICS), _CROSSED, _METRICS),
        "ours, plain": lambda: measure(one_row_a_unit(rows, _PLAIN, _METRICS), _PLAIN, _METRICS),
        "ours, checked": lambda: read_table(rows, _CROSSED, _METRICS),
        "by hand": lambda: opened.warehouse.connection.con.execute(by_hand).fetchall(),
        "tea-tasting": lambda: read_aggregates(
            rows, "variant", has_count=True, mean_cols=_NAMES, var_cols=_NAMES, cov_cols=()
        ),
    }


def _by_hand(opened: TableFile) -> str:
    source = f"'{opened.path}'" if opened.path.suffix == ".parquet" else "source.main.units"
    sums = ", ".join(
        f"sum({name} - {pivot}::DOUBLE), sum(({name} - {pivot}::DOUBLE) * ({name} - {pivot}::DOUBLE))"
        for name, pivot in _PIVOTS.items()
    )
    return f"SELECT variant, count(*), {sums} FROM {source} GROUP BY variant ORDER BY variant"


def _same_answers(opened: TableFile) -> None:
    """A fast pass that is wrong would be no claim: sums by hand and ours are equal to 1e-9."""
    passes = _passes(opened)
    cells = passes["ours, crossed"]().by()
    for variant, count, *sums in passes["by hand"]():
        cell = cells[(variant,)]
        assert cell.units == count
        for i, (name, pivot) in enumerate(_PIVOTS.items()):
            moments = cell.moments[name]
            total = moments.n * (moments.mean[0] - pivot)
            squares = moments.comoments[0, 0] + moments.n * (moments.mean[0] - pivot) ** 2
            assert math.isclose(total, sums[2 * i], rel_tol=1e-9, abs_tol=1e-6), (name, total, sums[2 * i])
            assert math.isclose(squares, sums[2 * i + 1], rel_tol=1e-9), (name, squares, sums[2 * i + 1])


def _peak(name: str, file: Path) -> float:
    """Megabytes that a fresh process needs for one pass."""
    command = [sys.executable, "-m", "bench.readout_from_table", name, str(file)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(answer.stdout)["megabytes"])


def _one_pass(name: str, file: Path) -> None:
    with open_table(file, memory=_MEMORY) as opened:
        _passes(opened)[name]()
    print(json.dumps({"megabytes": own_peak() / 1000}))


def own_peak() -> int:
    """Kilobytes. `ru_maxrss` would do, but on Linux a process inherits its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    _one_pass(sys.argv[1], Path(sys.argv[2]))
