"""A table becomes the cube that its units, gathered by hand, would give."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tea_tasting.aggr import read_aggregates
from tests.analysis.tables import sum_of, table_of

from promptarena.analysis.cube import Cell, Cube
from promptarena.analysis.metric_query import (
    Columns,
    columns_read,
    measure,
    one_row_a_unit,
    read_table,
    roll_up,
)
from promptarena.definitions.metric import Absence, Covariate, Metric, MetricKind
from promptarena.definitions.readout import UnitCounts
from promptarena.stats.moments import Moments
from promptarena.storage.warehouse import ROW, Warehouse, fetch

METRICS = (
    Metric(name="rate", kind=MetricKind.RATE, of="ok", absent=Absence.ZERO),
    Metric(name="seen_rate", kind=MetricKind.RATE, of="ok", absent=Absence.MISSING),
    Metric(name="count", kind=MetricKind.COUNT, of="x", absent=Absence.ZERO),
    Metric(name="sum", kind=MetricKind.SUM, of="x", absent=Absence.ZERO),
    Metric(name="seen_sum", kind=MetricKind.SUM, of="x", absent=Absence.MISSING),
    Metric(name="mean", kind=MetricKind.MEAN, of="x", absent=Absence.MISSING),
    Metric(name="ratio", kind=MetricKind.RATIO, of="x", over="y", absent=Absence.ZERO),
    Metric(
        name="adjusted", kind=MetricKind.MEAN, of="x", absent=Absence.MISSING, covariates=(Covariate(of="y"),)
    ),
    Metric(
        name="adjusted_ratio",
        kind=MetricKind.RATIO,
        of="y",
        over="x",
        absent=Absence.MISSING,
        covariates=(Covariate(of="y"),),
    ),
)
COLUMNS = Columns(unit="u", variant="v", time="t", segments=("device", "tier"), epoch="e", stage="s")


@dataclass(frozen=True)
class Row:
    u: int
    v: str
    t: datetime
    device: str | None
    tier: str | None
    e: int | None
    s: str
    ok: int | None
    x: float | None
    y: float | None


def table_of_rows(warehouse: Warehouse, rows: list[Row]) -> ibis.Table:
    types = {
        "u": pa.int64(),
        "v": pa.string(),
        "t": pa.timestamp("us"),
        "device": pa.string(),
        "tier": pa.string(),
        "e": pa.int32(),
        "s": pa.string(),
        "ok": pa.int8(),
        "x": pa.float64(),
        "y": pa.float64(),
    }
    columns = {name: pa.array([getattr(row, name) for row in rows], kind) for name, kind in types.items()}
    return table_of(warehouse, columns)


def named(value: object) -> str:
    return "(missing)" if value is None else str(value)


def unit_values(metric: Metric, rows: list[Row], stand_in: float) -> list[float] | None:
    """A unit's part of a metric, by its definition; `None`: the unit has none."""

    def present(column: str) -> list[float]:
        return [float(value) for row in rows if (value := getattr(row, column)) is not None]

    zero = metric.absent is Absence.ZERO
    of = present(metric.of)
    match metric.kind:
        case MetricKind.RATE:
            parts = [float(any(of)) if of else None]
        case MetricKind.COUNT:
            parts = [float(len(of)) if of else None]
        case MetricKind.SUM:
            parts = [sum(of) if of else None]
        case MetricKind.MEAN:
            parts = [sum(of) / len(of) if of else None]
        case _:
            over = present(metric.over or "")
            if not zero:
                pairs = [(getattr(row, metric.of), getattr(row, metric.over or "")) for row in rows]
                both = [(x, y) for x, y in pairs if x is not None and y is not None]
                of, over = [float(x) for x, _ in both], [float(y) for _, y in both]
            parts = [sum(of) if of else None, sum(over) if over else None]
    if zero:
        parts = [0.0 if part is None else part for part in parts]
    if metric.covariates:
        before = present(metric.covariates[0].of)
        parts += [sum(before) / len(before), 0.0] if before else [stand_in, 1.0]
    whole = [part for part in parts if part is not None]
    return whole if len(whole) == len(parts) else None


