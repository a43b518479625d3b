"""Values that must not be are told all at once, with how many they are and the line of the first."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from promptarena.analysis.cube import Cube
from promptarena.analysis.fields import MOST_VALUES
from promptarena.analysis.metric_query import Columns, measure, one_row_a_unit, read_table
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.errors import DataError, UsageError
from promptarena.storage.table_file import open_table

COLUMNS = Columns(unit="u", variant="v")
MEAN = Metric(name="x", kind=MetricKind.MEAN, of="x", absent=Absence.MISSING)
RATE = Metric(name="x", kind=MetricKind.RATE, of="x", absent=Absence.ZERO)
TIMED = Columns(unit="u", variant="v", time="t")


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "t.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(path: Path, columns: Columns, *metrics: Metric) -> Cube:
    with open_table(path) as table:
        return read_table(table.rows, columns, metrics, locate=table.locate)[0]


@pytest.mark.parametrize(
    ("lines", "columns", "metric", "says"),
    [
        (
            ["u,v,x", "1,a,3", "2,b,lots", "3,a,more"],
            COLUMNS,
            MEAN,
            r"t\.csv:3 \(x\): `lots` is not a number \(2 rows have this, here first\)\. Write 1234\.5",
        ),
        (["u,v,x", "1,a,3", '2,b,"1,5"'], COLUMNS, MEAN, r"t\.csv:3 \(x\): `1,5` is not a number\. Write"),
        (["u,v,x", '1,"a', 'b",3', "2,b,x7"], COLUMNS, MEAN, r"t\.csv:4 \(x\): `x7` is not a number"),
        (
            ["u,v,x", "1,a,3", "2,b,NaN", "3,b,nan"],
            COLUMNS,
            MEAN,
            r"t\.csv:3 \(x\): NaN is not a value \(2 rows",
        ),
        (
            ["u,v,x", "1,a,3", "2,b,-inf"],
            COLUMNS,
            MEAN,
            r"t\.csv:3 \(x\): `-inf` is not a finite number\. Leave",
        ),
        (["u,v,x", "1,a,1e999"], COLUMNS, MEAN, r"t\.csv:2 \(x\): `1e999` is not a finite number"),
        (
            ["u,v,x", "1,a,1", "2,a,0.5"],
            COLUMNS,
            RATE,
            r"t\.csv:3 \(x\): `0\.5` is neither 0 nor 1.*mean or a sum",
        ),
        (["u,v,x", "1,a,3", ",b,1", ",b,2"], COLUMNS, MEAN, r"t\.csv:3 \(u\): The unit is missing \(2 rows"),
        (["u,v,x", "1,,3"], COLUMNS, MEAN, r"t\.csv:2 \(v\): The variant is missing"),
        (
            ["u,v,x,t", "1,a,3,2025-01-06", "2,b,1,6 January"],
            TIMED,
            MEAN,
            r"t\.csv:3 \(t\): `6 January` is not a time between 2000-01-01 and 2100-01-01\. Accepted are ISO",
        ),
        (["u,v,x,t", "1,a,3,20250106"], TIMED, MEAN, r"`20250106` is not a time"),
        (
            ["u,v,x,t", "1,a,3,2026-03-01", "2,a,3,1970-01-01", "3,a,4,9999-12-31"],
            TIMED,
            MEAN,
            r"t\.csv:3 \(t\): `1970-01-01` is not a time between 2000-01-01 and 2100-01-01 \(2 rows",
        ),
        (["u,v,x,t", "1,a,3,2100-01-02T00:00:00+05:00"], TIMED, MEAN, r"`2100-01-02T.*` is not a time"),
        (["u,v,x,t", "1,a,3,0044-03-15 (BC)"], TIMED, MEAN, r"`0044-03-15 \(BC\)` is not a time between"),
        (["u,v,x,t", "1,a,3,946684799"], TIMED, MEAN, r"`946684799` is not a time between"),
        (["u,v,x,t", "1,a,3,infinity"], TIMED, MEAN, r"`infinity` is not a time"),
        (["u,v,x,t", "1,a,3,"], TIMED, MEAN, r"t\.csv:2 \(t\): an empty value is not a time"),
        (["u,v,y", "1,a,3"], COLUMNS, MEAN, r"t\.csv: There is no column `x`.*The columns are `u`, `v`, `y`"),
    ],
)
def test_a_value_that_must_not_be_has_its_line(
    tmp_path: Path, lines: list[str], columns: Columns, metric: Metric, says: str
) -> None:
    with pytest.raises(DataError, match=says):
        read(csv(tmp_path, *lines), columns, metric)


def test_all_problems_come_together(tmp_path: Path) -> None:
    path = csv(tmp_path, "u,v,x,t", "1,a,ten,2025-01-06", "2,,NaN,yesterday")
    with pytest.raises(DataError) as caught:
        read(path, TIMED, MEAN)
    places = [(p.where.line, p.where.field) for p in caught.value.problems if p.where is not None]
    assert places == [(3, "v"), (3, "t"), (2, "x"), (3, "x")]


def test_the_last_line_of_a_million_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "SELECT i AS u, 'a' AS v, if(i = 999998, 'oops', '1.5') AS x FROM range(999999) AS t(i)"
    duckdb.sql(f"COPY ({rows}) TO '{path}'")
    with pytest.raises(DataError, match=r"t\.csv:1000000 \(x\): `oops` is not a number"):
        read(path, COLUMNS, MEAN)


def parquet(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "t.parquet")
    return folder / "t.parquet"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            [1.0, float("nan"), float("nan")],
            r"t\.parquet \(x\): NaN is not a value \(2 rows have this, row 2 first\)",
        ),
        ([1.0, 2.0, float("inf")], r"t\.parquet \(x\): `inf` is not a finite number \(row 3\)"),
        (["1", "two", None], r"t\.parquet \(x\): `two` is not a number \(row 2\)"),
        ([[1], [2], [3]], r"\(x\): Numbers are due here, not array<int64>"),
    ],
)
def test_a_file_without_lines_has_row_numbers(tmp_path: Path, values: list[Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(parquet(tmp_path, u=[1, 2, 3], v=["a", "b", "a"], x=values), COLUMNS, MEAN)


def test_times_of_a_wrong_type_are_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, u=[1], v=["a"], x=[1.0], t=[True])
    with pytest.raises(DataError, match=r"\(t\): Times are due here, not boolean"):
        read(path, TIMED, MEAN)


def test_a_typed_time_far_off_is_refused(tmp_path: Path) -> None:
    times = [datetime.fromisoformat(each) for each in ("2026-03-01", "1999-12-31 23:59")]
    with pytest.raises(DataError, match=r"\(t\): `1999-12-31 23:59:00.*` is not a time .* \(row 2\)"):
        read(parquet(tmp_path, u=[1, 2], v=["a", "a"], x=[1.0, 2.0], t=times), TIMED, MEAN)


def test_the_ends_of_the_century_are_times(tmp_path: Path) -> None:
    path = csv(tmp_path, "u,v,x,t", "1,a,3,2000-01-01", "2,a,3,2100-01-01T00:00:00Z", "3,a,4,946684800")
    days = read(path, TIMED, MEAN).days
    assert days == (date(2000, 1, 1), date(2100, 1, 1))


def test_a_missing_number_is_no_mistake(tmp_path: Path) -> None:
    moments = read(csv(tmp_path, "u,v,x", "1,a,", "2,a,NA", "3,a,4"), COLUMNS, MEAN).by()[("a",)].moments
    assert (moments["x"].n, moments["x"].mean[0]) == (1, 4.0)


def test_numbers_too_large_to_square_are_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path, u=[1, 2, 3], v=["a", "a", "a"], x=[1e200, -1e200, 3.0])
    with pytest.raises(DataError, match=r"\(x\): Values of `x` are NaN, infinite, or too large"):
        read(path, COLUMNS, MEAN)


def test_unchecked_units_with_nan_are_refused_by_the_pass(tmp_path: Path) -> None:
    path = parquet(tmp_path, u=[1, 2], v=["a", "a"], x=[1.0, float("nan")])
    with open_table(path) as table, pytest.raises(DataError, match="NaN, infinite"):
        measure(one_row_a_unit(table.rows, COLUMNS, [MEAN]), COLUMNS, [MEAN])


@pytest.mark.parametrize("repeats", [1, 200])
def test_a_segment_or_variant_with_too_many_values_is_refused(tmp_path: Path, repeats: int) -> None:
    # With repeats the first units show one value only: the look is passed, the pass is not.
    n = 150 * repeats
    many = np.repeat([f"s{i:03}" for i in range(150)], repeats)
    path = parquet(tmp_path, u=np.arange(n), v=["a", "b"] * (n // 2), x=np.ones(n), s=many)
    with pytest.raises(DataError, match=rf"\(s\): The segment has 150 values\..*at most {MOST_VALUES}"):
        read(path, Columns(unit="u", variant="v", segments=("s",)), MEAN)
    with pytest.raises(DataError, match=r"\(s\): The column has 150 values, too many for variants"):
        read(path, Columns(unit="u", variant="s"), MEAN)


def test_a_metric_that_does_not_say_of_what_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "u,v,x", "1,a,1")
    quantile = Metric(name="p95", kind=MetricKind.QUANTILE, of="x", absent=Absence.MISSING)
    with pytest.raises(UsageError, match="`p95` is a quantile without its share"):
        read(path, COLUMNS, quantile)
    ratio = Metric(name="r", kind=MetricKind.RATIO, of="x", absent=Absence.ZERO)
    with pytest.raises(UsageError, match="`r` is a ratio without its denominator"):
        read(path, COLUMNS, ratio)


def test_a_segment_with_the_name_of_a_dimension_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "u,v,x,day", "1,a,1,monday")
    with pytest.raises(UsageError, match="A segment cannot be called `day`"):
        read(path, Columns(unit="u", variant="v", segments=("day",)), MEAN)


def test_a_damaged_page_is_our_message_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    path = parquet(tmp_path, u=np.arange(50_000), v=["a"] * 50_000, x=rng.normal(size=50_000))
    content = bytearray(path.read_bytes())
    content[200_000:400_000] = rng.bytes(200_000)
    path.write_bytes(content)
    with pytest.raises(DataError, match="could not be read"):
        read(path, COLUMNS, MEAN)
