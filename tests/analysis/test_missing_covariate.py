"""A unit without a covariate keeps its place: it is marked, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import ArmPair, arm_pair
from promptarena.analysis.metric_query import Columns, read_table
from promptarena.definitions.metric import Absence, Covariate, Metric, MetricKind
from promptarena.stats.covariates import Components, adjusted_effect, with_missing_indicator
from promptarena.stats.moments import Moments
from promptarena.storage.table_file import open_table

Array = NDArray[np.float64]
ADJUSTED = Metric(
    name="y", kind=MetricKind.MEAN, of="y", absent=Absence.MISSING, covariates=(Covariate(of="x"),)
)
COLUMNS = Columns(unit="u", variant="v")


@pytest.fixture(name="units")
def new_and_returning() -> tuple[Array, Array, Array]:
    """Treatment, outcome and covariate of 4,000 units: it helps those who return and hurts the new."""
    rng = np.random.default_rng(5)
    treated = np.tile([0.0, 1.0], 2_000)
    x = rng.normal(0, 1, 4_000)
    new = rng.random(4_000) < 0.6
    y = 10 + np.where(new, -2 * treated, 0.2 * treated + x) + rng.normal(0, 0.5, 4_000)
    return treated, y, np.where(new, np.nan, x)


def _cube(folder: Path, treated: Array, y: Array, x: Array) -> Cube:
    columns: dict[str, Any] = {
        "u": np.arange(len(y)),
        "v": np.where(treated == 1, "treatment", "control"),
        "y": y,
        "x": pa.array(x, from_pandas=True),
    }
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns), path)
    with open_table(path) as table:
        return read_table(table.rows, COLUMNS, [ADJUSTED], locate=table.locate)[0]


def _pair(cube: Cube) -> ArmPair:
    return arm_pair(cube, ADJUSTED, "control", "treatment")


def _by_definition(treated: Array, y: Array, x: Array) -> Any:
    arms = []
    for arm in (0.0, 1.0):
        own, known = treated == arm, ~np.isnan(x)
        observed = Moments.from_values(np.column_stack([y, x])[own & known])
        missing = Moments.from_values(y[own & ~known][:, None])
        arms.append(with_missing_indicator(observed, missing, [0.0]))
    return adjusted_effect([(arms[0], arms[1])], Components((0,), ((1,), (2,))))


def test_units_without_the_covariate_are_counted(tmp_path: Path, units: tuple[Array, Array, Array]) -> None:
    found, expected = _pair(_cube(tmp_path, *units)), _by_definition(*units)
    assert found.effect is not None
    assert (found.n_control, found.n_treatment) == (2_000, 2_000)
    # 60% of -2 and 40% of 0.2; those with a covariate alone would be better off.
    assert found.effect.difference == pytest.approx(-1.12, abs=0.1)
    assert found.effect.difference == pytest.approx(expected.effect.difference, rel=1e-9)
    assert found.effect.variance == pytest.approx(expected.effect.variance, rel=1e-9)
    assert found.variance_removed == pytest.approx(expected.variance_removed, rel=1e-9)


@pytest.mark.parametrize("new_first", [False, True])
def test_a_covariate_far_from_zero_explains_as_much(
    tmp_path: Path, units: tuple[Array, Array, Array], new_first: bool
) -> None:
    treated, y, x = (np.tile(each, 5) for each in units)
    if new_first:  # 12,000 units: the look at the first ones meets no covariate at all
        order = np.argsort(~np.isnan(x), kind="stable")
        treated, y, x = treated[order], y[order], x[order]
    near, far = _pair(_cube(tmp_path, treated, y, x)), _pair(_cube(tmp_path, treated, y, x + 1e8))
    assert near.effect is not None
    assert far.effect is not None
    assert far.effect.difference == pytest.approx(near.effect.difference, rel=1e-6)
    assert far.variance_removed == pytest.approx(near.variance_removed, rel=1e-6)


def test_cubes_in_which_other_numbers_stand_in_add_to_the_whole(
    tmp_path: Path, units: tuple[Array, Array, Array]
) -> None:
    treated, y, x = units[0], units[1], units[2] + np.where(np.arange(4_000) < 1_500, 50, 70)
    parts = [
        _cube(tmp_path, *(each[half] for each in (treated, y, x)))
        for half in (slice(1_500), slice(1_500, None))
    ]
    first, second = (part.slices[0].metrics["y"].stand_ins for part in parts)
    assert first == pytest.approx((50,), abs=1)
    assert second == pytest.approx((70,), abs=1)
    whole, added = _pair(_cube(tmp_path, treated, y, x)), _pair(parts[0] + parts[1])
    assert whole.effect is not None
    assert added.effect is not None
    assert added.effect.difference == pytest.approx(whole.effect.difference, rel=1e-9)
    assert added.effect.variance == pytest.approx(whole.effect.variance, rel=1e-9)


def test_a_complete_covariate_is_the_only_one(tmp_path: Path, units: tuple[Array, Array, Array]) -> None:
    treated, y, x = units[0], units[1], np.nan_to_num(units[2])
    found = _pair(_cube(tmp_path, treated, y, x))
    arms = [Moments.from_values(np.column_stack([y, x])[treated == arm]) for arm in (0.0, 1.0)]
    expected = adjusted_effect([(arms[0], arms[1])], Components((0,), ((1,),)))
    assert found.effect is not None
    assert found.effect.difference == pytest.approx(expected.effect.difference, rel=1e-12)
    assert found.effect.variance == pytest.approx(expected.effect.variance, rel=1e-12)
    assert found.effect.df == pytest.approx(expected.effect.df, rel=1e-12)


def test_a_covariate_that_nobody_has_changes_nothing(
    tmp_path: Path, units: tuple[Array, Array, Array]
) -> None:
    treated, y, _ = units
    found = _pair(_cube(tmp_path, treated, y, np.full(4_000, np.nan)))
    assert found.effect is not None
    plain = y[treated == 1].mean() - y[treated == 0].mean()
    assert found.effect.difference == pytest.approx(plain, rel=1e-12)
    assert found.variance_removed == pytest.approx(0, abs=1e-3)
