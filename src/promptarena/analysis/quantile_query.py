"""Two queries a column for its quantiles: values counted by bin in every cell, and the values in a few bins.

The first gives counts whose running sums tell the error of any quantile with units as clusters (see
`stats.clustered_counts`), in any cells put together. The second reads what the bins that hold a quantile have
inside, a thousandth of a bin at a time, which makes the quantiles those of the values themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np
from numpy.typing import NDArray

from promptarena.analysis.fields import Columns, number
from promptarena.analysis.roll_up import one_row_a_unit, part_names
from promptarena.analysis.value_counts import COUNTED, CellEntries, ValueCounts
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.errors import DataError, Location
from promptarena.stats.quantiles import BIN_RATIO, SMALLEST, bin_edges
from promptarena.storage.warehouse import fetch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_LINES", "count_column", "count_values"]

MOST_LINES: Final = 2_000_000
"""Beyond so many counts for all segments crossed, each segment dimension is counted by itself."""
_PARTS_OF_A_BIN: Final = 1_000
_APART: Final = 16
"""Bins further apart than this are looked for in two ranges of values."""

Integers = NDArray[np.int64]


def count_values(
    rows: ibis.Table,
    units: ibis.Table | None,
    columns: Columns,
    metrics: Sequence[Metric],
    most: int = MOST_LINES,
) -> dict[str, ValueCounts]:
    """The values of every column of which a quantile is asked, by column.

    Args:
        rows: checked by `table_checks.check_rows`.
        units: as `roll_up.roll_up` makes them, held; `None` where no unit is repeated.
        columns: what the columns say.
        metrics: as given to `roll_up`; those that are no quantiles are passed over.
        most: how many lines the answer to a query may have.

    Raises:
        DataError: there are more lines than that without any segment.
    """
    asked: dict[str, list[float]] = {}
    for metric in metrics:
        if metric.kind is MetricKind.QUANTILE and metric.q is not None:
            asked.setdefault(metric.of, []).append(metric.q)
    return {
        column: count_column(_values(rows, units, columns, metrics, column), columns, column, shares, most)
        for column, shares in asked.items()
    }


def count_column(
    values: ibis.Table, columns: Columns, column: str, shares: Sequence[float], most: int = MOST_LINES
) -> ValueCounts:
    """The values of one column.

    Args:
        values: one row a value: `value`, `held` (how many values its unit has), `variant`, `day` and
            `name_<dimension>`; `unit` too, where a unit may have several.
        columns: which dimensions there are.
        column: what it is called, for errors.
        shares: the quantiles that are asked of it.
        most: how many lines the answer to a query may have.

    Raises:
        DataError: there are more lines than that without any segment.
    """
    values = _with_place(values)
    time = ["day"] if columns.time is not None else []
    named = [name for name in columns.dimensions() if name not in columns.segments]
    shared = ("variant", *time, *named)
    whole = _counts(values, (*shared, *columns.segments), most)
    if whole is not None:
        slices = [whole]
    else:
        crossed = [shared, *((*shared, segment) for segment in columns.segments)]
        slices = [part for dimensions in crossed if (part := _counts(values, dimensions, most)) is not None]
        if not slices or slices[0].dimensions != shared:
            message = f"`{column}` has too many distinct values by {', '.join(shared)} to be counted."
            raise DataError(message, where=Location(field=column), hint="Ask for its mean instead.")
    near = tuple(name for name in shared if name != "stage")
    return ValueCounts(tuple(slices), _near(values, near, _bins_of_quantiles(slices[0], shares, most)))


def _values(
    rows: ibis.Table, units: ibis.Table | None, columns: Columns, metrics: Sequence[Metric], column: str
) -> ibis.Table:
    """One row a value: `value`, the unit's dimensions, and `held`, how many values the unit has.

    `rank` is there only where units are repeated: how many of the unit's values come before, by bin.
    """
    names = ["variant", *(["day"] if columns.time is not None else [])]
    names += [f"name_{dimension}" for dimension in columns.dimensions()]
    if units is None:
        plain = Metric(name=column, kind=MetricKind.MEAN, of=column, absent=Absence.MISSING)
        [part] = part_names(0, plain)
        table = one_row_a_unit(rows, columns, [plain])
        table = table.filter(table[part].notnull())
        return table.select(*names, value=table[part], held=ibis.literal(1, "int64"))
    typed = rows.select(unit=rows[columns.unit], value=number(rows[column]))
    typed = typed.filter(typed.value.notnull())
    at = next(
        i for i, metric in enumerate(metrics) if metric.kind is MetricKind.QUANTILE and metric.of == column
    )
    part = part_names(at, metrics[at])[0]
    known = units.select("unit", *names, held=units[part].cast("int64"))
    return typed.join(known, "unit")


def _with_place(values: ibis.Table) -> ibis.Table:
    """With `place`: how many bins a value is away from the smallest, as a fraction."""
    size = ibis.greatest(values["value"].abs(), ibis.literal(SMALLEST)) / SMALLEST
    return values.mutate(place=size.ln() / math.log(BIN_RATIO))


def _bin(values: ibis.Table) -> Any:
    """As `stats.quantiles.bin_of`."""
    value = values["value"]
    # All of one type: beside a literal such as 0.0 engines go through decimal numbers, seven times as slowly.
    steps = values.place.floor().cast("int32") + ibis.literal(1, "int32")
    nothing = ibis.literal(0, "int32")
    return ibis.cases((value.abs() < SMALLEST, nothing), (value < 0, -steps), else_=steps)


def _key(values: ibis.Table, dimension: str) -> Any:
    return values[dimension if dimension in ("variant", "day") else f"name_{dimension}"]


def _counts(values: ibis.Table, dimensions: tuple[str, ...], most: int) -> CellEntries | None:
    """The first query; none if its answer is too long."""
    several = "unit" in values.columns
    kept = {dimension: _key(values, dimension) for dimension in dimensions} | {"bin": _bin(values)}
    if several:
        kept |= {"unit": values.unit, "held": values.held}
    table = values.select(**kept)
    if several:
        # From 0, and in any order among values of one bin.
        table = table.mutate(rank=ibis.row_number().over(group_by=table.unit, order_by=table.bin))
    sums: dict[str, Any] = {"count": table.count()}
    if several:
        sums |= {
            "units": (table["rank"] == 0).sum(),
            "squares": (2 * table["rank"] + 1).sum(),
            "products": table.held.sum(),
        }
    answer = fetch(table.group_by([*dimensions, "bin"]).aggregate(**sums).limit(most + 1))
    if answer.num_rows > most:
        return None
    # A unit with one value is its own rank, and raises each of the sums by one.
    names = COUNTED if several else ("bin", "count", "count", "count", "count")
    return _entries(
        answer,
        dimensions,
        {column: _numbers(answer, name, "int64") for column, name in zip(COUNTED, names, strict=True)},
    )


def _bins_of_quantiles(counted: CellEntries, shares: Sequence[float], most: int) -> Integers:
    """The bins that hold the quantiles of every variant and epoch, up to the end of every day.

    Where those of the days together have too many values, only the last day's are taken.
    """
    timed = "day" in counted.dimensions
    dimensions = ["variant", *(name for name in ("epoch", "day") if name in counted.dimensions)]
    bins, at = np.unique(counted.columns["bin"], return_inverse=True)
    by_group: dict[tuple[str, ...], list[NDArray[np.int64]]] = {}
    total = np.zeros(len(bins), np.int64)
    indexed = CellEntries(
        counted.dimensions, counted.keys, counted.cell, {"at": at, "count": counted.columns["count"]}
    )
    for key, lines in indexed.by(tuple(dimensions)):
        counts = np.zeros(len(bins), np.int64)
        np.add.at(counts, lines["at"].astype(np.int64), lines["count"])
        total += counts
        by_group.setdefault(key[:-1] if timed else key, []).append(counts)
    daily, last = set[int](), set[int]()
    for days in by_group.values():
        running = np.cumsum(np.stack(days), axis=0)
        for i, counts in enumerate(running):
            found = _positions(counts, shares)
            daily |= found
            last = last | found if i == len(running) - 1 else last
    chosen = sorted(daily if sum(int(total[position]) for position in daily) <= most else last)
    return np.asarray(bins[chosen], dtype=np.int64)


def _positions(counts: Integers, shares: Sequence[float]) -> set[int]:
    """Where the two values are between which each quantile lies."""
    below = np.cumsum(counts)
    ranks = [rank for q in shares for rank in _neighbours(q, int(below[-1]))]
    return {int(position) for position in np.searchsorted(below, ranks, side="right")}


def _neighbours(q: float, total: int) -> tuple[int, int]:
    low = min(math.floor(q * (total - 1)), total - 1)
    return low, min(low + 1, total - 1)


def _near(values: ibis.Table, dimensions: tuple[str, ...], bins: Integers) -> CellEntries:
    """The second query: the least value of each thousandth of those bins, and how many there are."""
    if len(bins) == 0:
        nothing = {name: np.zeros(0, np.int64) for name in ("bin", "value", "count")}
        return CellEntries(dimensions, (), np.zeros(0, np.int64), nothing)
    # Few values are in these ranges, and to compare is cheaper than to take logarithms.
    apart = np.flatnonzero(np.diff(bins) > _APART) + 1
    ranges = [
        (bin_edges(int(run[0] - 1))[0], bin_edges(int(run[-1] + 1))[1]) for run in np.split(bins, apart)
    ]
    inside = values.filter(ibis.or_(*[values["value"].between(low, high) for low, high in ranges]))
    table = inside.select(
        **{dimension: _key(inside, dimension) for dimension in dimensions},
        bin=_bin(inside),
        part=((inside.place - inside.place.floor()) * _PARTS_OF_A_BIN).floor().cast("int32"),
        value=inside["value"],
    )
    table = table.filter(table.bin.isin([int(index) for index in bins]))
    answer = fetch(
        table.group_by([*dimensions, "bin", "part"]).aggregate(
            value=table["value"].min(), count=table.count()
        )
    )
    columns: Mapping[str, Any] = {
        "bin": _numbers(answer, "bin", "int64"),
        "value": _numbers(answer, "value", "double"),
        "count": _numbers(answer, "count", "int64"),
    }
    return _entries(answer, dimensions, columns)


def _entries(answer: pa.Table, dimensions: tuple[str, ...], columns: Mapping[str, Any]) -> CellEntries:
    """Lines that say their cell by name become lines that say it by number."""
    codes, words = [], []
    for dimension in dimensions:
        encoded = answer[dimension].combine_chunks().dictionary_encode()
        codes.append(encoded.indices.to_numpy())
        words.append(encoded.dictionary.to_pylist())
    places, cell = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    keys = tuple(tuple(str(word[i]) for word, i in zip(words, place, strict=True)) for place in places)
    return CellEntries(dimensions, keys, cell.reshape(-1).astype(np.int64), columns)


def _numbers(answer: pa.Table, column: str, kind: str) -> Any:
    import pyarrow.compute as pc

    return pc.cast(answer[column], kind).to_numpy()
