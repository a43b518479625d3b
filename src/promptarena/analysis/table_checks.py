"""What a table must not hold: looked for in one query over all rows, told all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ibis

from promptarena.analysis.fields import (
    MOST_VALUES,
    Columns,
    columns_read,
    is_not_number,
    number,
    number_columns,
    row_number,
    time,
)
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.errors import DataError, Location, Problem, UsageError
from promptarena.storage.table_file import missing_columns
from promptarena.storage.warehouse import fetch

__all__ = ["Locate", "RowFacts", "check_rows", "nowhere", "too_many_values"]

# The count of values is an estimate here; the exact one, of units, comes with the pass.
_SURELY_TOO_MANY: Final = 3 * MOST_VALUES

# What lies outside stands for no time at all (0 in seconds, 9999-12-31), and would make a cohort of its own.
_EARLIEST, _LATEST = "2000-01-01", "2100-01-01"

_OTHER_DIMENSIONS: Final = ("variant", "day", "epoch", "stage")

Locate = Callable[[int | None, str | None], Location]
"""From a row (from 0) and a column to the place in a file."""


@dataclass(frozen=True, slots=True)
class RowFacts:
    """What the check has learned on its way."""

    rows: int
    units: int
    """Distinct ones."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One thing that no row may be."""

    column: str
    broken: Any
    says: str
    """What is wrong, with `{value}` for the first value that is."""
    hint: str | None = None


def nowhere(row: int | None, column: str | None) -> Location:
    """The place of a row in a table that is no file: only its column is known."""
    del row
    return Location(field=column)


def check_rows(
    rows: ibis.Table, columns: Columns, metrics: Sequence[Metric], locate: Locate = nowhere
) -> RowFacts:
    """Look at every row once.

    Raises:
        DataError: a column is missing or of a wrong type, there are no rows, a unit, variant or time is
            missing, a time lies outside 2000 to 2100, text or NaN or infinity stands for a number, a rate's
            value is neither true nor false, or a segment plainly is none.
        UsageError: a metric that moments cannot tell, or a segment with the name of another dimension.
    """
    _check_request(columns, metrics)
    file = locate(None, None).file
    if problems := missing_columns(columns_read(columns, metrics), rows.columns, file):
        raise DataError(problems)
    if problems := _wrong_types(rows, columns, metrics, locate):
        raise DataError(problems)
    rules = _rules(rows, columns, metrics)
    place = row_number(rows)
    named = {"variant": columns.variant} | {segment: segment for segment in columns.segments}
    marked = rows.select(
        unit=rows[columns.unit],
        place=place,
        **{f"named_{dimension}": rows[column] for dimension, column in named.items()},
        **{f"broken_{i}": rule.broken for i, rule in enumerate(rules)},
    )
    counted = {"rows": marked.count(), "units": marked.unit.nunique()}
    for dimension in named:
        counted[f"values_{dimension}"] = marked[f"named_{dimension}"].approx_nunique()
    for i in range(len(rules)):
        broken = marked[f"broken_{i}"]
        counted |= {f"count_{i}": broken.sum(), f"first_{i}": marked.place.min(where=broken)}
    [found] = fetch(marked.aggregate(**counted)).to_pylist()
    if found["rows"] == 0:
        raise DataError("It has columns but no rows.", where=locate(None, None))
    problems = [
        _told(rows, rule, found[f"count_{i}"], found[f"first_{i}"], locate)
        for i, rule in enumerate(rules)
        if found[f"count_{i}"]
    ]
    for dimension in named:
        if (count := found[f"values_{dimension}"]) > _SURELY_TOO_MANY:
            problems.append(too_many_values(dimension, columns, count, locate))
    if problems:
        raise DataError(problems)
    return RowFacts(found["rows"], found["units"])


def too_many_values(dimension: str, columns: Columns, count: int, locate: Locate = nowhere) -> Problem:
    """What is wrong with a variant or a segment column that has so many values."""
    if dimension == "variant":
        hint = "Name the column that says which variant a unit met."
        return Problem(
            f"The column has {count} values, too many for variants.", locate(None, columns.variant), hint
        )
    hint = f"A segment has at most {MOST_VALUES}; group them, or leave it out."
    return Problem(f"The segment has {count} values.", locate(None, dimension), hint)


