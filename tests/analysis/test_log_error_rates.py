"""Simulated experiments from their events to the verdict: how often nothing ships.

Many experiments share one log, each as epochs of its own, so that one question to the engine answers for all;
everything from exposures, windows and cohorts to looks and verdict is the real thing. The mistakes that the
rules forbid are made beside it, on the same data.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
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
from promptarena.definitions.events import Kind
from promptarena.definitions.experiment import Experiment
from promptarena.storage.arrow_schema import schema_of
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
            together = _cube(warehouse, of, units)
            for own in _each(together, min(_BATCH, runs - begin)):
                arrivals = _arrivals(own, _WEIGHTS[scenario])
                concluded = conclude(own, counts_of(own), plan, planned=size, arrivals=arrivals)
                yield concluded.verdict.status.value


def _cube(warehouse: Warehouse, of: Experiment, units: _Units) -> Cube:
    tables = _tables(warehouse, of, units)
    cohorts = read_cohorts(
        tables,
        of,
        of.metrics,
        as_of=at(days=_DAYS + 3),
        last_day=date(2026, 3, 29),
        maturity=Maturity.of(of.metrics, of.unit),
    )
    assert cohorts.gathered.misfits == 0
    return cohorts.cube


def _tables(warehouse: Warehouse, of: Experiment, units: _Units) -> EventTables:
    names = pa.array([f"unit-{i}" for i in range(len(units.hours))])
    variants = np.where(units.treated, "treatment", "control")
    exposures = {
        **_happened(units.hours),
        "experiment": of.name,
        "definition_hash": of.content_hash,
        "stage": "ab",
        "epoch": units.experiment * _EPOCHS + units.epoch,
        "variant": variants,
        "propensity": 0.5,
        "unit_kind": of.unit,
        "unit_id": names,
    }
    resolved = {
        **_happened(units.hours + units.resolved_after),
        "name": "resolved",
        "target_kind": of.unit,
        "target": names,
        "source": "code",
        "value": 1.0,
    }
    last_turn = {
        **_happened(units.hours + units.active_for),
        "feature": of.feature,
        "role": "served",
        "conversation_id": names,
        "experiment": of.name,
        "variant": variants,
    }
    return EventTables(
        warehouse.connection,
        _stored(warehouse, "exposure", exposures, len(names)),
        _stored(warehouse, "generation", last_turn, len(names)),
        _stored(warehouse, "measurement", resolved, len(names)),
    )


def _happened(hours: Floats) -> dict[str, Any]:
    start = int(MIDNIGHT.timestamp() * 1e6)
    moments = pa.array(start + (hours * 3.6e9).astype(np.int64), pa.int64())
    ids = pa.array([f"event-{i}" for i in range(len(hours))])
    return {"event_id": ids, "ts": moments, "received_at": moments}


def _stored(warehouse: Warehouse, kind: Kind, columns: dict[str, Any], rows: int) -> Any:
    arrays = []
    for field in schema_of(kind):
        value = columns.get(field.name)
        if value is None:
            arrays.append(pa.nulls(rows, field.type))
        elif isinstance(value, str | float):
            arrays.append(pa.repeat(pa.scalar(value), rows).cast(field.type))
        else:
            arrays.append((value if isinstance(value, pa.Array) else pa.array(value)).cast(field.type))
    table = pa.Table.from_arrays(arrays, schema=schema_of(kind))
    return warehouse.connection.create_table(kind, table, overwrite=True)


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
