"""What a log says of its units, told slowly from the rules: one unit and one event after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from promptarena.analysis.cohorts import window_of
from promptarena.definitions.catalogue import GENERATION_FIELDS
from promptarena.definitions.events import Event, Exposure, Generation, Measurement
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.metric import Absence, Metric, MetricKind

_IDS = {"request": "request_id", "response": "response_id", "conversation": "conversation_id"}
_IDS |= {"session": "session_id", "user": "user_id"}
_FINER = {
    "request": ["response"],
    "conversation": ["response", "request"],
    "session": ["response", "request"],
}
_FINER["user"] = ["response", "request", "conversation", "session"]


@dataclass
class Unit:
    """One unit, by the rules."""

    id: str
    variant: str
    epoch: int
    stage: str
    day: date
    segments: dict[str, str]
    crossed: bool
    values: dict[str, Any]
    """By metric: a number, a pair, a list of values for a quantile, or None."""


def units_of(
    events: Sequence[Event], experiment: Experiment, as_of: datetime, last_day: date
) -> dict[str, Unit]:
    """Units of the cohorts up to a day, from what was received before a moment."""
    known = [event for event in events if event.received_at is not None and event.received_at < as_of]
    exposures: dict[str, list[Exposure]] = {}
    for event in known:
        if isinstance(event, Exposure) and _is_own(event, experiment):
            exposures.setdefault(event.unit_id, []).append(event)
    facts = _Facts(known, experiment)
    found = {}
    for id_, met in exposures.items():
        first = min(met, key=lambda event: (event.ts, event.event_id))
        if first.ts.astimezone(UTC).date() <= last_day:
            found[id_] = Unit(
                id_,
                first.variant,
                first.epoch,
                first.stage,
                first.ts.astimezone(UTC).date(),
                {rule.name: first.segments.get(rule.name, "(missing)") for rule in experiment.segments},
                len({event.variant for event in met}) > 1,
                {metric.name: facts.value(metric, id_, first.ts) for metric in experiment.metrics},
            )
    return found


def _is_own(event: Exposure, experiment: Experiment) -> bool:
    declared = [variant.name for variant in experiment.variants]
    same = (event.experiment, event.definition_hash) == (experiment.name, experiment.content_hash)
    return same and event.unit_kind == experiment.unit and event.variant in declared


class _Facts:
    def __init__(self, events: Iterable[Event], experiment: Experiment) -> None:
        self.unit = experiment.unit
        self.measurements = [event for event in events if isinstance(event, Measurement)]
        self.calls = [
            event
            for event in events
            if isinstance(event, Generation)
            and event.role == "served"
            and event.feature == experiment.feature
        ]
        self.clusters: dict[str, set[str]] = {}
        for event in events:
            if isinstance(event, Exposure) and event.request_id and event.unit_kind == self.unit:
                self.clusters.setdefault(event.request_id, set()).add(event.unit_id)

    def value(self, metric: Metric, unit: str, first: datetime) -> Any:
        end = first + window_of(metric, self.unit)
        of = self._numbers(metric.of, unit, first, end, metric.kind)
        match metric.kind:
            case MetricKind.RATE:
                own = max(of) if (of := [each for each in of if each in (0, 1)]) else None
            case MetricKind.COUNT:
                own = len(of) or None
            case MetricKind.MEAN:
                own = sum(of) / len(of) if of else None
            case MetricKind.QUANTILE:
                return sorted(of) or None
            case MetricKind.RATIO:
                over = self._numbers(str(metric.over), unit, first, end, metric.kind)
                return (sum(of), sum(over))
            case _:
                own = sum(of) if of else None
        if metric.absent is Absence.ZERO and own is None:
            own = 0.0
        if not metric.covariates:
            return own
        long_ago = first - timedelta(days=10_000)
        before = self._numbers(metric.covariates[0].of, unit, long_ago, first, MetricKind.MEAN)
        if own is None:
            return None
        return (own, sum(before) / len(before), 0.0) if before else (own, None, 1.0)

    def _numbers(self, name: str, unit: str, begin: datetime, end: datetime, kind: MetricKind) -> list[float]:
        if name in GENERATION_FIELDS:
            mine = [call for call in self.calls if self._unit_of(call) == unit and begin <= call.ts < end]
            numbers = [_of_call(call, name) for call in mine]
            flags = name in ("error", "blocked", "retried") and kind is MetricKind.COUNT
            return [number for number in numbers if number is not None and not (flags and number == 0)]
        said = [m for m in self.measurements if m.name == name and m.ts < end and self._target(m) == unit]
        opinions = [m for m in said if m.source in ("human", "judge")]
        last = {_matter(m): m for m in sorted(opinions, key=lambda m: (m.ts, m.event_id))}
        counted = [m for m in said if m.source not in ("human", "judge")] + list(last.values())
        counted = [m for m in counted if m.ts >= begin]
        if kind is MetricKind.COUNT:
            return [1.0 for _ in counted]
        bare = [1.0 if m.value is None and m.label is None else m.value for m in counted]
        return [float(value) for value in bare if value is not None]

    def _unit_of(self, call: Generation) -> str | None:
        if self.unit in _IDS:
            return getattr(call, _IDS[self.unit])  # type: ignore[no-any-return]
        clusters = self.clusters.get(call.request_id, set())
        return next(iter(clusters)) if len(clusters) == 1 else None

    def _target(self, measurement: Measurement) -> str | None:
        kind = measurement.target_kind
        if kind == self.unit:
            return measurement.target
        if kind not in _FINER.get(self.unit, list(_IDS)):
            return None
        units = {
            self._unit_of(call) for call in self.calls if getattr(call, _IDS[kind]) == measurement.target
        } - {None}
        return units.pop() if len(units) == 1 else None


def _matter(m: Measurement) -> tuple[Any, ...]:
    return (m.name, m.source, m.evaluator or "", m.target_kind, m.target, m.item or "", m.against or "")


def _of_call(call: Generation, name: str) -> float | None:
    derived = {
        "requests": 1.0,
        "error": float(call.error is not None),
        "blocked": float(call.blocked_by is not None),
        "retried": float(call.retry_count > 0),
    }
    if name in derived:
        return derived[name]
    value = getattr(call, name)
    return None if value is None else float(value)
