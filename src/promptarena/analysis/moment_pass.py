"""The one pass over units: sums about a pivot, by all dimensions at once. Only moments come back.

A unit without a covariate keeps its outcome: a constant stands in for each of its parts, and further
components say so, as `stats.covariates` wants it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import ibis
import numpy as np

from promptarena.analysis.cube import Cube, MomentArrays, Slice
from promptarena.analysis.fields import MOST_VALUES, Columns
from promptarena.analysis.roll_up import may_be_missing, part_names
from promptarena.analysis.table_checks import too_many_values
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.errors import DataError, Location
from promptarena.storage.warehouse import fetch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_CELLS", "measure"]

MOST_CELLS: Final = 20_000
"""Beyond so many cells of all segments crossed, each segment dimension has a pass of its own."""

_LOOKED_AT: Final = 10_000
_NEAR_ZERO: Final = 3.0
"""Standard deviations; squares about zero are then at most ten times those about the mean."""
_TOLERANCE: Final = 1e-10
"""The relative error that a variance may have from rounding."""

Pivots = dict[str, Any]
"""What is subtracted from a part before it is summed: a number, or a column of the units."""


@dataclass(frozen=True)
class _Pass:
    """One metric in the pass."""

    metric: Metric
    read: list[str]
    """The parts that units have: outcome, covariates."""
    stand_ins: tuple[float, ...] = ()
    """For missing parts of covariates. Near the others' mean, or else their variance would drown in that of
    having a value; the same for all cells, so that they add."""

    @property
    def audited(self) -> list[str]:
        """What a judge's score and people's label become: see `audited_effect`; nothing of other metrics."""
        if self.metric.audited_by is None:
            return []
        return [f"{self.read[0]}_{name}" for name in ("labelled", "label", "checked", "rest", "score")]

    @property
    def covariates(self) -> list[list[str]]:
        """Each one's parts."""
        found, at = [], len(self.read) - sum(len(each.facts) for each in self.metric.covariates)
        for covariate in self.metric.covariates:
            found.append(self.read[at : at + len(covariate.facts)])
            at += len(covariate.facts)
        return found

    @property
    def before(self) -> list[str]:
        """All parts of covariates."""
        return [part for parts in self.covariates for part in parts]

    @property
    def markers(self) -> list[str]:
        """The parts that are 1 where one of the former is missing, else 0."""
        return [f"{part}_missing" for part in self.before]

    @property
    def parts(self) -> list[str]:
        """The components of the moments."""
        return self.audited or [*self.read, *self.markers]

    @property
    def bits(self) -> set[str]:
        """Parts that are 0 or 1."""
        if self.audited:
            return {self.audited[0], self.audited[3]}
        return {*self.read[:1], *self.markers} if self.metric.kind is MetricKind.RATE else {*self.markers}

    @property
    def complete(self) -> bool:
        """Whether every unit is known to have all parts."""
        return not may_be_missing(self.metric)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Whose products are summed: the upper triangle."""
        return [(i, j) for i in range(len(self.parts)) for j in range(i, len(self.parts))]


def measure(units: ibis.Table, columns: Columns, metrics: Sequence[Metric]) -> Cube:
    """Moments of every metric, by all dimensions at once.

    Second moments are sums of products of deviations from a pivot, one number a value, found by a look at a
    few units. Should the means of some cell turn out to lie so far from it that the variance has lost digits,
    a second pass takes each cell's own mean. Units without a value of a metric are left out of that metric
    alone; those without its covariates are marked in further components (see `MomentArrays.stand_ins`).

    Args:
        units: as `roll_up.roll_up` or `roll_up.one_row_a_unit` makes them; best held, since it is read twice.
        columns: as given to those.
        metrics: as given to those.

    Raises:
        DataError: a segment (or variant) has more than `MOST_VALUES` values, or a value is not finite.
    """
    passes = [_Pass(metric, part_names(at, metric)) for at, metric in enumerate(metrics)]
    pivots = _look(units, columns, passes)
    passes = [replace(one, stand_ins=tuple(pivots[part] for part in one.before)) for one in passes]
    units = _filled(units, passes)
    time = ["day"] if columns.time is not None else []
    named = [name for name in columns.dimensions() if name not in columns.segments]
    everything = ("variant", *time, *named, *columns.segments)
    whole = _slice(units, everything, passes, pivots, most=MOST_CELLS)
    if whole is None:
        _refuse_many_values(units, columns)
        shared = ("variant", *time, *named)
        crossed = [(*shared, segment) for segment in columns.segments] or [shared]
        found = [_slice(units, dimensions, passes, pivots, most=None) for dimensions in crossed]
        slices = tuple(part for part in found if part is not None)
    else:
        slices = (whole,)
    return _cube(slices, columns)


def _cube(slices: tuple[Slice, ...], columns: Columns) -> Cube:
    def values(dimension: str) -> tuple[str, ...]:
        part = next(part for part in slices if dimension in part.dimensions)
        at = part.dimensions.index(dimension)
        return tuple(sorted({key[at] for key in part.keys}))

    for dimension in ("variant", *columns.segments):
        if len(found := values(dimension)) > MOST_VALUES:
            raise DataError(too_many_values(dimension, columns, len(found)))
    days = None
    if columns.time is not None:
        from datetime import date

        days = tuple(date.fromisoformat(day) for day in values("day"))
    segments = {segment: values(segment) for segment in columns.segments}
    return Cube(slices, values("variant"), segments, days)


def _look(units: ibis.Table, columns: Columns, passes: Sequence[_Pass]) -> Pivots:
    """A number near the mean of each part, from a few units; refuses what is plainly no segment.

    Where the mean lies within a few standard deviations of zero, zero serves as well: nothing is subtracted,
    and whole numbers are summed exactly.
    """
    few = units.limit(_LOOKED_AT)
    parts = [part for one in passes for part in one.read]
    asked: dict[str, Any] = {f"values_{name}": few[f"name_{name}"].nunique() for name in columns.segments}
    for part in parts:
        asked |= _size(few, part)
    [found] = fetch(few.aggregate(**asked)).to_pylist()
    if any(found[f"values_{name}"] > MOST_VALUES for name in columns.segments):
        _refuse_many_values(units, columns)
    for part in (part for one in passes for part in one.before):
        # New units may come first; what stands in for their covariate is told by those that have one.
        if found[f"mean_{part}"] is None:
            others = units.filter(units[part].notnull()).limit(_LOOKED_AT)
            found |= fetch(others.aggregate(**_size(others, part))).to_pylist()[0]
    bits = {part for one in passes for part in (*one.bits, *one.audited)}
    pivots = {part: _pivot(found[f"mean_{part}"], found[f"square_{part}"]) for part in parts}
    return pivots | dict.fromkeys(bits, 0.0)


def _size(table: ibis.Table, part: str) -> dict[str, Any]:
    # Not the engine's standard deviation: of large values DuckDB's is an error, where a product is infinite.
    return {f"mean_{part}": table[part].mean(), f"square_{part}": (table[part] * table[part]).mean()}


def _filled(units: ibis.Table, passes: Sequence[_Pass]) -> ibis.Table:
    """Every unit with all covariates, and with marks where they are not its own."""
    added: dict[str, Any] = {}
    for one in passes:
        if one.audited:
            added |= _audited(one, units)
        stand_ins = iter(one.stand_ins)
        for parts in one.covariates:
            # Half of a ratio is none: both parts are missing where one is.
            whole = ibis.and_(*[units[part].notnull() for part in parts])
            for part in parts:
                added[part] = ibis.ifelse(whole, units[part], next(stand_ins))
                added[f"{part}_missing"] = (~whole).cast("float64")
    return units.mutate(**added) if added else units


def _audited(one: _Pass, units: ibis.Table) -> dict[str, Any]:
    """A unit's totals as `stats.prediction_powered` wants them; NULL where the judge said nothing of it."""
    score, label = (units[part] for part in one.read)
    labelled = label.notnull().cast("float64")
    values = (labelled, label.fill_null(0.0), score * labelled, 1 - labelled, score * (1 - labelled))
    known = score.notnull()
    return {
        part: ibis.ifelse(known, value, ibis.null("float64"))
        for part, value in zip(one.audited, values, strict=True)
    }


