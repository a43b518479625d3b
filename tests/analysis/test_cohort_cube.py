"""What the engine gathers of a log is what the rules say, told one event after the other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.analysis.event_logs import Log, at, experiment
from tests.analysis.log_oracle import Unit, units_of

from promptarena.analysis.cohort_cube import Cohorts, counted_values, read_cohorts
from promptarena.analysis.cohorts import Maturity
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.metric import MetricKind
from promptarena.stats.moments import Moments
from promptarena.storage.warehouse import Warehouse

_METRICS = """
  resolved: {rate: resolved, window: 24h}
  early: {rate: resolved, window: 2h}
  cost: {sum: cost_usd}
  errors: {count: error}
  turns: {count: requests, window: 12h}
  slow: {mean: latency_ms}
  rating: {mean: rating}
  rated: {count: rating}
  orders: {sum: order}
  cost_per_resolved: {ratio: {of: cost_usd, over: resolved}}
  latency_p50: {quantile: {of: latency_ms, q: 0.5}}
  rating_p50: {quantile: {of: rating, q: 0.5}}
  adjusted: {mean: rating, covariate: rating_before}
"""
_TEXT = f"""
experiment: cites
feature: support-bot
variants: {{control: {{}}, treatment: {{temperature: 0.5}}}}
metrics: {_METRICS}
primary: resolved
design: {{expected: 0.6, mde: 0.05}}
segments: [device]
"""


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    with Warehouse(ordered=False) as opened:
        yield opened


_UNITS = ("request", "conversation", "session", "user", "team")


@pytest.mark.parametrize("unit", _UNITS)
def test_every_unit_has_what_the_rules_say_of_its_events(
    tmp_path: Path, warehouse: Warehouse, unit: str
) -> None:
    _compare(tmp_path, warehouse, unit, seed=0)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 31))
@pytest.mark.parametrize("unit", _UNITS)
def test_it_does_in_many_logs(tmp_path: Path, warehouse: Warehouse, unit: str, seed: int) -> None:
    _compare(tmp_path, warehouse, unit, seed)


def test_the_last_opinion_in_the_window_counts(tmp_path: Path, warehouse: Warehouse) -> None:
    of = experiment(tmp_path, metrics="{rating: {mean: rating, window: 2h}}", primary="rating", design="{}")
    log = Log(of)
    log.expose("changed", 0)
    log.measure("changed", 1, "rating", value=2, source="human")
    log.measure("changed", 1.5, "rating", value=5, source="human")
    log.measure("changed", 2, "rating", value=1, source="human")  # the window has just closed
    log.expose("at once", 0)
    log.measure("at once", 1, "rating", value=3, source="judge", event_id="b")
    log.measure("at once", 1, "rating", value=4, source="judge", event_id="c")
    log.measure("at once", 1, "rating", value=5, source="judge", event_id="a")
    log.expose("two judges", 0)
    log.measure("two judges", 1, "rating", value=1, source="judge", evaluator="one")
    log.measure("two judges", 1.1, "rating", value=2, source="judge", evaluator="other")
    cell = _read(log, warehouse, at(days=4)).cube.by()["control",]
    assert cell.units == 3
    assert cell.moments["rating"].mean[0] == pytest.approx((5 + 4 + 1.5) / 3)


def test_an_order_is_no_opinion_and_a_second_one_counts_too(tmp_path: Path, warehouse: Warehouse) -> None:
    of = experiment(tmp_path, metrics="{spent: {sum: order}}", primary="spent", design="{}")
    log = Log(of)
    log.expose("buyer", 0)
    for value in (10, 5):
        log.measure("buyer", 1, "order", value=value, source="business")
    assert _read(log, warehouse, at(days=4)).cube.by()["control",].moments["spent"].mean[0] == 15


def test_among_exposures_of_one_instant_the_least_event_id_is_the_first(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    log = Log(experiment(tmp_path))
    log.expose("unit", 0, "control", event_id="b")
    log.expose("unit", 0, "treatment", event_id="a", epoch=1)
    log.expose("unit", 1, "control", event_id="0")
    assert list(_read(log, warehouse, at(days=4)).cube.by("epoch")) == [("treatment", "1")]


def test_a_cohort_enters_whole_once_its_last_window_and_the_lateness_have_passed(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    log = Log(experiment(tmp_path))
    log.expose("first of the day", 0)
    log.expose("last of the day", 24 - 1e-6)
    log.expose("next day", 24)
    matured = at(24 + 24 + 1)
    early = _read(log, warehouse, matured - timedelta(microseconds=1))
    assert early.cube.by() == {}
    assert sum(each.units for each in early.arrived) == 3
    assert _read(log, warehouse, matured).cube.by()["control",].units == 2


def test_what_is_received_after_its_cohort_matured_counts_and_is_counted(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    log = Log(experiment(tmp_path))
    log.expose("unit", 1)
    log.measure("unit", 2, received_at=at(49) - timedelta(microseconds=1))
    log.measure("unit", 3, received_at=at(49))
    log.measure("unit", 30, received_at=at(60))  # outside of the window: nobody's
    before, after = _read(log, warehouse, at(49)), _read(log, warehouse, at(61))
    assert (before.gathered.late, after.gathered.late) == (0, 1)


def test_what_cannot_be_used_is_told(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path))
    log.expose("unit", 1)
    log.expose("unit", 1, definition_hash="other")
    log.expose("unit", 1, "surprise")
    log.call("unit", 2, request_id="r", response_id="p")
    log.call("other unit", 2, request_id="r2", response_id="p")
    log.measure("somebody", 2, target_kind="user")
    log.measure("p", 2, target_kind="response")
    log.measure("unit", 2, value=0.7)
    found = _read(log, warehouse, at(days=4))
    assert (found.refused.other_definition, found.refused.undeclared) == (1, 1)
    assert found.unused == (
        "1 measurement of resolved about a user, which does not roll up to a conversation",
        "1 measurement of resolved with a value that is neither 0 nor 1",
        "1 measurement of a response that could be of several units",
    )
    assert found.cube.by()["control",].moments["resolved"].mean[0] == 0


def test_a_longer_conversation_has_no_longer_window(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path))
    for unit, variant in (("brief", "control"), ("long", "treatment")):
        log.expose(unit, 1, variant)
    for hour in range(1, 60):
        log.call("long", hour)
        log.expose("long", hour, "treatment")
    log.measure("long", 40)
    log.measure("brief", 24)
    cells = _read(log, warehouse, at(days=5)).cube.by()
    assert cells["control",].moments["resolved"].mean[0] == 1
    assert cells["treatment",].moments["resolved"].mean[0] == 0


def _compare(tmp_path: Path, warehouse: Warehouse, unit: str, seed: int) -> None:
    of = experiment(tmp_path, _TEXT, unit=unit)
    log = _any_log(of, random.Random(f"{unit} {seed}"))
    maturity = Maturity.of(of.metrics, unit)
    as_of = at(days=maturity.window / timedelta(days=1) + 2.5)
    found = _read(log, warehouse, as_of)
    expected = units_of(log.events, of, as_of, maturity.last_day(as_of))
    assert sum(cell.units for cell in found.cube.by().values()) == sum(
        each.stage == "ab" for each in expected.values()
    )
    assert len(expected) > 5
    _assert_same(found.cube, [each for each in expected.values() if each.stage == "ab"], of)
    canary = [each for each in expected.values() if each.stage != "ab"]
    assert (found.canary is None) == (canary == [])
    if found.canary is not None:
        _assert_same(found.canary, canary, of)


def _read(log: Log, warehouse: Warehouse, as_of: Any) -> Cohorts:
    maturity = Maturity.of(log.of.metrics, log.of.unit)
    return read_cohorts(
        log.tables(warehouse.connection),
        log.of,
        log.of.metrics,
        as_of=as_of,
        last_day=maturity.last_day(as_of),
        maturity=maturity,
    )


def _assert_same(cube: Any, units: list[Unit], of: Experiment) -> None:
    cells = cube.by("day", "epoch", "device")
    expected: dict[tuple[str, ...], list[Unit]] = {}
    for unit in units:
        key = (unit.variant, unit.day.isoformat(), str(unit.epoch), unit.segments["device"])
        expected.setdefault(key, []).append(unit)
    assert {key: cell.units for key, cell in cells.items()} == {k: len(v) for k, v in expected.items()}
    for key, cell in cells.items():
        for metric in of.metrics:
            values = [value for unit in expected[key] if (value := unit.values[metric.name]) is not None]
            if metric.covariates:
                stand_in = cube.slices[0].metrics[metric.name].stand_ins[0]
                values = [tuple(stand_in if part is None else part for part in value) for value in values]
            if metric.kind is MetricKind.QUANTILE:
                assert cell.moments[metric.name].n == len(values)
                counted = cube.values[counted_values(metric, of.unit)].by("day", "epoch", "device")
                number = sum(map(len, values))
                assert (counted[key].counts.total_units if key in counted else 0) == len(values)
                assert (sum(counted[key].counts.counts) if key in counted else 0) == number
                continue
            told = cell.moments[metric.name]
            own = Moments.from_values(values) if values else Moments.empty(len(told.mean))
            assert told.n == own.n, metric.name
            np.testing.assert_allclose(told.mean, own.mean, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(told.comoments, own.comoments, rtol=1e-9, atol=1e-9)


def _any_log(of: Experiment, rng: random.Random) -> Log:
    """A log in which everything happens that may: early, late, twice, to nobody, in several variants."""
    log = Log(of)
    units = [f"unit-{i}" for i in range(14)]
    hours = (0.0, 1.5, 3.0, 11.0, 20.0, 26.0, 40.0)
    for unit in units:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            log.expose(
                unit,
                rng.choice(hours),
                rng.choice(("control", "treatment")),
                stage=rng.choice(("canary", "ab", "ab", "ab")),
                epoch=rng.choice((0, 1)),
                segments=rng.choice(({}, {"device": "phone"}, {"device": "desktop"})),
                request_id=rng.choice((f"r-{unit}-0", f"r-{unit}-1", None)),
                definition_hash=rng.choice((of.content_hash,) * 9 + ("other",)),
            )
    for _ in range(120):
        unit = rng.choice([*units, "stranger"])
        at_hour = rng.choice(hours) + rng.choice((-3.0, 0.0, 0.5, 2.0, 12.0, 24.0, 100.0, 168.0))
        request = f"r-{unit}-{rng.randrange(3)}"
        ids = {
            "request_id": unit if of.unit == "request" else request,
            "response_id": rng.choice((f"p-{unit}-{rng.randrange(2)}", "p-shared", None)),
            "conversation_id": rng.choice((f"c-{unit}-{rng.randrange(2)}", "c-shared")),
            "session_id": f"s-{unit}",
            "user_id": rng.choice((f"u-{unit}", None)),
        }
        if of.unit in ("conversation", "session", "user"):
            ids[f"{of.unit}_id"] = unit
        log.call(
            unit,
            at_hour,
            **{k: v for k, v in ids.items() if v},
            role=rng.choice(("served",) * 5 + ("shadow", "offline")),
            feature=rng.choice(("support-bot",) * 5 + ("search",)),
            cost_usd=rng.choice((None, 0.25, 1.5)),
            latency_ms=rng.choice((None, 90.0, 250.0, 900.0)),
            error=rng.choice((None, None, "timeout")),
            retry_count=rng.choice((0, 2)),
        )
    for _ in range(160):
        unit = rng.choice([*units, "stranger"])
        kind, target = rng.choice(
            (
                (of.unit, unit),
                (of.unit, unit),
                ("request", unit if of.unit == "request" else f"r-{unit}-{rng.randrange(3)}"),
                ("response", rng.choice((f"p-{unit}-0", "p-shared"))),
                ("conversation", rng.choice((f"c-{unit}-0", "c-shared"))),
                ("session", f"s-{unit}"),
                ("user", f"u-{unit}"),
                ("planet", "earth"),
            )
        )
        happened = rng.choice(hours) + rng.choice((-5.0, 0.0, 0.25, 1.0, 2.0, 23.0, 24.0, 168.0))
        log.measure(
            target,
            happened,
            rng.choice(("resolved", "rating", "rating", "order", "rating_before", "other")),
            target_kind=kind,
            source=rng.choice(("code", "human", "judge", "business")),
            evaluator=rng.choice((None, "a", "b")),
            value=rng.choice((None, 0.0, 1.0, 1.0, 3.5)),
            label=rng.choice((None, None, "good")),
            received_at=at(happened) + timedelta(hours=rng.choice((0.0, 0.0, 0.0, 50.0, 300.0))),
        )
    rng.shuffle(log.events)
    return log
