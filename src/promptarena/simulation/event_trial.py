"""The same simulated units as events in a real log: appended, sealed, read back, and read out.

A verdict from a log must be the one from the cube that the units were counted into.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.log_readout import read_experiment
from promptarena.definitions.catalogue import GENERATION_FIELDS
from promptarena.definitions.clock import ManualClock
from promptarena.definitions.events import Event, Exposure, Generation, Measurement
from promptarena.definitions.metric import FactSource, Metric, MetricKind
from promptarena.definitions.readout import Readout
from promptarena.errors import Location, UsageError
from promptarena.simulation.cells import EPOCH, FIRST_DAY
from promptarena.simulation.units import SEGMENT_SHARES, Facts, Units
from promptarena.storage.event_log import EventLog

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["readout_from_log", "refuse_unwritable"]

_START: Final = datetime.combine(FIRST_DAY, time(), UTC)
_OF_A_DAY: Final = 22 * 3600
"""Seconds in which units come: what follows them is then received on the same day."""
_STEP: Final = timedelta(seconds=1)
_FLAGS: Final = {
    "error": ("error", "timeout"),
    "blocked": ("blocked_by", "filter"),
    "retried": ("retry_count", 1),
}
_WHOLE: Final = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "retry_count")


def refuse_unwritable(experiment: Experiment, metrics: Sequence[Metric]) -> None:
    """Refuse experiments whose units cannot be written as events.

    Raises:
        UsageError: weights that follow the outcomes, units that are an attribute of requests, or a count of
            something that calls only measure.
    """
    if experiment.allocation is not None:
        raise UsageError(
            "weights that follow the outcomes are simulated without a log.",
            where=Location(field="--log"),
            hint="Leave it out.",
        )
    if experiment.unit not in ("conversation", "session", "user"):
        raise UsageError(
            f"units of the kind `{experiment.unit}` are simulated without a log.",
            where=Location(field="--log"),
            hint="Leave it out.",
        )
    for metric in metrics:
        if metric.kind is MetricKind.COUNT and metric.source == "generation" and metric.of != "requests":
            raise UsageError(
                f"`{metric.name}` counts calls by a field of theirs, which is simulated without a log.",
                where=Location(field="--log"),
                hint="Leave it out.",
            )


def readout_from_log(
    experiment: Experiment, metrics: Sequence[Metric], variants: Sequence[str], units: Units, days: int
) -> Readout:
    """Write the units of the first days to a log of their own and read it.

    Args:
        experiment: the definition.
        metrics: those whose facts are written.
        variants: control first.
        units: everybody.
        days: how many days the experiment ran.
    """
    clock = ManualClock(_START)
    last = FIRST_DAY + timedelta(days=days - 1)
    as_of = Maturity.of(experiment.metrics, experiment.unit).of_day(last)
    with TemporaryDirectory(prefix="promptarena-simulation-") as folder, _log(folder, clock) as log:
        for day in range(days):
            clock.set(_START + timedelta(days=day + 1) - timedelta(minutes=5))
            log.append(list(_events(experiment, metrics, variants, units, day)), "process")
        log.seal()
        clock.set(as_of)
        return read_experiment(experiment, log.snapshot(), as_of=as_of)


def _log(folder: str, clock: ManualClock) -> EventLog:
    return EventLog(Path(folder), clock=clock)


def _events(
    experiment: Experiment, metrics: Sequence[Metric], variants: Sequence[str], units: Units, day: int
) -> Iterator[Event]:
    here = np.flatnonzero(units.day == day)
    names, shares = list(SEGMENT_SHARES), experiment.weights
    for place, unit in enumerate(here.tolist()):
        ts = _START + timedelta(days=day, seconds=3600 + place * _OF_A_DAY / len(here))
        variant = variants[units.variant[unit]]
        yield Exposure(
            ts=ts,
            experiment=experiment.name,
            definition_hash=experiment.content_hash,
            stage="ab",
            epoch=int(EPOCH),
            variant=variant,
            propensity=shares[variant],
            unit_kind=experiment.unit,
            unit_id=f"unit-{unit}",
            segments={name: names[values[unit]] for name, values in units.segments.items()},
        )
        yield from _facts(experiment, metrics, units, unit, variant, ts)


def _facts(
    experiment: Experiment, metrics: Sequence[Metric], units: Units, unit: int, variant: str, ts: datetime
) -> Iterator[Event]:
    """What was seen of one unit: measurements, and calls with all that is read of them."""
    calls, fields, written = 1, list[tuple[str, float]](), set[str]()
    for metric in metrics:
        facts = units.facts[metric.name]
        yield from _covariates(experiment, metric, facts, unit, ts)
        for fact, source, value in _values(metric, facts, unit):
            if fact in written:
                continue
            written.add(fact)
            if fact == "requests":
                calls = int(value)
            elif source == "generation":
                fields.append((fact, value))
            else:
                times, size = (int(value), 1.0) if metric.kind is MetricKind.COUNT else (1, value)
                for k in range(times):
                    yield _measured(experiment, fact, unit, ts + (k + 1) * _STEP, size)
    if fields or "requests" in written:
        yield from _calls(experiment, unit, variant, ts, calls, fields)


def _values(metric: Metric, facts: Facts, unit: int) -> Iterator[tuple[str, FactSource, float]]:
    """The facts of a unit that happened: what is absent is written nowhere."""
    seen = facts.seen is None or bool(facts.seen[unit])
    value = float(facts.values[unit])
    happens = metric.kind in (MetricKind.MEAN, MetricKind.QUANTILE) or value != 0
    if seen and happens:
        yield metric.of, metric.source, value
    if facts.over is not None and metric.over is not None and facts.over[unit] != 0:
        yield metric.over, metric.over_source or metric.source, float(facts.over[unit])


def _covariates(
    experiment: Experiment, metric: Metric, facts: Facts, unit: int, ts: datetime
) -> Iterator[Event]:
    if facts.covariates is None:
        return
    names = [fact for covariate in metric.covariates for fact in covariate.facts]
    for name, value in zip(names, facts.covariates[unit].tolist(), strict=True):
        yield _measured(experiment, name, unit, ts - _STEP, value)


def _measured(experiment: Experiment, name: str, unit: int, ts: datetime, value: float) -> Measurement:
    return Measurement(
        ts=ts,
        name=name,
        target_kind=experiment.unit,
        target=f"unit-{unit}",
        source="code",
        value=value,
    )


def _calls(
    experiment: Experiment,
    unit: int,
    variant: str,
    ts: datetime,
    calls: int,
    fields: Sequence[tuple[str, float]],
) -> Iterator[Generation]:
    """Model calls of a unit: sums and single values stand in the first, flags in as many as there are."""
    for call in range(calls):
        said: dict[str, Any] = {f"{experiment.unit}_id": f"unit-{unit}"}
        for fact, value in fields:
            if fact in _FLAGS:
                if call < value:
                    said.update([_FLAGS[fact]])
            elif call == 0 and fact in GENERATION_FIELDS:
                amount = max(value, 0.0)
                said[fact] = math.floor(amount + 0.5) if fact in _WHOLE else amount
        yield Generation(
            ts=ts + (call + 1) * _STEP,
            request_id=f"unit-{unit}-{call}",
            feature=experiment.feature,
            experiment=experiment.name,
            variant=variant,
            **said,
        )
