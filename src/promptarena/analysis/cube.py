"""The cube: moments of every metric by variant, cohort day, epoch, stage and segment."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from promptarena.analysis.value_counts import ValueCounts
from promptarena.stats.moments import Moments

__all__ = ["Cell", "Cube", "MomentArrays", "Slice"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Key = tuple[str, ...]
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Cell:
    """What is known of some units: how many they are, and the moments of each metric among them."""

    units: int
    moments: Mapping[str, Moments]
    """By metric name; a metric's `n` counts the units that have a value of it. Behind the outcome come the
    parts of covariates, then as many marks: 1 where a part is missing and a constant stands in, else 0."""

    def __add__(self, other: Cell) -> Cell:
        if self.moments.keys() != other.moments.keys():
            raise ValueError("cells of different metrics do not add")
        merged = {name: moments + other.moments[name] for name, moments in self.moments.items()}
        return Cell(self.units + other.units, merged)


@dataclass(frozen=True)
class MomentArrays:
    """One metric's moments in c cells, as arrays so that 20,000 cells merge at once."""

    n: Integers
    """Shape (c,)."""
    mean: Floats
    """Shape (c, k)."""
    comoments: Floats
    """Shape (c, k, k): sums of products of deviations from the cell's mean."""
    stand_ins: tuple[float, ...] = ()
    """What was taken for each missing part of a covariate. The last components are these p parts, then p
    marks that say where."""

    @classmethod
    def from_pivots(
        cls,
        n: Integers,
        pivots: Floats,
        sums: Floats,
        products: Floats,
        stand_ins: tuple[float, ...] = (),
    ) -> MomentArrays:
        """Moments from sums about pivots, both of shape (c, k); `products` is (c, k, k)."""
        held = np.maximum(n, 1)[:, None]
        shift = sums / held
        comoments = products - n[:, None, None] * (shift[:, :, None] * shift[:, None, :])
        diagonal = np.arange(pivots.shape[1])
        # Cancellation may leave a variance a few ulps below zero; no sum of squares is.
        comoments[:, diagonal, diagonal] = np.maximum(comoments[:, diagonal, diagonal], 0.0)
        return cls(n, np.where(n[:, None] > 0, pivots + shift, 0.0), comoments, stand_ins)

    def merged(self, group: Integers, groups: int) -> MomentArrays:
        """Add the cells of each group; the many-at-once form of `Moments.__add__`.

        Args:
            group: shape (c,), the group of each cell, in [0, groups).
            groups: how many there are.
        """
        k = self.mean.shape[1]
        n = np.zeros(groups, np.int64)
        np.add.at(n, group, self.n)
        # Deviations are taken from a mean of the group, not from zero: equal means then merge to exactly that
        # mean.
        held = self.n > 0
        start = np.zeros((groups, k))
        start[group[held]] = self.mean[held]
        sums = np.zeros((groups, k))
        np.add.at(sums, group, self.n[:, None] * (self.mean - start[group]))
        mean = start + sums / np.maximum(n, 1)[:, None]
        gap = self.mean - mean[group]
        comoments = np.zeros((groups, k, k))
        between = self.n[:, None, None] * (gap[:, :, None] * gap[:, None, :])
        np.add.at(comoments, group, self.comoments + between)
        return replace(self, n=n, mean=mean, comoments=comoments)

    def taken(self, at: Sequence[int]) -> MomentArrays:
        """The cells at these places."""
        where = np.asarray(at, dtype=np.int64)
        return replace(self, n=self.n[where], mean=self.mean[where], comoments=self.comoments[where])

    def standing_in(self, values: tuple[float, ...]) -> MomentArrays:
        """The moments as if these values had been taken for missing parts of covariates."""
        if values == self.stand_ins:
            return self
        k, parts = self.mean.shape[1], len(self.stand_ins)
        move = np.eye(k)
        for i, (value, before) in enumerate(zip(values, self.stand_ins, strict=True)):
            move[k - 2 * parts + i, k - parts + i] = value - before
        return MomentArrays(self.n, self.mean @ move.T, move @ self.comoments @ move.T, values)

    def joined(self, other: MomentArrays) -> MomentArrays:
        """The cells of both, one after the other."""
        other = other.standing_in(self.stand_ins)
        return MomentArrays(
            np.concatenate([self.n, other.n]),
            np.concatenate([self.mean, other.mean]),
            np.concatenate([self.comoments, other.comoments]),
            self.stand_ins,
        )

    def moments(self, at: int) -> Moments:
        """The moments of one cell."""
        return Moments(int(self.n[at]), self.mean[at], self.comoments[at])


