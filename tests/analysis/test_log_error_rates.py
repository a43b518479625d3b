"""Simulated experiments from their events to the verdict: how often nothing ships.

Many experiments share one log on disk, each as epochs of its own, so that one question answers for all of them;
everything from exposures, windows and cohorts to looks and verdict is the real thing. The mistakes that the
rules forbid are made beside it, on the same data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.analysis.cubes import counts_of
from tests.analysis.event_logs import MIDNIGHT, at, experiment
from tests.calibration import Calibration

from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.cohort_cube import read_cohorts
from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.conclusion import conclude
from promptarena.analysis.cube import Cube, Slice
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.planned_size import planned_size
from promptarena.definitions.clock import ManualClock
from promptarena.definitions.events import Event, Exposure, Generation, Measurement
from promptarena.definitions.experiment import Experiment
from promptarena.storage.event_log import EventLog
from promptarena.storage.warehouse import Warehouse

Floats = NDArray[np.float64]

_DESIGN = "{expected: 0.5, mde: 0.1, looks: [0.25, 0.5, 0.75, 1], max_days: 28}"
_UNITS, _DAYS = 800, 28
_CRITICAL = NormalDist().inv_cdf(0.975)
_EPOCHS = 2
"""Of each experiment."""
_BATCH = 250


@dataclass(frozen=True)
class _Units:
    """All units of a batch of experiments, one entry each."""

    experiment: NDArray[np.int64]
    hours: Floats
    """Of the first exposure."""
    epoch: NDArray[np.int64]
    treated: NDArray[np.bool_]
    resolved_after: Floats
    """Hours after the first exposure."""
    active_for: Floats
    """Hours until the last turn."""


def _steady(rng: np.random.Generator, runs: int) -> _Units:
    """Half is treated, resolutions take their time, half of them too long."""
    size = runs * _UNITS
    return _Units(
        experiment=np.repeat(np.arange(runs), _UNITS),
        hours=rng.uniform(0, _DAYS * 24, size),
        epoch=np.zeros(size, np.int64),
        treated=rng.random(size) < 0.5,
        resolved_after=rng.exponential(24 / math.log(2), size),
        active_for=rng.exponential(6, size),
    )


def _ramp(rng: np.random.Generator, runs: int) -> _Units:
    """5%, then 50% are treated, while resolutions become more frequent by themselves."""
    units = _steady(rng, runs)
    late = units.hours >= _DAYS * 12
    treated = rng.random(len(late)) < np.where(late, 0.5, 0.05)
    slow = rng.exponential(24 / -np.log(1 - np.where(late, 0.7, 0.3)), len(late))
    return replace(units, epoch=late.astype(np.int64), treated=treated, resolved_after=slow)


def _longer(rng: np.random.Generator, runs: int) -> _Units:
    """The treatment makes conversations last longer, and nothing else."""
    units = _steady(rng, runs)
    return replace(units, active_for=units.active_for * np.where(units.treated, 1.5, 1.0))


_WEIGHTS = {"steady": (0.5, 0.5), "ramp": (0.05, 0.5), "longer": (0.5, 0.5)}
"""Share of the treated, by epoch."""
_SCENARIOS = {"steady": _steady, "ramp": _ramp, "longer": _longer}


@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_nothing_ships_more_seldom_than_alpha_says(tmp_path: Path, scenario: str) -> None:
    _hold_to_alpha(tmp_path, scenario, runs=30, seed=11)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_nothing_ships_in_two_thousand_experiments(
    tmp_path: Path, scenario: str, calibration: Calibration
) -> None:
    found = _hold_to_alpha(tmp_path, scenario, runs=2000, seed=12)
    for status, nominal in (("ship", 0.025), ("invalid", 0.01), ("harmful", 0.01)):
        calibration.record(
            "A/A experiments through log, cohorts, windows and looks",
            {"steady": "steady", "ramp": "5%, then 50% treated", "longer": "longer conversations"}[scenario],
            f"false {status}",
            nominal=nominal,
            observed=found[status] / 2000,
            runs=2000,
            seed=12,
            bound="at most",
        )


def test_a_ramp_that_is_pooled_finds_what_is_not_there() -> None:
    units = _ramp(np.random.default_rng(13), 200)
    assert _mistaken(units, units.resolved_after < 24) > 0.8


def test_windows_that_close_when_a_conversation_goes_quiet_find_what_is_not_there() -> None:
    units = _longer(np.random.default_rng(14), 200)
    assert _mistaken(units, units.resolved_after < units.active_for + 1) > 0.15
    assert _mistaken(units, units.resolved_after < 24) < 0.025 + 2 * math.sqrt(0.025 * 0.975 / 200)


def _hold_to_alpha(tmp_path: Path, scenario: str, runs: int, seed: int) -> Counter[str]:
    found = Counter(_verdicts(tmp_path, scenario, runs, seed))
    assert sum(found.values()) == runs
    assert found["ship"] / runs <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / runs), found
    assert found["invalid"] / runs <= 0.01 + 2 * math.sqrt(0.01 / runs), found
    assert found["hold"] / runs > 0.9, found
    return found


def _verdicts(tmp_path: Path, scenario: str, runs: int, seed: int) -> Iterator[str]:
    of = experiment(tmp_path, design=_DESIGN)
    plan = of.analysis_plan()
    size = planned_size(plan)
    rng = np.random.default_rng(seed)
    with Warehouse(ordered=False) as warehouse:
        for begin in range(0, runs, _BATCH):
            units = _SCENARIOS[scenario](rng, min(_BATCH, runs - begin))
            together = _cube(warehouse, tmp_path / f"log-{begin}", of, units)
            for own in _each(together, min(_BATCH, runs - begin)):
                arrivals = _arrivals(own, _WEIGHTS[scenario])
                concluded = conclude(own, counts_of(own), plan, planned=size, arrivals=arrivals)
                yield concluded.verdict.status.value


def _cube(warehouse: Warehouse, folder: Path, of: Experiment, units: _Units) -> Cube:
    clock = ManualClock(MIDNIGHT)
    with EventLog(folder, clock=clock) as log:
        for hour, events in _hours(of, units):
            clock.set(at(hour + 1))
            log.append(events, "process", checked=True)
        log.seal()
        tables = EventTables.of_snapshot(warehouse.connection, log.snapshot())
        cohorts = read_cohorts(
            tables,
            of,
            of.metrics,
            as_of=at(days=_DAYS + 3),
            last_day=date(2026, 3, 29),
            maturity=Maturity.of(of.metrics, of.unit),
        )
    assert cohorts.gathered.misfits == 0
    assert sum(arrived.units for arrived in cohorts.arrived) == len(units.hours)
    return cohorts.cube


def _hours(of: Experiment, units: _Units) -> Iterator[tuple[int, list[Event]]]:
    """Everything in the order in which it happens, hour by hour, until the last window has closed."""
    happened = np.concatenate(
        (units.hours, units.hours + units.resolved_after, units.hours + units.active_for)
    )
    order = np.argsort(happened)
    ends = np.searchsorted(happened[order], np.arange(1, (_DAYS + 2) * 24 + 1))
    for hour, (begin, end) in enumerate(zip((0, *ends[:-1]), ends, strict=True)):
        moments = [MIDNIGHT + timedelta(hours=moment) for moment in happened[order[begin:end]].tolist()]
        stories = [divmod(place, len(units.hours)) for place in order[begin:end].tolist()]
        yield (
            hour,
            [_event(of, units, what, unit, ts) for (what, unit), ts in zip(stories, moments, strict=True)],
        )


def _event(of: Experiment, units: _Units, what: int, unit: int, ts: datetime) -> Event:
    name, variant = f"unit-{unit}", "treatment" if units.treated[unit] else "control"
    match what:
        case 0:
            return Exposure(
                ts=ts,
                experiment=of.name,
                definition_hash=of.content_hash,
                stage="ab",
                epoch=int(units.experiment[unit] * _EPOCHS + units.epoch[unit]),
                variant=variant,
                propensity=0.5,
                unit_kind=of.unit,
                unit_id=name,
            )
        case 1:
            return Measurement(
                ts=ts, name="resolved", target_kind=of.unit, target=name, source="code", value=1.0
            )
        case _:
            return Generation(
                ts=ts,
                request_id=name,
                feature=of.feature,
                conversation_id=name,
                experiment=of.name,
                variant=variant,
            )


def _each(together: Cube, runs: int) -> Iterator[Cube]:
    """The cubes of the experiments that share one."""
    [whole] = together.slices
    column = whole.dimensions.index("epoch")
    places: dict[int, list[int]] = {}
    for i, key in enumerate(whole.keys):
        places.setdefault(int(key[column]) // _EPOCHS, []).append(i)
    assert sorted(places) == list(range(runs))
    for own in places.values():
        keys = tuple(whole.keys[i] for i in own)
        part = Slice(
            whole.dimensions,
            keys,
            whole.units[np.asarray(own)],
            {name: arrays.taken(own) for name, arrays in whole.metrics.items()},
        )
        yield Cube((part,), together.variants, {}, together.days)


def _arrivals(own: Cube, treated: tuple[float, float]) -> Arrivals:
    cells = own.by("epoch")
    return Arrivals(
        weights={
            epoch: {
                "control": 1 - treated[int(epoch) % _EPOCHS],
                "treatment": treated[int(epoch) % _EPOCHS],
            }
            for _, epoch in cells
        },
        exposed={(variant, epoch): cell.units for (variant, epoch), cell in cells.items()},
        crossed={},
    )


def _mistaken(units: _Units, resolved: NDArray[np.bool_]) -> float:
    """How many of the experiments would ship by a plain test of all units together, looked at once."""
    runs = int(units.experiment.max()) + 1
    sums = np.zeros((2, runs))
    counts = np.zeros((2, runs))
    arms = units.treated.astype(np.int64)
    np.add.at(sums, (arms, units.experiment), resolved.astype(np.float64))
    np.add.at(counts, (arms, units.experiment), 1.0)
    rates = sums / counts
    error = np.sqrt((rates * (1 - rates) / counts).sum(axis=0))
    return float(np.mean((rates[1] - rates[0]) / error > _CRITICAL))
