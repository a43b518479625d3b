"""What only an event log knows of units after they arrived: how they fared with time, and who answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import ibis

from promptarena.analysis.cohorts import window_of
from promptarena.analysis.cube import Cube
from promptarena.analysis.fact_rows import FactRows
from promptarena.analysis.fields import Columns
from promptarena.analysis.log_units import unit_values
from promptarena.analysis.metric_facts import MetricFacts
from promptarena.analysis.moment_pass import measure
from promptarena.definitions.metric import Absence, Metric, MetricKind
from promptarena.definitions.readout import Check

__all__ = ["Lives", "halves_of_lives"]

_LEAST_WINDOW: Final = timedelta(days=2)
"""Of a shorter one the halves are parts of one visit."""
_ADDING_UP: Final = (MetricKind.RATE, MetricKind.COUNT, MetricKind.SUM)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lives:
    """Of the units that the verdict is about."""

    halves: Cube | None
    """The primary in the first and in the second half of each unit's window, by variant and epoch: two
    components. `None` where the halves cannot be told apart."""
    answers: tuple[Check, ...] = ()
    """Which models answered."""


def halves_of_lives(units: ibis.Table, rows: FactRows, asked: MetricFacts, metric: Metric) -> Cube | None:
    """A metric's value in each half of its window, of every unit.

    Only metrics that need no fact to have a value (rates, counts, sums): of the others a half without facts
    has none, and those who come back are not those who came.

    Args:
        units: of mature cohorts, as `log_units.unit_table` has them.
        rows: events.
        asked: the facts, the metric's among them.
        metric: one of those.
    """
    window = window_of(metric, asked.unit)
    if metric.kind not in _ADDING_UP or metric.absent is not Absence.ZERO or window < _LEAST_WINDOW:
        return None
    values = unit_values(rows, units.select("unit", "first"), asked, asked.fact(metric))
    second = values["at"] >= values["first"] + window / 2 // _MICROSECOND
    of_unit = values.group_by("unit").aggregate(
        early=_summed(metric, values["value"], ~second), late=_summed(metric, values["value"], second)
    )
    joined = units.select("unit", "variant", "name_epoch").left_join(of_unit, "unit")
    halves = joined.select(
        "unit",
        "variant",
        "name_epoch",
        part_0_0=joined.early.fill_null(0.0),
        part_0_1=joined.late.fill_null(0.0),
    )
    # What is measured of a ratio is two values a unit, with all their moments.
    pair = Metric(name=metric.name, kind=MetricKind.RATIO, of="early", over="late", absent=Absence.ZERO)
    return measure(halves, Columns(unit="unit", variant="variant", epoch="epoch"), [pair])


def _summed(metric: Metric, value: Any, where: Any) -> Any:
    if metric.kind is MetricKind.RATE:
        return value.max(where=where)
    if metric.kind is MetricKind.COUNT:
        return value.count(where=where).cast("float64")
    return value.sum(where=where)