def by_definition(rows: list[Row], cube: Cube, *dimensions: str) -> dict[tuple[str, ...], Cell]:
    """Only what stands in for a missing covariate is the cube's own choice."""
    arrays = cube.slices[0].metrics
    gathered: dict[tuple[str, ...], list[list[Row]]] = {}
    for unit in {row.u for row in rows}:
        mine = [row for row in rows if row.u == unit]
        first = min(mine, key=lambda row: row.t)  # the earlier in the file, of equal times
        says = {
            "day": first.t.date().isoformat(),
            "epoch": named(first.e),
            "stage": first.s,
            "device": named(first.device),
            "tier": named(first.tier),
        }
        key = (first.v, *(says[dimension] for dimension in dimensions))
        gathered.setdefault(key, []).append(mine)
    return {
        key: Cell(len(units), {m.name: moments_of(m, units, sum(arrays[m.name].stand_ins)) for m in METRICS})
        for key, units in gathered.items()
    }


def moments_of(metric: Metric, units: list[list[Row]], stand_in: float) -> Moments:
    values = [parts for rows in units if (parts := unit_values(metric, rows, stand_in)) is not None]
    width = (2 if metric.kind is MetricKind.RATIO else 1) + (2 if metric.covariates else 0)
    return Moments.from_values(np.array(values).reshape(-1, width))


def assert_same_cells(
    found: dict[tuple[str, ...], Cell], expected: dict[tuple[str, ...], Cell], scale: float = 1.0
) -> None:
    assert found.keys() == expected.keys()
    for key, cell in expected.items():
        assert found[key].units == cell.units
        for name, moments in cell.moments.items():
            mine = found[key].moments[name]
            assert mine.n == moments.n, (key, name)
            np.testing.assert_allclose(mine.mean, moments.mean, rtol=1e-9, atol=1e-9 * scale)
            np.testing.assert_allclose(mine.comoments, moments.comoments, rtol=1e-9, atol=1e-9 * scale**2)


START = datetime.fromisoformat("2025-01-06")
times = st.datetimes(START, START + timedelta(days=3)).map(
    lambda t: t.replace(microsecond=t.microsecond % 3, second=0, minute=0, hour=t.hour % 2)
)
some_numbers = st.none() | st.floats(-100, 100).map(lambda x: round(x, 2))
rows_of_few_units = st.lists(
    st.builds(
        Row,
        u=st.integers(1, 6),
        v=st.sampled_from(["a", "b"]),
        t=times,
        device=st.sampled_from(["phone", "web", None]),
        tier=st.sampled_from(["free", None]),
        e=st.sampled_from([1, 2, None]),
        s=st.sampled_from(["ab", "canary"]),
        ok=st.sampled_from([0, 1, None]),
        x=some_numbers,
        y=some_numbers,
    ),
    min_size=1,
    max_size=14,
)
few_examples = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@few_examples
@given(rows=rows_of_few_units)
def test_rows_become_units_and_units_moments_by_definition(warehouse: Warehouse, rows: list[Row]) -> None:
    cube, counts = read_table(table_of_rows(warehouse, rows), COLUMNS, METRICS)
    for chosen in ((), ("device", "tier"), ("day",), ("epoch", "stage")):
        assert_same_cells(cube.by(*chosen), by_definition(rows, cube, *chosen), 100.0)
    units = {row.u: [other for other in rows if other.u == row.u] for row in rows}
    several = {u: mine for u, mine in units.items() if len({row.v for row in mine}) > 1}
    crossed = {u: min(mine, key=lambda row: row.t).v for u, mine in several.items()}
    assert counts == UnitCounts(
        rows=len(rows),
        units=len(units),
        repeated=sum(len(mine) > 1 for mine in units.values()),
        crossovers=len(crossed),
        crossovers_by_variant={v: list(crossed.values()).count(v) for v in cube.variants},
    )


