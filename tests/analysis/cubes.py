"""Cubes made from arrays, without a query: for tests of what is done with a cube."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptarena.analysis.cube import Cube, MomentArrays, Slice
from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Primary
from promptarena.definitions.metric import Absence, Better, Metric, MetricKind
from promptarena.definitions.readout import UnitCounts
from promptarena.stats.moments import Moments

START = date(2026, 3, 2)

Array = NDArray[np.float64]


def metric(name: str, kind: str = "mean", **fields: Any) -> Metric:
    """A metric whose name is its column."""
    return Metric(
        **{
            "name": name,
            "kind": MetricKind(kind),
            "of": name,
            "absent": Absence.MISSING,
            "better": Better.HIGHER,
        }
        | fields
    )


def plan(*metrics: Metric, **fields: Any) -> AnalysisPlan:
    """A plan with the first metric as primary and even weights."""
    design = Design(**fields.pop("design", {}))
    usual: dict[str, Any] = {
        "experiment": "test",
        "control": "control",
        "variants": ("control", "treatment"),
        "weights": {"control": 0.5, "treatment": 0.5},
        "metrics": metrics,
        "primary": Primary(metric=metrics[0].name),
        "design": design,
    }
    return AnalysisPlan(**usual | fields)


def cube(
    cells: Mapping[Any, Mapping[str, Array]],
    dimensions: Sequence[str] = (),
    units: Mapping[Any, int] | None = None,
) -> Cube:
    """A cube from unit values.

    Args:
        cells: (variant, *values of the dimensions) to arrays by metric; `day` values are ISO dates.
        dimensions: the names behind the variant.
        units: units by cell; by default as many as the cell's longest array.
    """
    keys = tuple(sorted(cells))
    names = list(next(iter(cells.values())))
    made = {name: [Moments.from_values(cells[key][name]) for key in keys] for name in names}
    counts = [units[key] if units else max(len(values) for values in cells[key].values()) for key in keys]
    part = Slice(
        ("variant", *dimensions),
        keys,
        np.array(counts, dtype=np.int64),
        {
            name: MomentArrays(
                np.array([m.n for m in each], dtype=np.int64),
                np.stack([m.mean for m in each]),
                np.stack([m.comoments for m in each]),
            )
            for name, each in made.items()
        },
    )
    at = {name: i + 1 for i, name in enumerate(dimensions)}
    return Cube(
        (part,),
        tuple(sorted({key[0] for key in keys})),
        {
            name: tuple(sorted({key[i] for key in keys}))
            for name, i in at.items()
            if name not in ("day", "epoch", "stage")
        },
        tuple(date.fromisoformat(day) for day in sorted({key[at["day"]] for key in keys}))
        if "day" in at
        else None,
    )


def by_day(arms: Mapping[str, Sequence[Array]], name: str = "value") -> Cube:
    """A cube with one array a day for each variant, from `START` on."""
    return cube(
        {
            (variant, (START + timedelta(days=i)).isoformat()): {name: values}
            for variant, days in arms.items()
            for i, values in enumerate(days)
        },
        ["day"],
    )


def counts_of(made: Cube, **fields: Any) -> UnitCounts:
    """Unit counts of a cube whose units had one row each."""
    units = sum(cell.units for cell in made.by().values())
    return UnitCounts(**{"rows": units, "units": units, "repeated": 0, "crossovers": 0} | fields)
