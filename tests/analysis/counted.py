"""Counted values made from arrays, without a query: for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptarena.analysis.cube import Cube, MomentArrays, Slice
from promptarena.analysis.value_counts import COUNTED, CellEntries, ValueCounts
from promptarena.stats.clustered_counts import ClusteredCounts
from promptarena.stats.moments import Moments
from promptarena.stats.quantiles import bin_of

Array = NDArray[np.float64]


def clustered(rows: Array) -> ClusteredCounts:
    """From values of shape (units, rows a unit)."""
    return ClusteredCounts.from_values(np.repeat(np.arange(len(rows)), rows.shape[1]), rows.ravel())


def value_counts(cells: Mapping[Any, Array], dimensions: Sequence[str] = ()) -> ValueCounts:
    """Counts of values of shape (units, rows a unit) by (variant, *values of the dimensions).

    All values are known, as they would be of the bins that hold a quantile.
    """
    keys = tuple(sorted(cells))
    names = ("variant", *dimensions)
    counts = [clustered(cells[key]) for key in keys]
    columns = [[part.bins, part.counts, part.units, part.squares, part.products] for part in counts]
    lines = np.repeat(np.arange(len(keys)), [len(part.bins) for part in counts])
    values = [cells[key].ravel() for key in keys]
    at = np.repeat(np.arange(len(keys)), [len(each) for each in values])
    together = np.concatenate(values)
    near = {"bin": bin_of(together), "value": together, "count": np.ones(len(together), np.int64)}
    part = CellEntries(
        names,
        keys,
        lines,
        {name: np.concatenate(each) for name, each in zip(COUNTED, zip(*columns, strict=True), strict=True)},
    )
    return ValueCounts((part,), CellEntries(names, keys, at, near))


def cube_of_values(
    column: str, metrics: Sequence[str], cells: Mapping[Any, Array], dimensions: Sequence[str] = ()
) -> Cube:
    """A cube of quantile metrics of one column, as a table of those values would give."""
    keys = tuple(sorted(cells))
    rows = [Moments.from_values(np.full((len(cells[key]), 1), float(cells[key].shape[1]))) for key in keys]
    arrays = MomentArrays(
        np.array([part.n for part in rows], np.int64),
        np.array([part.mean for part in rows]),
        np.array([part.comoments for part in rows]),
    )
    names = ("variant", *dimensions)

    def found(dimension: str) -> tuple[str, ...]:
        return tuple(sorted({key[names.index(dimension)] for key in keys}))

    days: Any = tuple(map(date.fromisoformat, found("day"))) if "day" in names else None
    segments = {name: found(name) for name in dimensions if name not in ("day", "epoch", "stage")}
    part = Slice(names, keys, arrays.n, dict.fromkeys(metrics, arrays))
    return Cube((part,), found("variant"), segments, days, {column: value_counts(cells, dimensions)})
