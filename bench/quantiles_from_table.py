"""The readout of a p95 over 10 million units, beside DuckDB's own `quantile_cont` by variant.

The peer gives two numbers; ours gives the same two and the error of their difference; then crossed with 14
days, so that every look can be had of it. With several rows a unit the peer still takes rows for units.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from bench.claim import Claim, take_turns
from promptarena.analysis.estimates import ArmPair, arm_pair
from promptarena.analysis.metric_query import Columns, measure, one_row_a_unit, roll_up
from promptarena.analysis.quantile_query import count_values
from promptarena.definitions.metric import Absence, Better, Metric, MetricKind
from promptarena.storage.table_file import TableFile, open_table
from promptarena.storage.warehouse import held

_UNITS = 10_000_000
_ROWS_A_UNIT = 5
_MEMORY = 2 * 1024**3
_P95 = Metric(
    name="latency_p95",
    kind=MetricKind.QUANTILE,
    of="latency",
    q=0.95,
    better=Better.LOWER,
    absent=Absence.MISSING,
)
_PLAIN = Columns(unit="unit", variant="variant")
_DAILY = Columns(unit="unit", variant="variant", time="first_seen")
_CLUSTERED = Columns(unit="conversation", variant="variant", time="first_seen")

# Pseudo-random by rule: the same on every machine and with any number of threads. A tenth have no value.
_DATA = f"""
    SELECT i AS unit, i // {_ROWS_A_UNIT} AS conversation,
        CASE WHEN hash(i // {_ROWS_A_UNIT} * 7 + 1) % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant,
        TIMESTAMP '2025-01-06' + to_seconds((hash(i * 11 + 3) % 1209600)::BIGINT) AS first_seen,
        CASE WHEN hash(i * 41) % 10 > 0 THEN
            exp(7 + 0.5 * sqrt(-2 * ln((hash(i * 29) % 1000000 + 1) / 1000001.0))
                * cos(6.283185307 * (hash(i * 31) % 1000000) / 1e6)) END AS latency
    FROM range({_UNITS}) AS numbers(i)
"""


def run() -> Iterator[Claim]:
    """Time both by turns, after they have given the same quantiles."""
    with tempfile.TemporaryDirectory(prefix="promptarena-bench-") as folder:
        database, parquet = Path(folder, "units.duckdb"), Path(folder, "units.parquet")
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"CREATE TABLE units AS {_DATA}")
            connection.execute(f"COPY units TO '{parquet}' (FORMAT parquet)")
        for file in (database, parquet):
            with open_table(file, memory=_MEMORY) as opened:
                yield from _timed("DuckDB table" if file is database else "Parquet", opened)


def _timed(kind: str, opened: TableFile) -> Iterator[Claim]:
    peer = _peer(opened)
    ours: dict[str, Callable[[], ArmPair]] = {
        "by variant": lambda: _readout(opened, _PLAIN),
        "14 days": lambda: _readout(opened, _DAILY),
    }
    expected = dict(peer())
    for name, action in ours.items():
        effect = action().effect
        assert effect is not None
        # Values that share a millionth of their size are told as the least of them.
        assert math.isclose(effect.control.value, expected["control"], rel_tol=3e-6)
        assert math.isclose(effect.treatment.value, expected["treatment"], rel_tol=3e-6)
        yield take_turns(
            f"p95 and its error, 10M units, {kind}, {name}",
            action,
            peer,
            other_name="quantile_cont",
            target=4.0 if name == "by variant" else None,
            rounds=5,
        )
    yield take_turns(
        f"the same, {_ROWS_A_UNIT} rows a unit rolled up, {kind}, 14 days",
        lambda: _rolled_up(opened),
        peer,
        other_name="quantile_cont over rows",
        target=None,
        rounds=1,
    )


def _readout(opened: TableFile, columns: Columns) -> ArmPair:
    cube = measure(one_row_a_unit(opened.rows, columns, [_P95]), columns, [_P95])
    cube = replace(cube, values=count_values(opened.rows, None, columns, [_P95]))
    return arm_pair(cube, _P95, "control", "treatment")


def _rolled_up(opened: TableFile) -> ArmPair:
    with held(roll_up(opened.rows, _CLUSTERED, [_P95])) as units:
        cube = measure(units, _CLUSTERED, [_P95])
        cube = replace(cube, values=count_values(opened.rows, units, _CLUSTERED, [_P95]))
    return arm_pair(cube, _P95, "control", "treatment")


def _peer(opened: TableFile) -> Callable[[], Any]:
    source = f"'{opened.path}'" if opened.path.suffix == ".parquet" else "source.main.units"
    query = f"SELECT variant, quantile_cont(latency, 0.95) FROM {source} GROUP BY variant"
    return lambda: opened.warehouse.connection.con.execute(query).fetchall()
