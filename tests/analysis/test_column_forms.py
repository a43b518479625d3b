"""Times, numbers and rates are read from whatever form a table has them in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tests.analysis.tables import sum_of, table_of

from promptarena.analysis.metric_query import (
    Columns,
    read_table,
)
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.stats.moments import Moments
from promptarena.storage.warehouse import Warehouse

LATE, EARLY = datetime(2025, 1, 6, 23, 30, tzinfo=UTC), datetime(2025, 1, 7, 0, 30, tzinfo=UTC)
NAIVE_LATE, NAIVE_EARLY = LATE.replace(tzinfo=None), EARLY.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([NAIVE_LATE, NAIVE_EARLY], pa.timestamp("us")),
        ([NAIVE_LATE, NAIVE_EARLY], pa.timestamp("ns")),
        (
            [LATE, EARLY],
            pa.timestamp("us", "UTC"),
        ),
        (
            [LATE, EARLY],
            pa.timestamp("us", "America/New_York"),
        ),
        ([date(2025, 1, 6), date(2025, 1, 7)], pa.date32()),
        ([1736206200, 1736209800], pa.int64()),
        ([1736206200.25, 1736209800.5], pa.float64()),
        ([1736206200000, 1736209800000], pa.int64()),
        (["2025-01-06", "2025-01-07"], pa.string()),
        (["2025-01-06 23:30:00", " 2025-01-07T00:30"], pa.string()),
        (["2025-01-07T01:30:00+02:00", "2025-01-06T19:30:00.123-05:00"], pa.string()),
        (["2025-01-06T23:30:00Z", "2025-01-07 00:30:00 UTC"], pa.string()),
        (["1736206200", "1736209800.5"], pa.string()),
    ],
)
def test_times_of_every_accepted_form_fall_on_their_utc_day(
    warehouse: Warehouse, values: list[Any], kind: pa.DataType
) -> None:
    table = table_of(warehouse, {"u": [1, 2], "v": ["a", "b"], "t": pa.array(values, kind), "x": [1.0, 2.0]})
    cube, _ = read_table(table, Columns(unit="u", variant="v", time="t"), [sum_of("x")])
    assert cube.by("day").keys() == {("a", "2025-01-06"), ("b", "2025-01-07")}
    assert cube.days == (date(2025, 1, 6), date(2025, 1, 7))


def test_text_is_read_as_the_numbers_it_says(warehouse: Warehouse) -> None:
    written = ["1", " 2.5 ", "1e3", "-4", "", "NA", "null", None, "True", "FALSE"]
    meant = [1.0, 2.5, 1000.0, -4.0, None, None, None, None, 1.0, 0.0]
    rate = Metric(name="ok", kind=MetricKind.RATE, of="ok", absent=Absence.MISSING)
    table = table_of(
        warehouse,
        {
            "u": [f"u{i}" for i in range(10)],
            "v": ["a"] * 10,
            "x": pa.array(written, pa.string()),
            "ok": pa.array(["1", "0", "true", "False", "", "1.0", None, "0", "1", "1"], pa.string()),
        },
    )
    cube, _ = read_table(table, Columns(unit="u", variant="v"), [sum_of("x"), rate])
    moments = cube.by()[("a",)].moments
    truth = Moments.from_values(np.array([x for x in meant if x is not None]))
    assert moments["x"].n == 6
    np.testing.assert_allclose(moments["x"].comoments, truth.comoments, rtol=1e-12)
    assert (moments["ok"].n, moments["ok"].mean[0]) == (8, 5 / 8)


def test_booleans_and_decimals_are_numbers_too(warehouse: Warehouse) -> None:
    from decimal import Decimal

    table = table_of(
        warehouse,
        {
            "u": [1, 2, 3],
            "v": ["a"] * 3,
            "b": pa.array([True, False, None]),
            "d": pa.array([Decimal("1.25"), Decimal("2.50"), None], pa.decimal128(10, 2)),
        },
    )
    rate = Metric(name="b", kind=MetricKind.RATE, of="b", absent=Absence.ZERO)
    moments = read_table(table, Columns(unit="u", variant="v"), [rate, sum_of("d")])[0].by()[("a",)].moments
    assert moments["b"].mean[0] == pytest.approx(1 / 3)
    assert moments["d"].mean[0] == 1.875