def test_a_ratio_of_missing_parts_counts_only_rows_that_have_both(warehouse: Warehouse) -> None:
    # The second arm's denominators are seen more often; the cost for each is the same in both.
    table = table_of(
        warehouse,
        {
            "u": [1, 1, 1, 2, 2, 2],
            "v": list("aaabbb"),
            "x": [10, 10, 5, 10, None, 3],
            "y": [2, 2, 1, 2, 4, None],
        },
    )
    absences = {"seen": Absence.MISSING, "all": Absence.ZERO}
    ratios = [Metric(name=n, kind=MetricKind.RATIO, of="x", over="y", absent=a) for n, a in absences.items()]
    cells = read_table(table, Columns(unit="u", variant="v"), ratios)[0].by()
    assert cells[("a",)].moments["seen"].mean.tolist() == [25.0, 5.0]
    assert cells[("b",)].moments["seen"].mean.tolist() == [10.0, 2.0]
    assert cells[("b",)].moments["all"].mean.tolist() == [13.0, 6.0]


@few_examples
@given(rows=rows_of_few_units)
def test_a_table_of_one_row_a_unit_needs_no_roll_up(warehouse: Warehouse, rows: list[Row]) -> None:
    distinct = list({row.u: row for row in rows}.values())
    table = table_of_rows(warehouse, distinct)
    plain = measure(one_row_a_unit(table, COLUMNS, METRICS), COLUMNS, METRICS)
    rolled = measure(roll_up(table, COLUMNS, METRICS), COLUMNS, METRICS)
    expected = by_definition(distinct, rolled, "day", "device")
    # The same rows are looked at, so the same number stands in.
    assert_same_cells(plain.by("day", "device"), expected, 100.0)
    assert_same_cells(rolled.by("day", "device"), expected, 100.0)


@few_examples
@given(rows=rows_of_few_units, at=st.integers(1, 6))
def test_cubes_of_units_split_anywhere_add_to_the_whole(
    warehouse: Warehouse, rows: list[Row], at: int
) -> None:
    parts = [part for part in ([r for r in rows if r.u < at], [r for r in rows if r.u >= at]) if part]
    cubes = [read_table(table_of_rows(warehouse, part), COLUMNS, METRICS)[0] for part in parts]
    total = cubes[0] if len(cubes) == 1 else cubes[0] + cubes[1]
    assert_same_cells(total.by("day", "tier"), by_definition(rows, total, "day", "tier"), 100.0)


def test_the_first_variant_does_not_depend_on_threads(warehouse: Warehouse) -> None:
    rng = np.random.default_rng(7)
    n = 300_000
    unit, variant, hour = rng.integers(0, 40_000, n), rng.integers(0, 2, n), rng.integers(0, 3, n)
    start = np.datetime64("2025-01-06T00:00:00", "us")
    table = table_of(
        warehouse,
        {
            "u": unit,
            "v": np.array(["a", "b"])[variant],
            "t": start + hour.astype("timedelta64[h]"),
            "x": hour * 1.0,
        },
    )
    firsts = np.lexsort((np.arange(n), hour, unit))
    _, at = np.unique(unit[firsts], return_index=True)
    for time, order in (("t", firsts), (None, np.lexsort((np.arange(n), unit)))):
        _, at = np.unique(unit[order], return_index=True)
        expected = np.bincount(variant[order][at])
        columns = Columns(unit="u", variant="v", time=time)
        cube, counts = read_table(table, columns, [sum_of("x")])
        assert [cube.by()[(name,)].units for name in ("a", "b")] == expected.tolist()
        assert sum(counts.crossovers_by_variant.values()) == counts.crossovers > 30_000


def test_the_first_row_is_told_by_the_microsecond_and_then_by_its_place(warehouse: Warehouse) -> None:
    late, early = START + timedelta(microseconds=2), START + timedelta(microseconds=1)
    table = table_of(
        warehouse,
        {
            "u": [1, 1, 2, 2, 3, 3],
            "v": ["late", "early", "before", "after", "z", "a"],
            "t": pa.array([late, early, START, START, late, late], pa.timestamp("us")),
            "s": [None, "x", "y", None, "z", None],
            "x": [1.0] * 6,
        },
    )
    cube, _ = read_table(table, Columns(unit="u", variant="v", time="t", segments=("s",)), [sum_of("x")])
    assert cube.by("s").keys() == {("early", "x"), ("before", "y"), ("z", "z")}


def one_row_cube(table: ibis.Table, *metrics: Metric, segments: tuple[str, ...] = ()) -> Cube:
    columns = Columns(unit="u", variant="v", segments=segments)
    return measure(one_row_a_unit(table, columns, metrics), columns, metrics)


