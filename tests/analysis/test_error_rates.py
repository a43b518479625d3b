"""Simulated experiments of several rows a unit: how often nothing ships, and how often the effect does.

Every experiment goes from unit values through cube, looks, guards and verdict. Rows of a unit are alike
(ICC .4), which is what breaks an analysis by rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from functools import cache
from statistics import NormalDist

import numpy as np
import pytest
from tests.analysis.cubes import Array, by_day, counts_of, metric, plan
from tests.calibration import Bound, Calibration

from promptarena.analysis.conclusion import conclude
from promptarena.analysis.cube import Cube
from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.plan import plan as size_plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.metric import MetricKind
from promptarena.definitions.quantities import Margin

_RATE, _ICC, _ROWS, _MDE, _DAYS = 0.6, 0.4, 5, 0.05, 28
_LOOKS = (0.25, 0.5, 0.75, 1.0)
_POWER = 0.8
_RECORDED = ("Verdicts on a table of units", "rate .6, 5 rows a unit, ICC .4, four looks")


@cache
def _size() -> PlannedSize:
    request = PlanRequest(
        kind=MetricKind.MEAN,
        baseline=_RATE,
        sd=math.sqrt(_RATE * (1 - _RATE)),
        mde=Margin(value=_MDE),
        rows_per_unit=_ROWS,
        icc=_ICC,
        power=_POWER,
        looks=_LOOKS,
    )
    sized = size_plan(request)
    return PlannedSize(sized.max_information, sized.total)


def _rows(rng: np.random.Generator, units: int, rate: float) -> Array:
    """Successes of each unit's rows; units differ, so that rows of one correlate by the ICC."""
    spread = 1 / _ICC - 1
    return rng.binomial(_ROWS, rng.beta(rate * spread, (1 - rate) * spread, units)).astype(np.float64)


def _experiments(runs: int, effect: float, seed: int) -> Iterator[tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    units = _size().units // 2
    for _ in range(runs):
        yield _rows(rng, units, _RATE), _rows(rng, units, _RATE + effect)


def _cube(control: Array, treatment: Array) -> Cube:
    """Units by day, with the unit's mean over its rows as its value."""
    arms = {"control": control / _ROWS, "treatment": treatment / _ROWS}
    return by_day({name: np.array_split(values, _DAYS) for name, values in arms.items()}, "value")


def _verdicts(runs: int, effect: float, seed: int) -> Counter[str]:
    declared = plan(metric("value"), preregistered=True, design={"looks": _LOOKS, "max_days": _DAYS})
    found: Counter[str] = Counter()
    for control, treatment in _experiments(runs, effect, seed):
        made = _cube(control, treatment)
        found[conclude(made, counts_of(made), declared, planned=_size()).verdict.status.value] += 1
    return found


def _ships_by_rows(runs: int, seed: int) -> float:
    """The mistake: every row a unit, looked at once."""
    critical = NormalDist().inv_cdf(0.975)
    ships = 0
    for control, treatment in _experiments(runs, 0.0, seed):
        rates = [values.mean() / _ROWS for values in (control, treatment)]
        variance = sum(rate * (1 - rate) / (len(control) * _ROWS) for rate in rates)
        ships += (rates[1] - rates[0]) / math.sqrt(variance) > critical
    return ships / runs


def _within(share: float, nominal: float, runs: int) -> bool:
    return share <= nominal + 2 * math.sqrt(nominal * (1 - nominal) / runs)


def test_few_of_some_experiments_without_effect_ship() -> None:
    runs = 400
    found = _verdicts(runs, 0.0, seed=1)
    assert _within(found["ship"] / runs, 0.025, runs)
    assert _within(found["harmful"] / runs, 0.01, runs)
    assert found["continue"] == 0


def test_the_same_data_by_rows_ships_several_times_too_often() -> None:
    runs = 2_000
    assert _ships_by_rows(runs, seed=1) > 3 * 0.025


@pytest.mark.slow
def test_false_ships_in_ten_thousand_experiments_stay_at_their_level(calibration: Calibration) -> None:
    runs = 10_000
    found = _verdicts(runs, 0.0, seed=2)
    figures: tuple[tuple[str, float, float, Bound], ...] = (
        ("false ship", 0.025, found["ship"] / runs, "at most"),
        ("false harm", 0.01, found["harmful"] / runs, "at most"),
        ("false ship, every row a unit, looked at once", 0.025, _ships_by_rows(runs, seed=2), "beside"),
    )
    for figure, nominal, observed, bound in figures:
        calibration.record(
            *_RECORDED, figure, nominal=nominal, observed=observed, runs=runs, seed=2, bound=bound
        )
    assert _within(found["ship"] / runs, 0.025, runs)
    assert _within(found["harmful"] / runs, 0.01, runs)


@pytest.mark.slow
def test_power_at_the_planned_effect_is_within_two_points_of_the_plan(calibration: Calibration) -> None:
    runs = 10_000
    found = _verdicts(runs, _MDE, seed=3)
    calibration.record(
        *_RECORDED,
        "ship at the MDE",
        nominal=_POWER,
        observed=found["ship"] / runs,
        runs=runs,
        seed=3,
        slack=0.02,
    )
    assert found["ship"] / runs == pytest.approx(_POWER, abs=0.02)
