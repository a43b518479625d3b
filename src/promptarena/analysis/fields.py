"""Which columns an analysis reads, and how a column's values become numbers, times and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import ibis

from promptarena.definitions.metric import Metric, MetricKind
from promptarena.storage.warehouse import ROW

__all__ = [
    "MISSING",
    "MOST_VALUES",
    "Columns",
    "columns_read",
    "counted_columns",
    "is_not_number",
    "name",
    "number",
    "number_columns",
    "row_number",
    "time",
]

MISSING: Final = "(missing)"
"""The name of a segment's, an epoch's or a stage's absent value."""
MOST_VALUES: Final = 100
"""A segment (or a variant column) with more values than this is taken for a mistake."""

# Words that stand for an absent number; of a name they are names (NA is Namibia).
_ABSENT_WORDS: Final = ("", "na", "n/a", "null", "none")
_TRUE, _FALSE = "true", "false"
# Epoch numbers are told by their size: seconds are 1973 to 5138, milliseconds the same.
_SECONDS_FROM, _SECONDS_BELOW = 1e8, 1e11
_MILLISECONDS_BELOW: Final = 1e14


@dataclass(frozen=True)
class Columns:
    """Which column of a table says what."""

    unit: str
    variant: str
    time: str | None = None
    """When the row happened; a unit's cohort is the UTC day of its first row."""
    segments: tuple[str, ...] = ()
    epoch: str | None = None
    stage: str | None = None

    def dimensions(self) -> dict[str, str]:
        """Column by dimension for the named ones beside variant and day: `epoch`, `stage`, then segments."""
        named = {"epoch": self.epoch, "stage": self.stage}
        return {k: v for k, v in named.items() if v is not None} | {name: name for name in self.segments}


def columns_read(columns: Columns, metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Every column name that is read, once."""
    named = [columns.unit, columns.variant, columns.time, *columns.dimensions().values()]
    read = [name for name in named if name is not None] + number_columns(metrics) + counted_columns(metrics)
    return tuple(dict.fromkeys(read))


def number_columns(metrics: Sequence[Metric]) -> list[str]:
    """Columns that must hold numbers."""
    named = [
        column
        for metric in metrics
        for column in (
            None if metric.kind is MetricKind.COUNT else metric.of,
            metric.over,
            metric.audited_by,
            *(fact for covariate in metric.covariates for fact in covariate.facts),
        )
    ]
    return list(dict.fromkeys(column for column in named if column is not None))


def counted_columns(metrics: Sequence[Metric]) -> list[str]:
    """Columns of which only presence matters."""
    return list(dict.fromkeys(metric.of for metric in metrics if metric.kind is MetricKind.COUNT))


def number(column: Any) -> Any:
    """A column as a number, NULL where there is none: booleans are 0 and 1, text is read."""
    if not column.type().is_string():
        return column.cast("float64")
    # Words are looked at only where no number was read: for most rows that is never.
    value = column.try_cast("float64")
    word = column.strip().lower()
    return ibis.ifelse(value.notnull(), value, ibis.cases((word == _TRUE, 1.0), (word == _FALSE, 0.0)))


def is_not_number(column: Any) -> Any:
    """Where text stands that is neither a number nor a word for an absent one."""
    if not column.type().is_string():
        return ibis.literal(False)
    other = column.notnull() & ~column.strip().lower().isin((*_ABSENT_WORDS, _TRUE, _FALSE))
    return ibis.ifelse(column.try_cast("float64").isnull(), other, False)


def name(column: Any) -> Any:
    """A column as a dimension's value: text, never NULL."""
    return column.cast("string").fill_null(MISSING)


def time(column: Any) -> Any:
    """A column as a UTC timestamp, NULL where it is not one.

    Timestamps with a zone, without one (taken as UTC), dates, ISO 8601 text of each, and epoch seconds or
    milliseconds as numbers or as text.
    """
    kind = column.type()
    if kind.is_timestamp() or kind.is_date():
        return column.cast("timestamp(6)")
    if kind.is_string():
        written = _from_iso(column)
        other = ibis.coalesce(_from_iso(column.strip()), _from_epoch(column.try_cast("float64")))
        return ibis.ifelse(written.notnull(), written, other)
    return _from_epoch(column.cast("float64"))


def row_number(rows: ibis.Table) -> Any:
    """Where a row stands in its file; of a table that has no such column, in the engine's own order."""
    return rows[ROW] if ROW in rows.columns else ibis.row_number()


def _from_iso(text: Any) -> Any:
    # The engine reads other forms too (such as `infinity`); only a year at the start is sure to be a date.
    dated = ibis.ifelse(text.substr(4, 1) == "-", text, ibis.null("string"))
    # A cast to a plain timestamp overlooks a zone; one to a timestamp with a zone is six times slower.
    signed = text.contains("+") | text.substr(10).contains("-")
    plain = ~signed & (text.right(1) <= "9")
    zoned = dated.try_cast("timestamp('UTC')").cast("timestamp(6)")
    return ibis.ifelse(plain, dated.try_cast("timestamp(6)"), zoned)


def _from_epoch(value: Any) -> Any:
    seconds = ibis.cases(
        ((value >= _SECONDS_FROM) & (value < _SECONDS_BELOW), value),
        ((value >= _SECONDS_BELOW) & (value < _MILLISECONDS_BELOW), value / 1000),
        else_=ibis.null("float64"),
    )
    return (seconds * 1_000).round().cast("int64").as_timestamp("ms").cast("timestamp(6)")
