"""Which facts of the log metrics need, each with its window, and how a unit's facts become its values.

Several metrics may share a fact; it is summed once. A covariate is a fact from before the first exposure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Literal

import ibis

from promptarena.analysis.cohorts import window_of
from promptarena.analysis.roll_up import part_names
from promptarena.definitions.catalogue import source_of
from promptarena.definitions.metric import Absence, Metric, MetricKind

__all__ = ["Fact", "MetricFacts", "Reading", "Value"]

_MICROSECOND: Final = timedelta(microseconds=1)


class Reading(StrEnum):
    """What is read of an event."""

    NUMBER = "number"
    """Its value; an event with neither value nor label happened, which is 1."""
    TRUTH = "truth"
    """Its value where that is 0 or 1."""
    PRESENCE = "presence"
    """1; of a model call's failures and the like, where they are so."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number of an event."""

    source: Literal["generation", "measurement"]
    name: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class Fact:
    """A value of a unit's events in some time."""

    value: Value
    window: int | None
    """Microseconds from the first exposure on; `None`: all the time before it."""


@dataclass(frozen=True)
class MetricFacts:
    """The facts of some metrics. A unit's are `sum_<i>`, `count_<i>` and `most_<i>`, of the i-th fact."""

    metrics: tuple[Metric, ...]
    unit: str
    """The kind of unit."""

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Each once."""
        return tuple(dict.fromkeys(fact for metric in self.metrics for fact in self._of(metric)))

    @property
    def values(self) -> tuple[Value, ...]:
        """What is read of events, each once."""
        return tuple(dict.fromkeys(fact.value for fact in self.facts))

    @property
    def longest(self) -> int:
        """The longest window."""
        return max(fact.window for fact in self.facts if fact.window is not None)

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of the measurements that are read."""
        return tuple(dict.fromkeys(v.name for v in self.values if v.source == "measurement"))

    def fact(self, metric: Metric) -> Fact:
        """The (first) fact of a metric."""
        return self._of(metric)[0]

    def aggregates(self, rows: ibis.Table) -> dict[str, Any]:
        """What is summed of a unit's events.

        Args:
            rows: with `fact_<i>`, which is NULL where the event does not count for it.
        """
        at = {fact: i for i, fact in enumerate(self.facts)}
        asked: dict[str, Any] = {}
        for metric in self.metrics:
            first, *more = (at[fact] for fact in self._of(metric))
            beside = (metric.over is not None) + (metric.audited_by is not None)
            over, before = more[: metric.over is not None], more[beside:]
            column = rows[f"fact_{first}"]
            if metric.kind is MetricKind.RATE:
                asked[f"most_{first}"] = column.max()
            elif metric.kind in (MetricKind.COUNT, MetricKind.QUANTILE):
                asked[f"count_{first}"] = column.count()
            else:
                asked[f"sum_{first}"] = column.sum()
            if metric.kind is MetricKind.MEAN:
                asked[f"count_{first}"] = column.count()
            for place in (*over, *before):
                asked[f"sum_{place}"] = rows[f"fact_{place}"].sum()
            if metric.audited_by is not None:
                asked[f"sum_{more[0]}"] = rows[f"fact_{more[0]}"].sum()
                asked[f"count_{more[0]}"] = rows[f"fact_{more[0]}"].count()
            for place in before:
                asked[f"count_{place}"] = rows[f"fact_{place}"].count()
        return asked

    def parts(self, units: ibis.Table) -> dict[str, Any]:
        """Every metric's values, under the names that `moment_pass.measure` reads.

        Args:
            units: with `aggregates`; NULL where a unit has no events at all.
        """
        at = {fact: i for i, fact in enumerate(self.facts)}
        found: dict[str, Any] = {}
        for i, metric in enumerate(self.metrics):
            places = [at[fact] for fact in self._of(metric)]
            parts = self._measured(metric, units, places)
            if metric.absent is Absence.ZERO:
                parts = [part.fill_null(0.0) for part in parts]
            if metric.audited_by is not None:
                parts.append(_mean(units, places[1]))
            before = places[1 + (metric.over is not None) + (metric.audited_by is not None) :]
            for covariate in metric.covariates:
                own, before = before[: len(covariate.facts)], before[len(covariate.facts) :]
                # Of a ratio both parts are sums, as those of a metric are.
                parts += [units[f"sum_{place}"] if covariate.over else _mean(units, place) for place in own]
            found |= dict(zip(part_names(i, metric), parts, strict=True))
        return found

    def _measured(self, metric: Metric, units: ibis.Table, places: Sequence[int]) -> list[Any]:
        first = places[0]
        match metric.kind:
            case MetricKind.RATE:
                return [units[f"most_{first}"]]
            case MetricKind.COUNT | MetricKind.QUANTILE:
                return [units[f"count_{first}"].nullif(0).cast("float64")]
            case MetricKind.MEAN:
                return [_mean(units, first)]
            case MetricKind.RATIO:
                return [units[f"sum_{first}"], units[f"sum_{places[1]}"]]
            case MetricKind.SUM:
                return [units[f"sum_{first}"]]

    def _of(self, metric: Metric) -> tuple[Fact, ...]:
        """Numerator, denominator or label, covariates, as far as there are some."""
        window = window_of(metric, self.unit) // _MICROSECOND
        reading = {MetricKind.RATE: Reading.TRUTH, MetricKind.COUNT: Reading.PRESENCE}.get(
            metric.kind, Reading.NUMBER
        )
        facts = [Fact(_value(metric.of, reading), window)]
        if metric.over is not None:
            facts.append(Fact(_value(metric.over, Reading.NUMBER), window))
        if metric.audited_by is not None:
            facts.append(Fact(_value(metric.audited_by, Reading.NUMBER), window))
        for fact in (fact for covariate in metric.covariates for fact in covariate.facts):
            facts.append(Fact(_value(fact, Reading.NUMBER), None))
        return tuple(facts)


def _value(name: str, reading: Reading) -> Value:
    source: Literal["generation", "measurement"] = (
        "generation" if source_of(name) == "generation" else "measurement"
    )
    return Value(source, name, reading)


def _mean(units: ibis.Table, at: int) -> Any:
    return units[f"sum_{at}"] / units[f"count_{at}"].nullif(0)