def test_an_offset_of_a_million_keeps_the_variance_that_raw_sums_lose(warehouse: Warehouse) -> None:
    rng = np.random.default_rng(1)
    values = 1e6 + rng.random(200_000)
    table = table_of(warehouse, {"u": np.arange(len(values)), "v": ["a"] * len(values), "x": values})
    raw = fetch(table.aggregate(n=table.count(), s=table.x.sum(), q=(table.x * table.x).sum())).to_pylist()[0]
    unshifted = (raw["q"] - raw["s"] ** 2 / raw["n"]) / (raw["n"] - 1)
    truth = values.var(ddof=1)
    assert abs(unshifted - truth) > 1e-5 * truth
    assert one_row_cube(table, sum_of("x")).by()[("a",)].moments["x"].variance() == pytest.approx(
        truth, rel=1e-9
    )


def test_a_look_that_misleads_is_made_good_by_a_second_pass(warehouse: Warehouse) -> None:
    # The first units tell nothing of the others: the pivot is a million too low for one of the variants.
    rng = np.random.default_rng(2)
    low, high = rng.random(15_000), 1e6 + rng.random(15_000)
    other = rng.normal(size=30_000)
    table = table_of(
        warehouse,
        {
            "u": np.arange(30_000),
            "v": ["a"] * 15_000 + ["b"] * 15_000,
            "x": np.concatenate([low, high]),
            "y": other,
        },
    )
    adjusted = Metric(
        name="x", kind=MetricKind.MEAN, of="x", absent=Absence.MISSING, covariates=(Covariate(of="y"),)
    )
    cells = one_row_cube(table, adjusted).by()
    for key, values, before in (("a", low, other[:15_000]), ("b", high, other[15_000:])):
        truth = Moments.from_values(np.stack([values, before, np.zeros(15_000)], axis=1))
        found = cells[(key,)].moments["x"]
        np.testing.assert_allclose(found.mean, truth.mean, rtol=1e-12)
        np.testing.assert_allclose(np.diag(found.comoments), np.diag(truth.comoments), rtol=1e-9)
        assert found.comoments[0, 1] == pytest.approx(truth.comoments[0, 1], abs=1e-6)


@pytest.mark.parametrize("constants", [(9.99, 0.1), (1e6 + 0.1, 1e6 + 0.3), (0.0, 1 / 3)])
def test_equal_values_have_exactly_no_variance(warehouse: Warehouse, constants: tuple[float, float]) -> None:
    values = list(constants) * 70_001
    table = table_of(warehouse, {"u": list(range(140_002)), "v": ["a", "b"] * 70_001, "x": values})
    cells = one_row_cube(table, sum_of("x")).by()
    for key, constant in zip(("a", "b"), constants, strict=True):
        assert cells[(key,)].moments["x"].mean[0] == constant
        assert cells[(key,)].moments["x"].comoments[0, 0] == 0.0


def test_moments_are_those_of_tea_tasting(warehouse: Warehouse) -> None:
    data = tt.make_users_data(rng=42, covariates=True)
    names = ["sessions", "orders", "revenue", "orders_covariate"]
    theirs = read_aggregates(
        data,
        "variant",
        has_count=True,
        mean_cols=names,
        var_cols=names,
        cov_cols=[("orders", "sessions"), ("orders", "orders_covariate")],
    )
    metrics = [
        Metric(name="sessions", kind=MetricKind.SUM, of="sessions", absent=Absence.ZERO),
        Metric(name="revenue", kind=MetricKind.MEAN, of="revenue", absent=Absence.MISSING),
        Metric(
            name="orders_per_session",
            kind=MetricKind.RATIO,
            of="orders",
            over="sessions",
            absent=Absence.ZERO,
        ),
        Metric(
            name="orders",
            kind=MetricKind.SUM,
            of="orders",
            absent=Absence.ZERO,
            covariates=(Covariate(of="orders_covariate"),),
        ),
    ]
    table = table_of(warehouse, {name: data[name] for name in data.column_names})
    cube, counts = read_table(table, Columns(unit="user", variant="variant"), metrics)
    assert (counts.rows, counts.units) == (4000, 4000)
    for variant, aggregates in theirs.items():
        cell = cube.by()[(str(variant),)]
        assert cell.units == aggregates.count()
        for metric, parts in (
            ("sessions", ["sessions"]),
            ("revenue", ["revenue"]),
            ("orders_per_session", ["orders", "sessions"]),
            ("orders", ["orders", "orders_covariate"]),
        ):
            found = cell.moments[metric]
            if metric == "orders":
                assert found.mean[2] == 0
                assert not found.comoments[2].any()
                found = Moments(found.n, found.mean[:2], found.comoments[:2, :2])
            assert found.mean.tolist() == pytest.approx([aggregates.mean(p) for p in parts], rel=1e-9)
            variances = [found.variance(i) for i in range(len(parts))]
            assert variances == pytest.approx([aggregates.var(p) for p in parts], rel=1e-9)
            if len(parts) == 2:
                assert found.covariance()[0, 1] == pytest.approx(aggregates.cov(*parts), rel=1e-9)


@pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")  # Ibis 12 with pandas 3
def test_another_engine_agrees_within_a_billionth(warehouse: Warehouse, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    present = rng.random(n) > 0.2
    columns: dict[str, list[Any]] = {
        "u": list(range(n)),
        "v": ["ab"[i] for i in rng.integers(0, 2, n)],
        "device": [["web", None][i] for i in rng.integers(0, 2, n)],
        "ok": rng.integers(0, 2, n).tolist(),
        "x": [float(x) if p else None for x, p in zip(1e4 + rng.gamma(1, 1, n), present, strict=True)],
        "y": rng.normal(3, 1, n).tolist(),
    }
    path = tmp_path / "t.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (u INTEGER, v TEXT, device TEXT, ok INTEGER, x REAL, y REAL)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", zip(*columns.values(), strict=True))
    connection.close()
    other = ibis.sqlite.connect(path)
    ours = one_row_cube(table_of(warehouse, columns), *METRICS, segments=("device",))
    theirs = one_row_cube(other.table("t"), *METRICS, segments=("device",))
    other.disconnect()
    for key, cell in ours.by("device").items():
        for name, moments in cell.moments.items():
            found = theirs.by("device")[key].moments[name]
            assert found.n == moments.n
            np.testing.assert_allclose(found.mean, moments.mean, rtol=1e-9)
            size = np.sqrt(np.diag(moments.comoments))
            size[size == 0] = 1.0  # no unit is without the covariate
            np.testing.assert_allclose(
                found.comoments / np.outer(size, size), moments.comoments / np.outer(size, size), atol=1e-9
            )


def test_segments_too_many_to_cross_are_measured_one_at_a_time_with_the_same_answers(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    n = 5000
    table = table_of(
        warehouse,
        {
            "u": np.arange(n),
            "v": [f"v{i}" for i in rng.integers(0, 2, n)],
            "one": [f"o{i}" for i in rng.integers(0, 30, n)],
            "two": [f"t{i}" for i in rng.integers(0, 30, n)],
            "x": rng.normal(size=n),
        },
    )
    crossed = one_row_cube(table, sum_of("x"), segments=("one", "two"))
    monkeypatch.setattr("promptarena.analysis.moment_pass.MOST_CELLS", 1000)
    apart = one_row_cube(table, sum_of("x"), segments=("one", "two"))
    assert (len(crossed.slices), len(apart.slices)) == (1, 2)
    assert (apart.variants, apart.segments, apart.days) == (crossed.variants, crossed.segments, crossed.days)
    for chosen in ((), ("one",), ("two",)):
        assert_same_cells(apart.by(*chosen), crossed.by(*chosen))


def test_a_table_without_row_numbers_is_taken_in_the_engines_order(warehouse: Warehouse) -> None:
    table = table_of(warehouse, {"u": [1, 1, 2], "v": ["b", "a", "a"], "x": [1.0, 2.0, 3.0]}).drop(ROW)
    cube, counts = read_table(table, Columns(unit="u", variant="v"), [sum_of("x")])
    assert (counts.crossovers_by_variant, cube.by()[("b",)].moments["x"].mean[0]) == ({"a": 0, "b": 1}, 3.0)


def test_every_column_that_is_read_is_named_once() -> None:
    assert columns_read(COLUMNS, METRICS) == ("u", "v", "t", "e", "s", "device", "tier", "ok", "x", "y")