def _pivot(mean: float | None, square: float | None) -> float:
    if mean is None or square is None or not (math.isfinite(mean) and math.isfinite(square)):
        return 0.0  # the look could not tell; a mean far from zero shows after the pass
    return 0.0 if mean**2 <= _NEAR_ZERO**2 * (square - mean**2) else mean


def _refuse_many_values(units: ibis.Table, columns: Columns) -> None:
    asked = {segment: units[f"name_{segment}"].nunique() for segment in columns.segments}
    [found] = fetch(units.aggregate(variant=units.variant.nunique(), **asked)).to_pylist()
    problems = [
        too_many_values(dimension, columns, count)
        for dimension, count in found.items()
        if count > MOST_VALUES
    ]
    if problems:
        raise DataError(problems)


def _slice(
    units: ibis.Table,
    dimensions: tuple[str, ...],
    passes: Sequence[_Pass],
    pivots: Pivots,
    most: int | None,
) -> Slice | None:
    """One pass, or none if there are more cells than `most`."""
    keys = {dimension: _key(units, dimension) for dimension in dimensions}
    summed = units.select(**keys, **{part: units[part] for one in passes for part in one.parts})
    query = summed.group_by(list(keys)).aggregate(**_sums(summed, passes, pivots))
    answer = fetch(query if most is None else query.limit(most + 1))
    if most is not None and answer.num_rows > most:
        return None
    slice_ = _read(answer, dimensions, passes, pivots)
    if any(_lost_digits(arrays, one, pivots) for one, arrays in _with_arrays(slice_, passes)):
        return _about_own_means(summed, dimensions, passes)
    return slice_


def _key(units: ibis.Table, dimension: str) -> Any:
    return units[dimension if dimension in ("variant", "day") else f"name_{dimension}"]


