"""What an experiment's log says through to the verdict: stages, epochs, looks that stand, trust."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.analysis.event_logs import MIDNIGHT, Log, at, experiment

from promptarena.analysis.log_readout import read_events, read_experiment
from promptarena.definitions.clock import ManualClock
from promptarena.definitions.events import Exposure
from promptarena.definitions.readout import Check, Readout, Status, TakenLook
from promptarena.errors import UsageError
from promptarena.storage.event_log import EventLog
from promptarena.storage.warehouse import Warehouse


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Warehouse]:
    with Warehouse(ordered=False) as opened:
        yield opened


def _readout(log: Log, warehouse: Warehouse, as_of: datetime, **told: Any) -> Readout:
    return read_events(log.of, log.tables(warehouse.connection), as_of=as_of, **told)


def _check(readout: Readout, name: str) -> Check:
    return next(check for check in readout.verdict.checks if check.name == name)


def _trial(
    log: Log,
    days: int,
    units_a_day: int = 120,
    rates: tuple[float, float] = (0.5, 0.5),
    treated: float = 0.5,
    seed: int = 1,
    **fields: Any,
) -> None:
    """Units that come evenly over days, a share of them treated, and are resolved at some rate."""
    rng = random.Random(seed)
    for i in range(days * units_a_day):
        arm = int(rng.random() < treated)
        variant = ("control", "treatment")[arm]
        hours = i * 24 / units_a_day
        propensity = treated if arm else 1 - treated
        log.expose(f"{seed}-{i}", hours, variant, **{"propensity": propensity} | fields)
        if rng.random() < rates[arm]:
            log.measure(f"{seed}-{i}", hours + 1)


_SIZED = {"design": "{expected: 0.5, mde: 0.08, looks: [0.5, 1]}"}


def test_a_good_treatment_ships_at_the_look_that_shows_it(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 14, rates=(0.4, 0.7))
    readout = _readout(log, warehouse, at(days=16, hours=2))
    assert readout.verdict.status is Status.SHIP
    assert readout.source == "event log"
    assert readout.units.units == 14 * 120
    [look] = readout.looks
    assert (look.day, look.units, look.final) == ("2026-03-08", 7 * 120, False)
    assert readout.verdict.preregistered


def test_looks_are_on_mature_cohorts_alone(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 8, rates=(0.4, 0.7))
    week = at(days=7) + timedelta(hours=25)
    before = _readout(log, warehouse, week - timedelta(microseconds=1))
    assert (before.verdict.status, before.looks, before.days) == (Status.CONTINUE, (), 6)
    assert "240 units were first exposed after 2026-03-07" in before.notes[0]
    assert before.notes[0].endswith("; that of 2026-03-08 at 2026-03-10 01:00 UTC")
    assert _readout(log, warehouse, week).verdict.status is Status.SHIP


@pytest.mark.parametrize(("per_day", "not_before"), [(120, "2026-03-08"), (24, "2026-03-22")])
def test_before_the_first_look_it_is_told_when_it_may_be(
    tmp_path: Path, warehouse: Warehouse, per_day: int, not_before: str
) -> None:
    """200 units a variant: at 60 a day within the first week, at 12 a day in the third."""
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 3, units_a_day=per_day)
    said = _readout(log, warehouse, at(days=5)).verdict.reasons[-1]
    assert f"7 days: at this pace not before the cohorts of {not_before}" in said


def test_events_that_come_late_change_no_look_that_was_taken(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, design="{expected: 0.5, mde: 0.06, looks: [0.25, 0.5, 0.75, 1]}"))
    _trial(log, 21)
    then = at(days=9)
    first = _readout(log, warehouse, then)
    assert [look.day for look in first.looks] == ["2026-03-08"]
    for i in range(300):  # a week's outbox, received days later
        log.measure(f"1-{i}", i / 5 + 1.5, received_at=at(days=15))
    unfrozen = _readout(log, warehouse, at(days=23))
    again = _readout(log, warehouse, at(days=23), looks_taken=first.looks)
    assert again.looks[0] == first.looks[0]
    assert unfrozen.looks[0].z != first.looks[0].z
    shown, once = again.paths[0].looks[0], first.paths[0].looks[0]
    assert (shown.z, shown.critical_z, shown.n, shown.fraction) == (
        once.z,
        once.critical_z,
        once.n,
        once.fraction,
    )
    later = [[(look.day, look.fraction, look.z) for look in each.looks[1:]] for each in (again, unfrozen)]
    assert later[0] == later[1]
    assert later[0]
    assert any("received after their cohort had matured" in note for note in again.notes)


def test_a_look_that_decided_decides_whatever_came_later(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 14, rates=(0.4, 0.7))
    then = at(days=8, hours=2)
    first = _readout(log, warehouse, then)
    assert first.verdict.status is Status.SHIP
    for i in range(7 * 120):
        log.measure(f"1-{i}", i / 5 + 0.5, received_at=at(days=15))
    later = _readout(log, warehouse, at(days=17), looks_taken=first.looks)
    assert later.verdict.status is Status.SHIP
    assert later.paths == first.paths
    assert later.metrics["resolved"].comparisons == first.metrics["resolved"].comparisons


def test_a_recorded_look_is_shown_as_recorded(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, design="{expected: 0.5, mde: 0.06, looks: [0.25, 0.5, 0.75, 1]}"))
    _trial(log, 14)
    recorded = TakenLook(
        planned=0,
        day="2026-03-08",
        as_of=at(days=9).isoformat(),
        fraction=0.3,
        units=840,
        z={"treatment": 1.25},
        critical_z=4.2,
        final=False,
    )
    readout = _readout(log, warehouse, at(days=16), looks_taken=[recorded])
    look = readout.paths[0].looks[0]
    assert (look.z, look.critical_z, look.fraction) == (1.25, 4.2, 0.3)
    assert TakenLook(**asdict(readout.looks[0])) == recorded


def test_an_unsized_trial_ends_on_the_first_day_that_it_may(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, design="{min_days: 7}"))
    _trial(log, 15)
    readout = _readout(log, warehouse, at(days=17))
    assert [(look.day, look.final) for look in readout.looks] == [("2026-03-08", True)]
    assert readout.verdict.status is Status.HOLD


def test_the_canary_stays_apart(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 1, rates=(0.1, 0.9), seed=2, stage="canary")
    _trial(log, 8)
    log.expose("2-0", 30, "control")  # again, in the next stage: it stays what it was
    readout = _readout(log, warehouse, at(days=10))
    assert readout.units.units == 8 * 120
    [note] = [note for note in readout.notes if note.startswith("the canary's units stay apart")]
    assert "resolved of treatment +" in note
    assert abs(readout.metrics["resolved"].comparisons["treatment"].difference or 1) < 0.1


def test_a_changed_allocation_is_no_mismatch_and_its_effect_is_within_epochs(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    """5% then 50% treated while the rate rises by itself: pooled, that is an effect of 20 points."""
    log = Log(experiment(tmp_path, design="{expected: 0.5, mde: 0.03, min_days: 14}"))
    _trial(log, 7, 600, rates=(0.3, 0.3), treated=0.05, epoch=0)
    late = Log(log.of)
    _trial(late, 7, 600, rates=(0.7, 0.7), treated=0.5, seed=2, epoch=1)
    log.events += [_moved(event, days=7) for event in late.events]
    told = _readout(log, warehouse, at(days=16))
    assert told.balance.status == "ok"
    assert _check(told, "balance of the exposed").passed
    assert abs(told.metrics["resolved"].comparisons["treatment"].difference or 1) < 0.05
    pooled = Log(log.of)
    pooled.events = [_with(event, epoch=0) for event in log.events]
    mistaken = _readout(pooled, warehouse, at(days=16), weights={0: {"control": 0.5, "treatment": 0.5}})
    assert mistaken.balance.status == "mismatch"
    assert (mistaken.metrics["resolved"].comparisons["treatment"].difference or 0) > 0.1


def test_weights_of_the_registry_come_before_propensities(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 3, treated=0.2)
    assert _readout(log, warehouse, at(days=6)).balance.status == "ok"
    declared = {0: {"control": 0.5, "treatment": 0.5}}
    readout = _readout(log, warehouse, at(days=6), weights=declared)
    assert readout.verdict.status is Status.INVALID
    assert readout.balance.status == "mismatch"


def test_a_mismatch_shows_before_its_cohort_has_matured(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 2, treated=0.5)
    for i in range(300):
        log.expose(f"flood-{i}", 60, "treatment")
    readout = _readout(log, warehouse, at(hours=73.5))
    assert readout.balance.status == "ok"
    assert readout.verdict.status is Status.INVALID
    assert "do not fit the allocation" in readout.verdict.reasons[0]


def test_crossovers_stay_in_their_first_variant_and_too_many_invalidate(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 7)
    for i in range(4):
        other = "control" if _assigned(log)[f"1-{i}"] == "treatment" else "treatment"
        log.expose(f"1-{i}", 100, other)
    few = _readout(log, warehouse, at(days=9))
    assert few.units.crossovers == 4
    assert few.units.units == 7 * 120
    assert few.units.repeated == 4
    assert few.verdict.status is not Status.INVALID
    for i in range(4, 7):
        log.expose(f"1-{i}", 100, "control")
        log.expose(f"1-{i}", 101, "treatment")
    assert _readout(log, warehouse, at(days=9)).verdict.status is Status.INVALID


def test_a_call_served_otherwise_than_assigned_invalidates_unless_it_says_why(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 7)
    control, treatment = log.of.variants
    hashes = {each.name: each.settings.config_hash for each in (control, treatment)}
    units = _assigned(log)
    for unit, variant in list(units.items())[:50]:
        served = {"experiment": "cites", "variant": variant, "config_hash": hashes[variant]}
        log.call(unit, 40, **served)
        log.call(unit, 40)  # says nothing of what was served
    other = {"control": "treatment", "treatment": "control"}[units["1-0"]]
    log.call("1-0", 2, experiment="cites", variant=other, reason="fallback")
    log.call("1-0", 2, config_hash="the baseline's", reason="paused")
    assert _check(_readout(log, warehouse, at(days=9)), "served configuration").passed
    before = len(log.events)
    for wrong in (
        {"experiment": "cites", "variant": other},
        {"config_hash": hashes[other]},
        {"experiment": "another"},
    ):
        del log.events[before:]
        log.call("1-0", 3, **wrong)
        readout = _readout(log, warehouse, at(days=9))
        assert readout.verdict.status is Status.INVALID, wrong
        assert readout.verdict.reasons[0].startswith("1 model calls show another variant")
    # Met in two variants: that is counted as a crossover, not as a wrong configuration.
    del log.events[before:]
    log.expose("1-0", 3, other)
    log.call("1-0", 4, experiment="cites", variant=other)
    assert _check(_readout(log, warehouse, at(days=9)), "served configuration").passed


def test_exposures_dated_before_the_start_are_by_a_wrong_clock(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 7)
    log.expose("from last year", -9000, received_at=at(1))
    log.expose("from next year", 9000, received_at=at(1))
    assert (_readout(log, warehouse, at(days=9)).days or 0) > 300
    readout = _readout(log, warehouse, at(days=9), started=MIDNIGHT)
    assert readout.days == 7
    assert readout.units.units == 7 * 120
    assert "left out: 1 exposures dated before the experiment began" in readout.notes


def test_an_undeclared_variant_invalidates(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path, **_SIZED))
    _trial(log, 7)
    log.expose("odd", 3, "surprise")
    readout = _readout(log, warehouse, at(days=9))
    assert readout.verdict.status is Status.INVALID
    assert "variants that the definition has not" in readout.verdict.reasons[0]


def test_nobody_was_exposed_yet(tmp_path: Path, warehouse: Warehouse) -> None:
    readout = _readout(Log(experiment(tmp_path)), warehouse, at())
    assert readout.verdict.status is Status.CONTINUE
    assert readout.notes[0].startswith("nobody has been exposed yet")


def test_a_guardrail_on_a_quantile_is_read_from_calls(tmp_path: Path, warehouse: Warehouse) -> None:
    guarded = {"guardrails": "[{metric: latency_p95, margin: 300}]"}
    log = Log(experiment(tmp_path, **_SIZED, **guarded))
    _trial(log, 7, rates=(0.4, 0.7))
    rng = random.Random(3)
    for unit in _assigned(log):
        for hour in range(2):
            log.call(unit, int(unit.split("-")[1]) / 5 + hour, latency_ms=rng.lognormvariate(7, 0.5))
    readout = _readout(log, warehouse, at(days=9))
    comparison = readout.metrics["latency_p95"].comparisons["treatment"]
    assert comparison.n_control + comparison.n_variant == 7 * 120
    assert 2000 < (comparison.control_value or 0) < 3000
    assert comparison.interval is not None


@pytest.mark.parametrize("compacted", [False, True])
def test_the_verdict_is_the_same_from_tails_from_sealed_files_and_from_compacted_ones(
    tmp_path: Path, warehouse: Warehouse, compacted: bool
) -> None:
    written = Log(experiment(tmp_path, **_SIZED))
    _trial(written, 9, rates=(0.4, 0.7))
    direct = _readout(written, warehouse, at(days=11))
    clock = ManualClock(MIDNIGHT)
    with EventLog(tmp_path / "log", clock=clock) as log:
        for day in range(10):
            own = [e for e in written.events if at(days=day) <= e.ts < at(days=day + 1)]
            log.append(own)
            if own:
                log.append(own[:50])
            clock.advance(timedelta(days=1))
            if compacted:
                log.seal()
        if compacted:
            log.compact(everything=True)
        told = read_experiment(written.of, log.snapshot(), as_of=at(days=11))
        since = read_experiment(written.of, log.snapshot(), as_of=at(days=11), started=MIDNIGHT)
    for found in (told, since):
        assert found.verdict == direct.verdict
        assert found.metrics == direct.metrics
        assert found.units == direct.units


def _assigned(log: Log) -> dict[str, str]:
    """Variants by unit."""
    return {event.unit_id: event.variant for event in log.events if isinstance(event, Exposure)}


def _moved(event: Any, days: float) -> Any:
    return _with(
        event, ts=event.ts + timedelta(days=days), received_at=event.received_at + timedelta(days=days)
    )


def _with(event: Any, **fields: Any) -> Any:
    import msgspec

    kept = {name: value for name, value in fields.items() if name in event.__struct_fields__}
    return msgspec.structs.replace(event, **kept)


def test_a_moment_without_a_zone_is_refused(tmp_path: Path, warehouse: Warehouse) -> None:
    log = Log(experiment(tmp_path))
    with pytest.raises(UsageError, match="of no zone"):
        _readout(log, warehouse, datetime(2026, 3, 9))  # noqa: DTZ001


def test_looking_every_day_and_recording_is_looking_once_if_nothing_comes_late(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    log = Log(experiment(tmp_path, design="{expected: 0.5, mde: 0.06, looks: [0.25, 0.5, 0.75, 1]}"))
    _trial(log, 21, rates=(0.5, 0.54))
    tables = log.tables(warehouse.connection)
    looks: tuple[TakenLook, ...] = ()
    for day in range(8, 24, 3):
        told = read_events(log.of, tables, as_of=at(days=day), looks_taken=looks)
        assert told.looks[: len(looks)] == looks
        looks = told.looks
    once = read_events(log.of, tables, as_of=at(days=23))
    assert [replace(look, as_of="") for look in looks] == [replace(look, as_of="") for look in once.looks]
    assert len(looks) == 3
    assert told.verdict == once.verdict
