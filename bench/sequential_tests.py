"""10,000 simulated trials of five looks, from units to verdicts, beside a bare numpy loop over them.

The loop draws the same units and holds each look's z against one fixed boundary: no cohorts, no spending by
the information that came, no guards, no harm. The promise is a minute of one core for all of ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.claim import Claim, take_turns
from promptarena.analysis.conclusion import conclude
from promptarena.analysis.looks import PlannedSize
from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Primary
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Status
from promptarena.simulation.assumptions import Assumed
from promptarena.simulation.cells import cube_of, unit_counts
from promptarena.simulation.units import Population, draw_units

_TRIALS: Final = 10_000
_TIMED: Final = 300
"""Trials a round: the ratio is the same for any number of them."""
_MINUTE: Final = 60.0
_LOOKS: Final = 5
_UNITS_A_DAY: Final = 90
_DAYS: Final = 7 * _LOOKS
_VARIANTS: Final = ("control", "treatment")
_BOUNDARY: Final = np.array([4.876885, 3.357012, 2.680280, 2.289817, 2.031032])
_RESOLVED: Final = Metric(name="resolved", kind=MetricKind.RATE, of="resolved", absent=Absence.ZERO)
_POPULATION: Final = Population(
    (Assumed(_RESOLVED, 0.6, 0.49, known=True),), (0.5, 0.5), (_UNITS_A_DAY,), _DAYS, (), 0.0, 0.0
)
_PLAN: Final = AnalysisPlan(
    experiment="bench",
    control="control",
    variants=_VARIANTS,
    weights={"control": 0.5, "treatment": 0.5},
    metrics=(_RESOLVED,),
    primary=Primary(metric="resolved"),
    design=Design(expected=0.6, mde=Margin(value=0.05), looks=(0.2, 0.4, 0.6, 0.8, 1.0)),
    preregistered=True,
)
_UNITS: Final = _UNITS_A_DAY * _DAYS
_PLANNED: Final = PlannedSize(_UNITS / 4 / 0.24, _UNITS)


def run() -> Iterator[Claim]:
    """First both must err as rarely as they promise; then they take turns."""
    began = time.process_time()
    ships = _ours(_TIMED, seed=1)
    used = (time.process_time() - began) * _TRIALS / _TIMED
    assert ships / _TIMED <= 0.025 + 4 * np.sqrt(0.025 / _TIMED)
    assert _bare(_TIMED, seed=1) / _TIMED <= 0.025 + 4 * np.sqrt(0.025 / _TIMED)
    yield Claim(
        f"{_TRIALS:,} trials of {_LOOKS} looks, seconds of a core",
        f"{used:.0f} s",
        "one minute 60 s",
        used / _MINUTE,
        1.0,
    )
    yield take_turns(
        f"{_TIMED} trials of {_LOOKS} looks, from units to verdicts",
        lambda: _ours(_TIMED, seed=2),
        lambda: _bare(_TIMED, seed=2),
        other_name="bare numpy loop",
        target=None,
        rounds=3,
    )


def _ours(trials: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    ships = 0
    for _ in range(trials):
        units = draw_units(rng, _POPULATION, [{}])
        cube = cube_of(units, _POPULATION, _VARIANTS)
        found = conclude(cube, unit_counts(len(units.day)), _PLAN, planned=_PLANNED, only_decide=True)
        ships += found.verdict.status is Status.SHIP
    return ships


def _bare(trials: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    ships = 0
    for _ in range(trials):
        units = draw_units(rng, _POPULATION, [{}])
        values, week = units.facts["resolved"].values, units.day // 7
        hits, held = (
            np.stack([_by_week(week[arm], weights) for arm, weights in _arms(units.variant, values, counted)])
            for counted in (True, False)
        )
        rates = hits.cumsum(axis=1) / held.cumsum(axis=1)
        variance = (rates * (1 - rates) / held.cumsum(axis=1)).sum(axis=0)
        z = (rates[1] - rates[0]) / np.sqrt(variance)
        crossed = np.flatnonzero(np.abs(z) >= _BOUNDARY)
        ships += bool(len(crossed)) and z[crossed[0]] > 0
    return ships


def _arms(
    variant: NDArray[np.int64], values: NDArray[np.float64], counted: bool
) -> list[tuple[NDArray[np.bool_], NDArray[np.float64] | None]]:
    return [(variant == arm, values[variant == arm] if counted else None) for arm in (0, 1)]


def _by_week(week: NDArray[np.int64], weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return np.bincount(week, weights, _LOOKS).astype(np.float64)