def _sums(table: ibis.Table, passes: Sequence[_Pass], pivots: Pivots) -> dict[str, Any]:
    sums: dict[str, Any] = {"units": table.count()}
    for one in passes:
        values = [table[part] for part in one.parts]
        if not one.complete and len(values) > 1:
            whole = ibis.and_(*[value.notnull() for value in values])
            values = [ibis.ifelse(whole, value, ibis.null("float64")) for value in values]
        about = [
            value if _is_zero(pivots[part]) else value - pivots[part]
            for value, part in zip(values, one.parts, strict=True)
        ]
        if not one.complete:
            sums[f"n_{one.parts[0]}"] = values[0].count()
        for part, value in zip(one.parts, about, strict=True):
            sums[f"sum_{part}"] = value.sum()
        for i, j in one.pairs:
            if not _is_own_square(one, pivots, i, j):
                sums[f"product_{one.parts[i]}_{j}"] = (about[i] * about[j]).sum()
    return sums


def _is_zero(pivot: Any) -> bool:
    return isinstance(pivot, float) and pivot == 0.0


def _is_own_square(one: _Pass, pivots: Pivots, i: int, j: int) -> bool:
    """Whether the product is known from the sum: 0 and 1 are their own squares."""
    return i == j and one.parts[i] in one.bits and _is_zero(pivots[one.parts[i]])


def _read(answer: pa.Table, dimensions: tuple[str, ...], passes: Sequence[_Pass], pivots: Pivots) -> Slice:
    columns = [[str(value) for value in answer[dimension].to_pylist()] for dimension in dimensions]
    keys = tuple(zip(*columns, strict=True))
    units = _floats(answer, "units").astype(np.int64)
    metrics = {}
    for one in passes:
        n = units if one.complete else _floats(answer, f"n_{one.parts[0]}").astype(np.int64)
        sums = np.stack([_floats(answer, f"sum_{part}") for part in one.parts], axis=1)
        products = np.empty((len(n), len(one.parts), len(one.parts)))
        for i, j in one.pairs:
            known = _is_own_square(one, pivots, i, j)
            product = sums[:, i] if known else _floats(answer, f"product_{one.parts[i]}_{j}")
            products[:, i, j] = products[:, j, i] = product
        if not (np.isfinite(sums).all() and np.isfinite(products).all()):
            message = f"Values of `{one.metric.name}` are NaN, infinite, or too large to be squared."
            raise DataError(message, where=Location(field=one.metric.of))
        about = np.stack([_pivot_values(answer, part, pivots) for part in one.parts], axis=1)
        metrics[one.metric.name] = MomentArrays.from_pivots(n, about, sums, products, one.stand_ins)
    return Slice(dimensions, keys, units, metrics)


def _pivot_values(answer: pa.Table, part: str, pivots: Pivots) -> Any:
    if isinstance(pivots[part], float):
        return np.full(answer.num_rows, pivots[part])
    return _floats(answer, f"pivot_{part}")


def _floats(answer: pa.Table, column: str) -> Any:
    """A column of the answer; a sum over no values is NULL there and zero here."""
    import pyarrow.compute as pc

    return pc.fill_null(pc.cast(answer[column], "double"), 0.0).to_numpy()


def _with_arrays(part: Slice, passes: Sequence[_Pass]) -> list[tuple[_Pass, MomentArrays]]:
    return [(one, part.metrics[one.metric.name]) for one in passes]


def _lost_digits(arrays: MomentArrays, one: _Pass, pivots: Mapping[str, Any]) -> bool:
    """Whether rounding may have spoilt the variance of some cell.

    n values summed about a pivot at a distance d of the mean err by about eps sqrt(n) n d^2 in the sum of
    squares.
    """
    away = arrays.mean - np.array([pivots[part] for part in one.parts])
    n = arrays.n.astype(np.float64)[:, None]
    lost = np.finfo(np.float64).eps * np.sqrt(n) * n * away**2
    squares = np.diagonal(arrays.comoments, axis1=1, axis2=2)
    # About zero a rate is summed exactly, and one unit is its own mean.
    inexact = (n > 1) & ~np.array([_is_own_square(one, dict(pivots), i, i) for i in range(len(one.parts))])
    return bool((inexact & (lost > _TOLERANCE * squares)).any())


def _about_own_means(summed: ibis.Table, dimensions: tuple[str, ...], passes: Sequence[_Pass]) -> Slice:
    """The pass again, about each cell's own means.

    Equal values then have no variance at all: a mean that is off by units in the last place leaves deviations
    that are whole multiples of one, and those are summed and squared exactly.
    """
    parts = [part for one in passes for part in one.parts]
    means = summed.group_by(list(dimensions)).aggregate(
        **{f"pivot_{part}": summed[part].mean().fill_null(0.0) for part in parts}
    )
    joined = summed.join(means, list(dimensions))
    pivots: Pivots = {part: joined[f"pivot_{part}"] for part in parts}
    asked = _sums(joined, passes, pivots)
    asked |= {f"pivot_{part}": joined[f"pivot_{part}"].max() for part in parts}
    answer = fetch(joined.group_by(list(dimensions)).aggregate(**asked))
    return _read(answer, dimensions, passes, pivots)