@dataclass(frozen=True)
class Slice:
    """Cells that cross some dimensions with one another; each unit is in exactly one of them."""

    dimensions: tuple[str, ...]
    """`variant` first."""
    keys: tuple[Key, ...]
    """One a cell: its value of each dimension."""
    units: Integers
    """Shape (c,)."""
    metrics: Mapping[str, MomentArrays]

    def merged(self, dimensions: tuple[str, ...]) -> Slice:
        """The same units by fewer dimensions, in the order of their keys."""
        at = [self.dimensions.index(dimension) for dimension in dimensions]
        short = [tuple(key[i] for i in at) for key in self.keys]
        keys = tuple(sorted(set(short)))
        place = {key: i for i, key in enumerate(keys)}
        group = np.fromiter((place[key] for key in short), np.int64, len(short))
        units = np.zeros(len(keys), np.int64)
        np.add.at(units, group, self.units)
        metrics = {name: arrays.merged(group, len(keys)) for name, arrays in self.metrics.items()}
        return Slice(dimensions, keys, units, metrics)

    def of_days(self, first: str, last: str) -> Slice:
        """Only the cells of cohort days from one ISO date to another."""
        column = self.dimensions.index("day")
        at = [i for i, key in enumerate(self.keys) if first <= key[column] <= last]
        return Slice(
            self.dimensions,
            tuple(self.keys[i] for i in at),
            self.units[np.asarray(at, dtype=np.int64)],
            {name: arrays.taken(at) for name, arrays in self.metrics.items()},
        )

    def __add__(self, other: Slice) -> Slice:
        if self.dimensions != other.dimensions or self.metrics.keys() != other.metrics.keys():
            raise ValueError("slices of different dimensions or metrics do not add")
        both = Slice(
            self.dimensions,
            self.keys + other.keys,
            np.concatenate([self.units, other.units]),
            {name: arrays.joined(other.metrics[name]) for name, arrays in self.metrics.items()},
        )
        return both.merged(self.dimensions)

    def cells(self) -> dict[Key, Cell]:
        """Every cell, by its key."""
        return {
            key: Cell(int(self.units[i]), {name: arrays.moments(i) for name, arrays in self.metrics.items()})
            for i, key in enumerate(self.keys)
        }


@dataclass(frozen=True, eq=False)
class Cube:
    """All units' moments, crossed by every dimension, or by one segment at a time where those are many."""

    slices: tuple[Slice, ...]
    """Each holds all units."""
    variants: tuple[str, ...]
    """Sorted, as the whole data holds them; a cube `until` a day keeps those that come later."""
    segments: Mapping[str, tuple[str, ...]]
    """Values by segment dimension, sorted; kept likewise."""
    days: tuple[date, ...] | None
    """Cohort days that hold units, sorted; `None` where the data has no time."""
    values: Mapping[str, ValueCounts] = field(default_factory=dict)
    """By column, those of which quantiles are asked; the moments of a quantile are of values a unit."""
    _merged: dict[tuple[str, ...], dict[Key, Cell]] = field(default_factory=dict, init=False, repr=False)
    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def remembered(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What was made of the cube under this key, or is now: a readout compares the same many times."""
        if key not in self._known:
            self._known[key] = make()
        made: _Made = self._known[key]
        return made

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What `by` accepts, beside the variant that always comes first."""
        return tuple(dict.fromkeys(name for part in self.slices for name in part.dimensions[1:]))

    def by(self, *dimensions: str) -> dict[Key, Cell]:
        """Cells by (variant, *values of the dimensions); `by()` alone gives one cell a variant.

        Args:
            dimensions: of `day` (ISO date), `epoch`, `stage` and the segments' names.

        Raises:
            ValueError: a dimension that the cube has not, or two segments that were not crossed.
        """
        wanted = ("variant", *dimensions)
        if wanted not in self._merged:
            self._merged[wanted] = self._covering(wanted).merged(wanted).cells()
        return dict(self._merged[wanted])

    def until(self, day: date) -> Cube:
        """The cohorts first exposed on or before the day.

        Raises:
            ValueError: the data has no time.
        """
        return self._of_days(date.min, day)

    def since(self, day: date) -> Cube:
        """The cohorts first exposed on or after the day.

        Raises:
            ValueError: the data has no time.
        """
        return self._of_days(day, date.max)

    def __add__(self, other: Cube) -> Cube:
        """The units of both; none may be in both."""
        shapes = [(cube.days is None, len(cube.slices), cube.values.keys()) for cube in (self, other)]
        if shapes[0] != shapes[1]:
            raise ValueError("cubes of different shapes do not add")
        days = None if self.days is None else tuple(sorted({*self.days, *(other.days or ())}))
        return Cube(
            tuple(mine + theirs for mine, theirs in zip(self.slices, other.slices, strict=True)),
            tuple(sorted({*self.variants, *other.variants})),
            {
                name: tuple(sorted({*self.segments.get(name, ()), *other.segments.get(name, ())}))
                for name in {**self.segments, **other.segments}
            },
            days,
            {column: counts + other.values[column] for column, counts in self.values.items()},
        )

    def _of_days(self, first: date, last: date) -> Cube:
        if self.days is None:
            raise ValueError("without a time column there are no cohort days")
        ends = first.isoformat(), last.isoformat()
        slices = tuple(part.of_days(*ends) for part in self.slices)
        values = {column: counts.of_days(*ends) for column, counts in self.values.items()}
        days = tuple(known for known in self.days if first <= known <= last)
        return replace(self, slices=slices, days=days, values=values)

    def _covering(self, wanted: tuple[str, ...]) -> Slice:
        for part in self.slices:
            if set(wanted) <= set(part.dimensions):
                return part
        unknown = [name for name in wanted if name not in ("variant", *self.dimensions)]
        if unknown:
            raise ValueError(f"the cube has no dimension {unknown[0]!r}; it has {list(self.dimensions)}")
        raise ValueError(f"{list(wanted[1:])} were not crossed: together they have too many values")
