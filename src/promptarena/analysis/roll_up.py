"""From rows to units: each unit's first variant, day and segment values, and its part of every metric."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

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

_WIDE: Final = dt.Decimal(38, 0)
# Above any table's combinations of names; times its rows (up to 9e9) it still fits 64 bits.
_MOST_KINDS: Final = 10**9
_MOST_PLACES: Final = Decimal(10**19)
"""Above any place times kind; with microseconds since 1970 it fits 38 digits."""


def roll_up(rows: ibis.Table, columns: Columns, metrics: Sequence[Metric]) -> ibis.Table:
    """One row a unit, lazily.

    The first row of a unit is that of the least time, then of the least row number. It says the unit's
    variant and its segment, epoch and stage values. What a metric is of many rows: rate, the greatest (1 if
    any is); count, sum; mean of the unit's values; ratio, both sums, over the rows that have both parts (over
    all rows where absence is zero: parts may then stand on different rows); a covariate, the mean.

    Args:
        rows: checked by `table_checks.check_rows`.
        columns: what its columns say.
        metrics: none of them a quantile.

    Returns:
        Columns `unit`, `variant`, `crossed` (was seen in several variants), `rows`, `day` (with a time
        column), `name_<dimension>`, and for each metric's values those of `part_names`.
    """
    typed = _typed(rows, columns, metrics)
    names = ["variant", *(f"name_{dimension}" for dimension in columns.dimensions())]
    kinds = _kinds_of_row(typed, names)
    coded = typed.join(kinds, names).drop(names)
    order = _order(coded)
    aggregates: dict[str, Any] = {
        "first": order.min(),
        "first_and_kind": (order + coded.kind).min(),
        "crossed": coded.variant_code.min() != coded.variant_code.max(),
        "rows": coded.count(),
    }
    if columns.time is not None:
        aggregates["day"] = coded.time.min().date()
    for at, metric in enumerate(metrics):
        aggregates |= dict(zip(part_names(at, metric), _parts(metric, coded, one_row=False), strict=True))
    units = coded.group_by("unit").aggregate(**aggregates)
    # The difference, not the remainder: of numbers this wide, engines take microseconds for a division.
    units = units.mutate(kind=units.first_and_kind - units["first"])
    return units.join(kinds, "kind").drop("kind", "first", "first_and_kind", "variant_code")


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
    """Names of a unit's values of one metric: value (or numerator and denominator; or a judge's score and
    people's label), then those of covariates.

    A covariate or a label may be NULL; the pass keeps such a unit.
    """
    width = 2 if metric.kind is MetricKind.RATIO or metric.audited_by is not None else 1
    width += sum(len(covariate.facts) for covariate in metric.covariates)
    return [f"part_{at}_{i}" for i in range(width)]


def may_be_missing(metric: Metric) -> bool:
    """Whether a unit may have no value of the metric."""
    return metric.absent is Absence.MISSING


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
    if metric.audited_by is not None:
        label = typed[f"number_{metric.audited_by}"]
        parts.append(label if one_row else label.mean())
    for fact in (fact for covariate in metric.covariates for fact in covariate.facts):
        before = typed[f"number_{fact}"]
        parts.append(before if one_row else before.mean())
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
        if one_row:
            return [value, over]
        if metric.absent is Absence.ZERO:
            return [value.sum(), over.sum()]
        # A part whose other half was not seen would weigh on one side alone.
        return [value.sum(where=over.notnull()), over.sum(where=value.notnull())]
    if one_row:
        return [value]
    return [
        {MetricKind.RATE: value.max, MetricKind.SUM: value.sum, MetricKind.MEAN: value.mean}[metric.kind]()
    ]


def _kinds_of_row(typed: ibis.Table, names: list[str]) -> ibis.Table:
    """Every combination of variant and other names that occurs, with a number.

    The first row's order and names are then one number, and the least of these says them all. Names as such,
    first by order, would be a state of changing size for every name and unit, which an engine cannot spill.
    """
    found = typed.select(names).distinct()
    return found.mutate(
        kind=_wide(ibis.row_number().over(order_by=names)),
        variant_code=ibis.dense_rank().over(order_by="variant").cast("int32"),
    )


def _order(coded: ibis.Table) -> Any:
    """A number that is less for an earlier row, with room below it for the kind."""
    place = _wide(coded.place * _MOST_KINDS)
    if "time" not in coded.columns:
        return place
    since = coded.time.delta(ibis.timestamp("1970-01-01 00:00:00"), unit="microsecond").cast("int64")
    return _wide(since) * ibis.literal(_MOST_PLACES, _WIDE) + place


def _wide(value: Any) -> Any:
    return value.cast(_WIDE)
