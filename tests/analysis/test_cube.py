"""Cells merge to the moments of their units, however the units were parted."""

from __future__ import annotations

from datetime import date
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from promptarena.analysis.cube import Cell, Cube, MomentArrays, Slice
from promptarena.stats.moments import Moments

DAYS = ("2025-01-06", "2025-01-07", "2025-01-08")
Unit = tuple[str, str, str, list[float]]


def cube_of(units: list[Unit]) -> Cube:
    """A cube by the definition: the values of each cell's units, gathered and summed up."""
    keys = tuple(sorted({unit[:3] for unit in units}))
    parts = [Moments.from_values(np.array([u[3] for u in units if u[:3] == key])) for key in keys]
    arrays = MomentArrays(
        np.array([part.n for part in parts], dtype=np.int64),
        np.array([part.mean for part in parts]),
        np.array([part.comoments for part in parts]),
    )
    part = Slice(("variant", "day", "device"), keys, arrays.n, {"m": arrays})
    days = tuple(sorted({date.fromisoformat(unit[1]) for unit in units}))
    return Cube(
        (part,),
        tuple(sorted({unit[0] for unit in units})),
        {"device": tuple(sorted({unit[2] for unit in units}))},
        days,
    )


values = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
units = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from(DAYS),
    st.sampled_from(["phone", "web"]),
    st.lists(values, min_size=2, max_size=2),
)
many_units = st.lists(units, min_size=1, max_size=40)


def assert_same(found: Moments, expected: Moments) -> None:
    scale = 1e-9 * (1 + abs(expected.mean).max() ** 2)
    assert found.n == expected.n
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.comoments, expected.comoments, rtol=1e-9, atol=scale)


@given(many_units)
def test_any_grouping_has_the_moments_of_its_units(sample: list[Unit]) -> None:
    cube = cube_of(sample)
    positions = {"day": 1, "device": 2}
    for chosen in ((), ("day",), ("device",), ("device", "day")):
        at = [0, *(positions[name] for name in chosen)]
        cells = cube.by(*chosen)
        assert set(cells) == {tuple(str(unit[i]) for i in at) for unit in sample}
        for key, cell in cells.items():
            mine = [unit[3] for unit in sample if tuple(unit[i] for i in at) == key]
            assert cell.units == len(mine)
            assert_same(cell.moments["m"], Moments.from_values(np.array(mine)))


@given(many_units, st.data())
def test_units_split_anywhere_and_added_are_the_whole(sample: list[Unit], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sample)))
    parts = [part for part in (sample[:at], sample[at:]) if part]
    total = cube_of(parts[0])
    for part in parts[1:]:
        total = total + cube_of(part)
    whole = cube_of(sample)
    assert (total.variants, total.segments, total.days) == (whole.variants, whole.segments, whole.days)
    for key, cell in whole.by("day", "device").items():
        assert_same(total.by("day", "device")[key].moments["m"], cell.moments["m"])


@given(many_units, st.sampled_from(DAYS))
def test_until_a_day_are_the_cohorts_up_to_it(sample: list[Unit], day: str) -> None:
    early = cube_of(sample).until(date.fromisoformat(day))
    kept = [unit for unit in sample if unit[1] <= day]
    assert sum(cell.units for cell in early.by().values()) == len(kept)
    assert early.days == tuple(sorted({date.fromisoformat(unit[1]) for unit in kept}))
    if kept:
        expected = cube_of(kept).by("device")
        assert early.by("device").keys() == expected.keys()
        for key, cell in expected.items():
            assert_same(early.by("device")[key].moments["m"], cell.moments["m"])


def test_equal_values_merge_to_no_variance_at_all() -> None:
    sample: list[Unit] = [
        ("a", day, device, [9.99, 0.1]) for day, device, _ in product(DAYS, ("x", "y"), range(4))
    ]
    merged = cube_of(sample).by()[("a",)].moments["m"]
    assert merged.mean.tolist() == [9.99, 0.1]
    assert merged.comoments.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_dimension_that_is_not_there_is_named() -> None:
    cube = cube_of([("a", DAYS[0], "web", [1.0, 2.0])])
    with pytest.raises(ValueError, match="no dimension 'tier'"):
        cube.by("tier")


def test_segments_that_were_not_crossed_say_so() -> None:
    cube = cube_of([("a", DAYS[0], "web", [1.0, 2.0])])
    part = cube.slices[0]
    other = Slice(("variant", "tier"), (("a", "free"),), part.units, part.metrics)
    both = Cube((part, other), cube.variants, {**cube.segments, "tier": ("free",)}, cube.days)
    assert both.dimensions == ("day", "device", "tier")
    assert both.by("tier").keys() == {("a", "free")}
    with pytest.raises(ValueError, match="not crossed"):
        both.by("device", "tier")


def test_without_days_there_is_no_until() -> None:
    cube = cube_of([("a", DAYS[0], "web", [1.0, 2.0])])
    timeless = Cube(cube.slices, cube.variants, cube.segments, None)
    with pytest.raises(ValueError, match="no cohort days"):
        timeless.until(date(2025, 1, 6))


def test_cells_add_and_refuse_other_metrics() -> None:
    def cell(*numbers: float) -> Cell:
        array: NDArray[np.float64] = np.array(numbers)
        return Cell(len(numbers), {"m": Moments.from_values(array)})

    both = cell(1.0, 2.0) + cell(6.0)
    assert both.units == 3
    assert_same(both.moments["m"], Moments.from_values(np.array([1.0, 2.0, 6.0])))
    with pytest.raises(ValueError, match="different metrics"):
        both + Cell(1, {})
