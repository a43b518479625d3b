"""What a cube knows of a column of which quantiles are asked: its values counted in every cell.

Moments cannot tell a quantile; counts by bin can, and add up like moments over days, epochs and segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptarena.stats.clustered_counts import BinValues, ClusteredCounts

__all__ = ["COUNTED", "CellEntries", "CountedValues", "ValueCounts"]

Column = NDArray[Any]
"""Whole numbers, or values."""
Integers = NDArray[np.int64]
Key = tuple[str, ...]

COUNTED: Final = ("bin", "count", "units", "squares", "products")
"""The columns of counts, as `ClusteredCounts` has them."""


class CountedValues(NamedTuple):
    """One cell's values."""

    counts: ClusteredCounts
    known: BinValues | None
    """Of the bins that hold a quantile; `None` where they were not asked for by these dimensions."""


@dataclass(frozen=True, eq=False)
class CellEntries:
    """Several lines of numbers a cell, in columns."""

    dimensions: tuple[str, ...]
    """`variant` first."""
    keys: tuple[Key, ...]
    """One a cell: its value of each dimension."""
    cell: Integers
    """Shape (m,): the place in `keys` of each line's cell."""
    columns: Mapping[str, Column]
    """Each of shape (m,)."""

    def of_days(self, first: str, last: str) -> CellEntries:
        """Only the cells of cohort days from one ISO date to another."""
        at = self.dimensions.index("day")
        inside = np.array([first <= key[at] <= last for key in self.keys], dtype=np.bool_)
        lines = inside[self.cell] if len(self.keys) else self.cell
        columns = {name: values[lines] for name, values in self.columns.items()}
        return CellEntries(self.dimensions, self.keys, self.cell[lines], columns)

    def __add__(self, other: CellEntries) -> CellEntries:
        if self.dimensions != other.dimensions or self.columns.keys() != other.columns.keys():
            raise ValueError("entries of different dimensions or columns do not add")
        columns = {name: np.append(values, other.columns[name]) for name, values in self.columns.items()}
        cell = np.append(self.cell, other.cell + len(self.keys))
        return CellEntries(self.dimensions, self.keys + other.keys, cell, columns)

    def by(self, dimensions: tuple[str, ...]) -> Iterator[tuple[Key, Mapping[str, Column]]]:
        """The lines of each cell that has some, by fewer dimensions and in the order of their keys."""
        at = [self.dimensions.index(dimension) for dimension in dimensions]
        short = [tuple(key[i] for i in at) for key in self.keys]
        merged = sorted(set(short))
        place = {key: i for i, key in enumerate(merged)}
        group = np.array([place[key] for key in short], dtype=np.int64)[self.cell]
        order = np.argsort(group, kind="stable")
        bounds = np.searchsorted(group[order], np.arange(len(merged) + 1))
        for i, key in enumerate(merged):
            lines = order[bounds[i] : bounds[i + 1]]
            if len(lines):
                yield key, {name: values[lines] for name, values in self.columns.items()}


@dataclass(frozen=True, eq=False)
class ValueCounts:
    """One column's values, counted by cell."""

    slices: tuple[CellEntries, ...]
    """Columns `COUNTED`: by every dimension crossed, or by one segment at a time. Each holds all units."""
    near: CellEntries
    """Columns `bin`, `value` and `count`: the values of the bins that hold a quantile, but for segments."""
    _merged: dict[tuple[str, ...], dict[Key, CountedValues]] = field(
        default_factory=dict, init=False, repr=False
    )

    def has(self, *dimensions: str) -> bool:
        """Whether the values were counted by all of these dimensions together."""
        return any({"variant", *dimensions} <= set(part.dimensions) for part in self.slices)

    def by(self, *dimensions: str) -> dict[Key, CountedValues]:
        """Values by (variant, *values of the dimensions).

        Raises:
            ValueError: they were not counted by these dimensions.
        """
        wanted = ("variant", *dimensions)
        if wanted not in self._merged:
            self._merged[wanted] = self._counted(wanted)
        return dict(self._merged[wanted])

    def of_days(self, first: str, last: str) -> ValueCounts:
        """Those of the cohorts first exposed from one ISO date to another."""
        return ValueCounts(
            tuple(part.of_days(first, last) for part in self.slices), self.near.of_days(first, last)
        )

    def __add__(self, other: ValueCounts) -> ValueCounts:
        """The values of both; no unit may have some in both."""
        if len(self.slices) != len(other.slices):
            raise ValueError("counts of different shapes do not add")
        parts = zip(self.slices, other.slices, strict=True)
        return ValueCounts(tuple(mine + theirs for mine, theirs in parts), self.near + other.near)

    def _counted(self, wanted: tuple[str, ...]) -> dict[Key, CountedValues]:
        covering = next((part for part in self.slices if set(wanted) <= set(part.dimensions)), None)
        if covering is None:
            raise ValueError(f"values were not counted by {list(wanted[1:])}")
        near: dict[Key, BinValues] = {}
        if set(wanted) <= set(self.near.dimensions):
            near = {
                key: BinValues(lines["bin"], lines["value"], lines["count"])
                for key, lines in self.near.by(wanted)
            }
        return {
            key: CountedValues(ClusteredCounts.from_sums(*(lines[name] for name in COUNTED)), near.get(key))
            for key, lines in covering.by(wanted)
        }
