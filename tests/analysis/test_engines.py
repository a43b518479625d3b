"""The same questions to other engines: ClickHouse's and Spark's."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.analysis.engines import ENGINES, tables_of
from tests.analysis.event_logs import Log, at, experiment

from promptarena.analysis.cohort_cube import Cohorts, read_cohorts
from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.cube import Cube
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.log_readout import read_events
from promptarena.definitions.events import Exposure, Generation, Kind, Measurement
from promptarena.storage.arrow_schema import events_to_table

_KINDS: dict[Kind, Any] = {"exposure": Exposure, "generation": Generation, "measurement": Measurement}
_TEXT = """
experiment: cites
feature: support-bot
variants: {control: {}, treatment: {temperature: 0.5}}
metrics:
  resolved: {rate: resolved}
  cost: {sum: cost_usd}
  errors: {count: error}
  slow: {mean: latency_ms, window: 5h}
  rating: {mean: rating}
  cost_per_resolved: {ratio: {of: cost_usd, over: resolved}}
  latency_p95: {quantile: {of: latency_ms, q: 0.95}}
  adjusted: {mean: rating, covariate: rating_before}
primary: resolved
design: {expected: 0.6, mde: 0.05}
segments: [device]
"""


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("unit", ["conversation", "user", "team"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_has_the_same_answers(tmp_path: Path, engine: str, unit: str) -> None:
    of = experiment(tmp_path, _TEXT, unit=unit)
    log = _log(of)
    files = _files(log, tmp_path)
    ours = tables_of(ibis.duckdb.connect(), "duckdb", files)
    theirs = tables_of(ENGINES[engine](), engine, files)
    expected, found = _cohorts(log, ours), _cohorts(log, theirs)
    assert len(expected.arrived) > 20
    assert found.arrived == expected.arrived
    assert (found.refused, found.unused) == (expected.refused, expected.unused)
    assert found.gathered == expected.gathered
    for epoch, shares in expected.propensities.items():
        assert found.propensities[epoch] == pytest.approx(shares, rel=1e-9)
    _assert_same(found.cube, expected.cube)
    verdicts = [read_events(of, tables, as_of=at(days=20)).verdict for tables in (ours, theirs)]
    assert verdicts[0].status == verdicts[1].status
    assert [c.passed for c in verdicts[0].checks] == [c.passed for c in verdicts[1].checks]


def _cohorts(log: Log, tables: EventTables) -> Cohorts:
    maturity = Maturity.of(log.of.metrics, log.of.unit)
    return read_cohorts(
        tables,
        log.of,
        log.of.metrics,
        as_of=at(days=20),
        last_day=date(2026, 3, 9),
        maturity=maturity,
    )


def _assert_same(found: Cube, expected: Cube) -> None:
    theirs, ours = found.by("day", "epoch", "device"), expected.by("day", "epoch", "device")
    assert {key: cell.units for key, cell in theirs.items()} == {key: c.units for key, c in ours.items()}
    for key, cell in ours.items():
        for name, moments in cell.moments.items():
            other = theirs[key].moments[name]
            assert other.n == moments.n
            np.testing.assert_allclose(other.mean, moments.mean, rtol=1e-9)
            scale = np.sqrt(np.outer(np.diagonal(moments.comoments), np.diagonal(moments.comoments)))
            assert (np.abs(other.comoments - moments.comoments) <= 1e-9 * scale + 1e-12).all(), name
    for column, values in expected.values.items():
        for day, counted in values.by("day", "epoch").items():
            other_counts = found.values[column].by("day", "epoch")[day]
            assert other_counts.counts.total_units == counted.counts.total_units
            np.testing.assert_array_equal(other_counts.counts.counts, counted.counts.counts)


def _files(log: Log, folder: Path) -> dict[Kind, Path]:
    files = {kind: folder / f"{kind}.parquet" for kind in _KINDS}
    for kind, declared in _KINDS.items():
        events = [event for event in log.events if isinstance(event, declared)]
        pq.write_table(events_to_table(kind, events), files[kind])
    return files


def _log(of: Any) -> Log:
    """Numbers of all sizes, units that come back, cross over, rate twice and write late."""
    rng = random.Random(5)
    log = Log(of)
    for i in range(600):
        unit, begins = f"unit-{i}", i / 4
        for _ in range(rng.choice((1, 1, 2))):
            log.expose(
                unit,
                begins + rng.choice((0, 0, 1, 30)),
                ("control", "treatment")[i % 2 if rng.random() < 0.99 else 0],
                stage="canary" if i < 60 else "ab",
                epoch=i // 300,
                segments={"device": rng.choice(("phone", "desktop"))} if rng.random() < 0.9 else {},
                request_id=f"r-{i}-0",
            )
        for turn in range(3):
            ids = {"conversation_id": f"c-{i}", "user_id": f"u-{i}"} | {f"{of.unit}_id": unit}
            log.call(
                unit,
                begins + turn * 0.7 + rng.random(),
                request_id=f"r-{i}-{turn}",
                response_id=f"p-{i // 2}-{turn}",
                **{name: value for name, value in ids.items() if name != "team_id"},
                cost_usd=rng.expovariate(50),
                latency_ms=rng.lognormvariate(7, 0.5),
                error=rng.choice((None,) * 9 + ("timeout",)),
            )
        log.measure(unit, begins - 1, "rating_before", value=rng.gauss(3e6, 1))
        for kind, target in ((of.unit, unit), ("request", f"r-{i}-1"), ("response", f"p-{i // 2}-0")):
            happened = begins + rng.random() * 30
            log.measure(target, happened, "resolved", target_kind=kind, value=float(rng.random() < 0.5))
            for hour in (0, 2):
                log.measure(
                    target,
                    happened + hour,
                    "rating",
                    target_kind=kind,
                    source="human",
                    value=rng.gauss(3e6, 1),
                    received_at=at(happened + rng.choice((3, 3, 90))),
                )
    return log
