"""From simulated units to the cube that a query over their events would give."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.cube import Cube, MomentArrays, Slice
from promptarena.analysis.value_counts import COUNTED, CellEntries, ValueCounts
from promptarena.definitions.metric import MetricKind
from promptarena.definitions.readout import UnitCounts
from promptarena.simulation.units import SEGMENT_SHARES, Facts, Population, Units
from promptarena.stats.quantiles import bin_of

__all__ = ["EPOCH", "FIRST_DAY", "arrivals_of", "cube_of", "unit_counts"]

EPOCH: Final = "0"
FIRST_DAY: Final = date(2026, 3, 2)
"""A Monday."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Key = tuple[str, ...]


def cube_of(
    units: Units, of: Population, variants: Sequence[str], epochs: Sequence[str] | None = None
) -> Cube:
    """The cube of all units, by variant, day and epoch, and by one segment at a time.

    Values of quantiles are counted in bins 0.2% wide, within which a quantile is interpolated; the log's
    second query, which makes it exact, has nothing to add to an error rate.

    Args:
        units: everybody who came.
        of: what they were drawn from.
        variants: control first.
        epochs: that of each day; one for all days where the weights are fixed.
    """
    shapes = [(), *((name,) for name in of.segments)]
    reigns = epochs or [EPOCH] * of.days
    cells = [_cells(units, of, variants, shape, reigns) for shape in shapes]
    values = {}
    for assumed in of.assumed:
        metric = assumed.metric
        if metric.kind is MetricKind.QUANTILE and metric.of not in values:
            values[metric.of] = _counted(units.facts[metric.name], cells)
    segments = {name: tuple(SEGMENT_SHARES) for name in of.segments}
    days = tuple(FIRST_DAY + timedelta(days=int(day)) for day in np.unique(units.day))
    slices = tuple(_slice(units, of, each) for each in cells)
    return Cube(slices, tuple(sorted(variants)), segments, days, values)


def unit_counts(units: int) -> UnitCounts:
    """Units that were seen once each, in one variant."""
    return UnitCounts(rows=units, units=units, repeated=0, crossovers=0)


def arrivals_of(cube: Cube, variants: Sequence[str], shares: Sequence[float]) -> Arrivals:
    """What a log knows of how these units arrived."""
    exposed = {(variant, EPOCH): cell.units for (variant,), cell in cube.by().items()}
    return Arrivals(weights={EPOCH: dict(zip(variants, shares, strict=True))}, exposed=exposed, crossed={})


class _Cells(NamedTuple):
    dimensions: Key
    keys: tuple[Key, ...]
    group: Integers
    """Shape (n,): the place in `keys` of each unit's cell."""


def _cells(
    units: Units, of: Population, variants: Sequence[str], segments: Sequence[str], epochs: Sequence[str]
) -> _Cells:
    levels = [len(variants), of.days, *(len(SEGMENT_SHARES) for _ in segments)]
    columns = (units.variant, units.day, *(units.segments[name] for name in segments))
    held, group = np.unique(np.ravel_multi_index(columns, levels), return_inverse=True)
    names = list(SEGMENT_SHARES)
    days = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in range(of.days)]
    places = zip(*(column.tolist() for column in np.unravel_index(held, levels)), strict=True)
    keys = tuple(
        (variants[place[0]], days[place[1]], epochs[place[1]], *(names[value] for value in place[2:]))
        for place in places
    )
    return _Cells(("variant", "day", "epoch", *segments), keys, group)


def _slice(units: Units, of: Population, cells: _Cells) -> Slice:
    count = len(cells.keys)
    metrics = {}
    for assumed in of.assumed:
        facts = units.facts[assumed.metric.name]
        columns = _columns(facts, assumed.metric.kind)
        metrics[assumed.metric.name] = _moments(columns, cells.group, count, facts)
    return Slice(cells.dimensions, cells.keys, np.bincount(cells.group, minlength=count), metrics)


def _columns(facts: Facts, kind: MetricKind) -> Floats:
    """What moments are taken of, shape (n, k), as the roll-up of a log has it."""
    if facts.judged is not None and facts.labelled is not None:
        some, score = facts.labelled, facts.judged
        return np.column_stack([some, some * facts.values, some * score, ~some, ~some * score])
    # The moments of a quantile are of how many values a unit has.
    columns = [np.ones_like(facts.values) if kind is MetricKind.QUANTILE else facts.values]
    if facts.over is not None:
        columns.append(facts.over)
    parts = np.empty((len(facts.values), 0)) if facts.covariates is None else facts.covariates
    # Behind the covariates' parts stand as many marks: none of them is missing.
    return np.column_stack([*columns, parts, np.zeros_like(parts)])


def _moments(columns: Floats, group: Integers, cells: int, facts: Facts) -> MomentArrays:
    seen = facts.seen
    stand_ins = () if facts.covariates is None else (0.0,) * facts.covariates.shape[1]
    if seen is not None:
        columns, group = columns[seen], group[seen]
    n, k = np.bincount(group, minlength=cells), columns.shape[1]
    pivot: Floats = columns.mean(axis=0) if len(columns) else np.zeros(k)
    centred = columns - pivot
    sums: Floats = np.stack([np.bincount(group, centred[:, i], cells) for i in range(k)], axis=1).astype(
        np.float64
    )
    products = np.empty((cells, k, k))
    for i in range(k):
        for j in range(i, k):
            products[:, i, j] = np.bincount(group, centred[:, i] * centred[:, j], cells)
            products[:, j, i] = products[:, i, j]
    return MomentArrays.from_pivots(n, np.tile(pivot, (cells, 1)), sums, products, stand_ins)


def _counted(facts: Facts, cells: Sequence[_Cells]) -> ValueCounts:
    seen = np.ones(len(facts.values), np.bool_) if facts.seen is None else facts.seen
    bins = bin_of(facts.values[seen])
    least = int(bins.min(initial=0))
    width = int(bins.max(initial=0)) - least + 1
    slices = []
    for dimensions, keys, group in cells:
        held, counts = np.unique(group[seen] * width + (bins - least), return_counts=True)
        # One value a unit: each is its unit's first, and the only one.
        columns = {name: held % width + least if name == "bin" else counts for name in COUNTED}
        slices.append(CellEntries(dimensions, keys, held // width, columns))
    none = np.empty(0, np.int64)
    exact = {"bin": none, "value": np.empty(0), "count": none}
    return ValueCounts(tuple(slices), CellEntries(cells[0].dimensions, cells[0].keys, none, exact))
