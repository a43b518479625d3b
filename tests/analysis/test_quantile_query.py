"""What two queries count of a table's values is what its rows, gathered by hand, would give."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import ibis
import numpy as np
import pyarrow as pa
import pytest

from promptarena.analysis.cube import Cube
from promptarena.analysis.metric_query import Columns, read_table, roll_up
from promptarena.analysis.quantile_query import count_values
from promptarena.analysis.value_counts import COUNTED, ValueCounts
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.errors import DataError
from promptarena.stats.clustered_counts import ClusteredCounts, clustered_quantile
from promptarena.storage.warehouse import ROW, Warehouse, held

_NAMES = count()
START = datetime(2026, 3, 2, tzinfo=UTC)
COLUMNS = Columns(unit="u", variant="v", time="t", segments=("device", "tier"), epoch="e", stage="s")


def quantile(q: float, column: str = "x") -> Metric:
    return Metric(name=f"{column}_{q}", kind=MetricKind.QUANTILE, of=column, q=q, absent=Absence.MISSING)


METRICS = (
    Metric(name="mean", kind=MetricKind.MEAN, of="x", absent=Absence.MISSING),
    quantile(0.5),
    quantile(0.8),
    quantile(0.75, "y"),
)


class Row(NamedTuple):
    u: int
    v: str
    t: datetime
    device: str
    tier: str
    e: str
    s: str
    x: float | None
    y: int | None


def story(units: int, most_rows: int, seed: int) -> list[Row]:
    """Units of several rows over days that follow; some values missing, some units seen in two variants."""
    rng = np.random.default_rng(seed)
    rows = []
    for u in range(units):
        first = START + timedelta(days=int(rng.integers(0, 8)), hours=int(rng.integers(0, 23)))
        shared = rng.normal()
        of_unit = [
            str(rng.choice(options)) for options in (["a", "b"], ["web", "app"], ["free", "paid"], ["1", "2"])
        ]
        for k in range(int(rng.integers(1, most_rows + 1))):
            x = None if rng.random() < 0.2 else float(np.sinh(3 * shared + rng.normal()))
            y = None if rng.random() < 0.1 else int(rng.poisson(400))
            v, device, tier, e = of_unit
            rows.append(Row(u, "b" if k == 2 else v, first + timedelta(days=k), device, tier, e, "ab", x, y))
    order = rng.permutation(len(rows))
    return [rows[i] for i in order]


def table_of(warehouse: Warehouse, rows: list[Row]) -> ibis.Table:
    data = pa.table({name: [getattr(row, name) for row in rows] for name in Row._fields})
    name = f"q{next(_NAMES)}"
    warehouse.connection.con.register(name, data.append_column(ROW, pa.array(range(len(rows)), pa.int64())))
    return warehouse.connection.table(name)


def first_rows(rows: list[Row]) -> dict[int, Row]:
    return {row.u: row for row in sorted(rows, key=lambda row: row.t, reverse=True)}


def cell_of(row: Row, dimensions: Sequence[str]) -> tuple[str, ...]:
    of = {
        "day": row.t.date().isoformat(),
        "epoch": row.e,
        "stage": row.s,
        "device": row.device,
        "tier": row.tier,
    }
    return (row.v, *(of[name] for name in dimensions))


def by_hand(
    rows: list[Row], column: str, dimensions: Sequence[str], until: date | None = None
) -> dict[tuple[str, ...], tuple[list[int], list[float]]]:
    """Units and values by cell; every unit is where its first row puts it."""
    first = first_rows(rows)
    cells: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}
    for row in rows:
        value = getattr(row, column)
        if value is not None and (until is None or first[row.u].t.date() <= until):
            units, values = cells.setdefault(cell_of(first[row.u], dimensions), ([], []))
            units.append(row.u)
            values.append(float(value))
    return cells


def assert_same(found: ClusteredCounts, expected: ClusteredCounts) -> None:
    for name in ("bins", "counts", "units", "squares", "products"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return story(400, 5, 1)


@pytest.fixture(scope="module")
def cube(warehouse: Warehouse, rows: list[Row]) -> Cube:
    return read_table(table_of(warehouse, rows), COLUMNS, METRICS)[0]


@pytest.mark.parametrize("column", ["x", "y"])
@pytest.mark.parametrize(
    "dimensions",
    [(), ("day",), ("epoch",), ("stage",), ("device",), ("tier", "epoch"), ("epoch", "day", "device")],
)
def test_values_are_counted_by_any_dimensions(
    cube: Cube, rows: list[Row], column: str, dimensions: tuple[str, ...]
) -> None:
    found = cube.values[column].by(*dimensions)
    expected = by_hand(rows, column, dimensions)
    assert found.keys() == expected.keys()
    for key, (units, values) in expected.items():
        assert_same(found[key].counts, ClusteredCounts.from_values(units, values))


@pytest.mark.parametrize("dimensions", [(), ("epoch",)])
def test_the_quantile_is_that_of_the_values_at_the_end_of_every_day(
    warehouse: Warehouse, rows: list[Row], dimensions: tuple[str, ...]
) -> None:
    columns = Columns(unit="u", variant="v", time="t", segments=("tier",), epoch="e" if dimensions else None)
    cube, _ = read_table(table_of(warehouse, rows), columns, METRICS)
    assert cube.days is not None
    for day in cube.days:
        so_far = cube.until(day)
        for metric in METRICS[1:]:
            assert metric.q is not None
            cells = so_far.values[metric.of].by(*dimensions)
            expected = by_hand(rows, metric.of, dimensions, until=day)
            assert cells.keys() == expected.keys()
            for key, (_, values) in expected.items():
                if len(values) < 60:  # no error can be told of so few
                    continue
                found = clustered_quantile(metric.q, cells[key].counts, cells[key].known)
                assert found.value == pytest.approx(np.quantile(values, metric.q), rel=1e-12)


def test_units_with_a_value_are_counted_beside_all_units(cube: Cube, rows: list[Row]) -> None:
    first = first_rows(rows)
    for (variant,), cell in cube.by().items():
        mine = {u for u, row in first.items() if row.v == variant}
        held_by = [u for row in rows if (u := row.u) in mine and row.x is not None]
        assert cell.units == len(mine)
        assert cell.moments["x_0.8"].n == len(set(held_by))
        assert cell.moments["x_0.8"].mean[0] == pytest.approx(len(held_by) / len(set(held_by)))


def same_counts(one: ValueCounts, other: ValueCounts, *dimensions: str) -> None:
    cells, others = one.by(*dimensions), other.by(*dimensions)
    assert cells.keys() == others.keys()
    for key, cell in cells.items():
        assert_same(cell.counts, others[key].counts)


def test_a_table_of_one_row_a_unit_needs_no_roll_up_and_counts_the_same(warehouse: Warehouse) -> None:
    rows = story(500, 1, 2)
    table = table_of(warehouse, rows)
    directly = count_values(table, None, COLUMNS, METRICS)
    with held(roll_up(table, COLUMNS, METRICS)) as units:
        rolled_up = count_values(table, units, COLUMNS, METRICS)
    for column in ("x", "y"):
        same_counts(directly[column], rolled_up[column], "day", "epoch", "device")
        near, others = directly[column].near, rolled_up[column].near
        assert sorted(near.columns["value"]) == sorted(others.columns["value"])
        known = directly[column].by("epoch")["a", "1"].known
        assert known is not None
        held_there = by_hand(rows, column, ("epoch",))["a", "1"][1]
        assert set(known.values) <= set(held_there)


def test_too_many_crossed_segments_are_counted_one_at_a_time(warehouse: Warehouse, rows: list[Row]) -> None:
    table, metrics = table_of(warehouse, rows), METRICS[3:]
    with held(roll_up(table, COLUMNS, metrics)) as units:
        whole = count_values(table, units, COLUMNS, metrics)["y"]
        parts = count_values(table, units, COLUMNS, metrics, most=len(whole.slices[0].cell) - 1)["y"]
        same_counts(whole, parts, "day", "epoch")
        same_counts(whole, parts, "device")
        same_counts(whole, parts, "tier", "epoch")
        assert whole.has("device", "tier")
        assert not parts.has("device", "tier")
        with pytest.raises(ValueError, match="not counted by"):
            parts.by("device", "tier")
        with pytest.raises(DataError, match="`y` has too many distinct values by variant, day, epoch, stage"):
            count_values(table, units, COLUMNS, metrics, most=20)


def test_counts_of_two_halves_of_the_units_add_to_the_whole(warehouse: Warehouse, rows: list[Row]) -> None:
    halves = [
        read_table(table_of(warehouse, [row for row in rows if row.u % 2 == half]), COLUMNS, METRICS)[0]
        for half in (0, 1)
    ]
    total, whole = (halves[0] + halves[1]).values["x"], by_hand(rows, "x", ("day", "tier"))
    for key, (units, values) in whole.items():
        assert_same(total.by("day", "tier")[key].counts, ClusteredCounts.from_values(units, values))


@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")  # Ibis 12 with pandas 3
def test_the_queries_run_on_another_engine(tmp_path: Path) -> None:
    rows = [row for row in story(300, 3, 3) if row.x is None or row.u % 7]
    path = tmp_path / "rows.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE facts (u INTEGER, v TEXT, e TEXT, x DOUBLE)")
        connection.executemany(
            "INSERT INTO facts VALUES (?, ?, ?, ?)", [(row.u, "ab"[row.u % 2], row.e, row.x) for row in rows]
        )
    connection.close()
    columns = Columns(unit="u", variant="v", segments=("e",))
    backend: Any = ibis.sqlite.connect(path)
    facts = backend.table("facts")
    with held(roll_up(facts, columns, [quantile(0.5)])) as units:
        found = count_values(facts, units, columns, [quantile(0.5)])["x"]
    backend.disconnect()
    for variant in "ab":
        mine = [(row.u, row.x) for row in rows if "ab"[row.u % 2] == variant and row.x is not None]
        cell = found.by()[(variant,)]
        assert_same(cell.counts, ClusteredCounts.from_values([u for u, _ in mine], [x for _, x in mine]))
        estimate = clustered_quantile(0.5, cell.counts, cell.known)
        assert estimate.value == pytest.approx(np.quantile([x for _, x in mine], 0.5), rel=1e-12)


def test_a_column_without_any_value_has_no_cells(warehouse: Warehouse) -> None:
    rows = [row._replace(x=None, y=None) for row in story(20, 2, 4)]
    table = warehouse.connection.table(table_of(warehouse, rows).get_name()).cast({"x": "float64"})
    found = count_values(table, None, COLUMNS, [quantile(0.5)])["x"]
    assert found.by() == {}
    assert found.of_days("2026-03-01", "2026-03-05").by("epoch") == {}
    assert set(found.slices[0].columns) == set(COUNTED)