def _check_request(columns: Columns, metrics: Sequence[Metric]) -> None:
    for segment in columns.segments:
        if segment in _OTHER_DIMENSIONS:
            hint = "Rename the column."
            raise UsageError(f"A segment cannot be called `{segment}`: that is a dimension.", hint=hint)
    for metric in metrics:
        if metric.kind is MetricKind.QUANTILE and metric.q is None:
            raise UsageError(f"`{metric.name}` is a quantile without its share (`q`).")
        if metric.kind is MetricKind.RATIO and metric.over is None:
            raise UsageError(f"`{metric.name}` is a ratio without its denominator (`over`).")


def _wrong_types(
    rows: ibis.Table, columns: Columns, metrics: Sequence[Metric], locate: Locate
) -> list[Problem]:
    problems = []
    for column in number_columns(metrics):
        kind = rows[column].type()
        if not (kind.is_numeric() or kind.is_boolean() or kind.is_string()):
            problems.append(Problem(f"Numbers are due here, not {kind}.", locate(None, column)))
    if columns.time is not None:
        kind = rows[columns.time].type()
        if not (kind.is_timestamp() or kind.is_date() or kind.is_string() or kind.is_numeric()):
            problems.append(Problem(f"Times are due here, not {kind}.", locate(None, columns.time)))
    return problems


def _rules(rows: ibis.Table, columns: Columns, metrics: Sequence[Metric]) -> list[_Rule]:
    rules = [
        _Rule(columns.unit, rows[columns.unit].isnull(), "The unit is missing"),
        _Rule(columns.variant, rows[columns.variant].isnull(), "The variant is missing"),
    ]
    if columns.time is not None:
        hint = (
            "Accepted are ISO 8601 dates and times (without a zone: UTC), and epoch seconds or milliseconds."
        )
        says = f"{{value}} is not a time between {_EARLIEST} and {_LATEST}"
        rules.append(_Rule(columns.time, ~_usual_time(rows[columns.time]), says, hint))
    rates = {metric.of for metric in metrics if metric.kind is MetricKind.RATE}
    for column in number_columns(metrics):
        raw, value = rows[column], number(rows[column])
        if raw.type().is_string():
            hint = "Write 1234.5; an empty field or NA is a missing value."
            rules.append(_Rule(column, is_not_number(raw), "{value} is not a number", hint))
        if raw.type().is_string() or raw.type().is_floating():
            hint = "Leave the field empty where there is no value."
            rules.append(_Rule(column, value.isnan(), "NaN is not a value", hint))
            rules.append(_Rule(column, value.isinf(), "{value} is not a finite number", hint))
        if column in rates and not raw.type().is_boolean():
            finite = value.notnull() & ~value.isnan() & ~value.isinf()
            hint = "A rate is of 1 and 0, or true and false; a number may be a mean or a sum."
            rules.append(_Rule(column, finite & ~value.isin((0.0, 1.0)), "{value} is neither 0 nor 1", hint))
    return rules


def _usual_time(column: Any) -> Any:
    # One comparison: the engine reads a time anew for each expression that asks for it.
    ends = (ibis.timestamp(f"{day} 00:00:00") for day in (_EARLIEST, _LATEST))
    return time(column).between(*ends).fill_null(False)


def _told(rows: ibis.Table, rule: _Rule, count: int, first: int, locate: Locate) -> Problem:
    numbered = rows.select(value=rows[rule.column].cast("string"), place=row_number(rows))
    [answer] = fetch(numbered.filter(numbered.place == first).select("value").limit(1)).to_pylist()
    value = answer["value"]
    where = locate(first, rule.column)
    message = rule.says.format(value="an empty value" if value is None else f"`{value[:60]}`")
    row = "here" if where.line is not None else f"row {first + 1}"
    which = f" ({count} rows have this, {row} first)" if count > 1 else "" if row == "here" else f" ({row})"
    return Problem(f"{message}{which}.", where, rule.hint)
