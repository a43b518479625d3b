"""From rows to units: each unit's first variant, day and segment values, and its part of every metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.datatypes as dt

from promptarena.analysis.fields import (
    Columns,
    counted_columns,
    name,
    number,
    number_columns,
    row_number,
    time,
)
from promptarena.definitions.metric import Absence, Metric, MetricKind

__all__ = ["may_be_missing", "one_row_a_unit", "part_names", "roll_up"]

_MOST_ROWS = 10**12
"""Above any table's rows; a time in microseconds times this still fits 38 digits."""


def roll_up(rows: ibis.Table, columns: Columns, metrics: Sequence[Metric]) -> ibis.Table:
    """One row a unit, lazily.

    The first row of a unit is that of the least time, then of the least row number. It says the unit's
    variant and its segment, epoch and stage values. What a metric is of many rows: rate, the greatest (1 if
    any is); count, sum; mean of the unit's values; ratio, both sums; a covariate, the mean.

    Args:
        rows: checked by `table_checks.check_rows`.
        columns: what its columns say.
        metrics: what to measure; of a quantile it is how many values the unit has, missing where it has none.

    Returns:
        Columns `unit`, `variant`, `crossed` (was seen in several variants), `rows`, `day` (with a time
        column), `name_<dimension>`, and for each metric's values those of `part_names`.
    """
    typed = _typed(rows, columns, metrics)
    aggregates: dict[str, Any] = {
        "variant": _first(typed, "variant"),
        "crossed": typed.variant.min() != typed.variant.max(),
        "rows": typed.count(),
    }
    if columns.time is not None:
        aggregates["day"] = typed.time.min().date()
    for dimension in columns.dimensions():
        aggregates[f"name_{dimension}"] = _first(typed, f"name_{dimension}")
    for at, metric in enumerate(metrics):
        aggregates |= dict(zip(part_names(at, metric), _parts(metric, typed, one_row=False), strict=True))
    return typed.group_by("unit").aggregate(**aggregates)


def one_row_a_unit(rows: ibis.Table, columns: Columns, metrics: Sequence[Metric]) -> ibis.Table:
    """The same for a table in which no unit is repeated, at no cost: nothing is grouped.

    Returns:
        The columns of `roll_up` but `crossed` and `rows`.
    """
    typed = _typed(rows, columns, metrics)
    selected: dict[str, Any] = {"unit": typed.unit, "variant": typed.variant}
    if columns.time is not None:
        selected["day"] = typed.time.date()
    for dimension in columns.dimensions():
        selected[f"name_{dimension}"] = typed[f"name_{dimension}"]
    for at, metric in enumerate(metrics):
        selected |= dict(zip(part_names(at, metric), _parts(metric, typed, one_row=True), strict=True))
    return typed.select(**selected)


def part_names(at: int, metric: Metric) -> list[str]:
    """Names of a unit's values of one metric: value (or numerator and denominator), covariate."""
    width = (2 if metric.kind is MetricKind.RATIO else 1) + (metric.covariate is not None)
    return [f"part_{at}_{i}" for i in range(width)]


def may_be_missing(metric: Metric) -> bool:
    """Whether a unit may have no value of the metric."""
    return metric.absent is Absence.MISSING or metric.covariate is not None


def _typed(rows: ibis.Table, columns: Columns, metrics: Sequence[Metric]) -> ibis.Table:
    """The rows' values in the types of an analysis, under names that cannot meet."""
    values: dict[str, Any] = {
        "unit": rows[columns.unit],
        "variant": rows[columns.variant].cast("string"),
        "place": row_number(rows),
    }
    if columns.time is not None:
        values["time"] = time(rows[columns.time])
    for dimension, column in columns.dimensions().items():
        values[f"name_{dimension}"] = name(rows[column])
    for column in number_columns(metrics):
        values[f"number_{column}"] = number(rows[column])
    for column in counted_columns(metrics):
        values[f"counted_{column}"] = rows[column].notnull().cast("int64")
    return rows.select(**values)


def _parts(metric: Metric, typed: ibis.Table, *, one_row: bool) -> list[Any]:
    parts = _measured(metric, typed, one_row)
    if metric.absent is Absence.ZERO:
        parts = [part.fill_null(0.0) for part in parts]
    if metric.covariate is not None:
        covariate = typed[f"number_{metric.covariate}"]
        parts.append(covariate if one_row else covariate.mean())
    return parts


def _measured(metric: Metric, typed: ibis.Table, one_row: bool) -> list[Any]:
    if metric.kind is MetricKind.COUNT:
        counted = typed[f"counted_{metric.of}"]
        return [(counted if one_row else counted.sum()).nullif(0).cast("float64")]
    value = typed[f"number_{metric.of}"]
    if metric.kind is MetricKind.QUANTILE:
        held = value.notnull().cast("int64") if one_row else value.count()
        return [held.nullif(0).cast("float64")]
    if metric.kind is MetricKind.RATIO:
        over = typed[f"number_{metric.over}"]
        return [value, over] if one_row else [value.sum(), over.sum()]
    if one_row:
        return [value]
    return [
        {MetricKind.RATE: value.max, MetricKind.SUM: value.sum, MetricKind.MEAN: value.mean}[metric.kind]()
    ]


@ibis.udf.agg.builtin(name="min_by")  # type: ignore[untyped-decorator]
def _min_by(value: str, order: dt.Decimal(38, 0)) -> str:  # type: ignore[empty-body, valid-type]
    """DuckDB's own function."""


def _first(typed: ibis.Table, column: str) -> Any:
    """The value of the unit's first row."""
    order = _wide(typed.place)
    if "time" in typed.columns:
        # Whole seconds first: of a fraction, engines do not agree whether `epoch_seconds` keeps it.
        seconds = _wide(typed.time.truncate("s").epoch_seconds().cast("int64"))
        microseconds = seconds * _wide(ibis.literal(1_000_000)) + _wide(typed.time.microsecond())
        order = microseconds * _wide(ibis.literal(_MOST_ROWS)) + order
    if typed.get_backend().name == "duckdb":
        # Ibis spells `argmin` for DuckDB as an ordered aggregate, which sorts every unit's rows and cannot
        # spill.
        return _min_by(typed[column], order)
    return typed[column].argmin(order)


def _wide(value: Any) -> Any:
    return value.cast(dt.Decimal(38, 0))
