"""One question to the log: what was known, at some moment, of the cohorts up to some day?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import ibis

from promptarena.analysis.cohorts import Maturity, window_of
from promptarena.analysis.cube import Cube
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.fact_rows import FactRows, fact_rows
from promptarena.analysis.fields import Columns
from promptarena.analysis.first_exposures import Arrived, first_exposures
from promptarena.analysis.lives import halves_of_lives
from promptarena.analysis.log_units import Gathered, unit_table, unit_values
from promptarena.analysis.metric_facts import MetricFacts
from promptarena.analysis.moment_pass import measure
from promptarena.analysis.placements import Refused
from promptarena.analysis.quantile_query import count_column
from promptarena.analysis.roll_up import part_names
from promptarena.analysis.value_counts import ValueCounts
from promptarena.definitions.metric import Metric, MetricKind

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Cohorts", "counted_values", "read_cohorts"]


@dataclass(frozen=True)
class Cohorts:
    """What the log says of an experiment's units."""

    cube: Cube
    """Mature cohorts of the stages that the verdict is about, by day, epoch and segment."""
    canary: Cube | None
    """Mature cohorts of earlier stages; `None` where there are none."""
    halves: Cube | None
    """The primary in both halves of units' windows, if that was asked for and can be told."""
    arrived: tuple[Arrived, ...]
    """All exposed units, mature or not."""
    propensities: dict[str, dict[str, float]]
    """By epoch and variant, as exposures say."""
    refused: Refused
    unused: tuple[str, ...]
    """Measurements that were left out, in words."""
    gathered: Gathered


def read_cohorts(
    tables: EventTables,
    experiment: Experiment,
    metrics: Sequence[Metric],
    *,
    as_of: datetime,
    last_day: date,
    maturity: Maturity,
    started: datetime | None = None,
    halved: Metric | None = None,
) -> Cohorts:
    """Read an experiment's cohorts.

    Args:
        tables: of events, each once.
        experiment: the running definition.
        metrics: what to measure.
        as_of: only what was received before counts.
        last_day: the last cohort day that counts.
        maturity: when cohorts mature, to tell what was late.
        started: exposures dated earlier are refused.
        halved: the metric to be had for both halves of units' windows.

    Raises:
        DataError: a segment has too many values, or the engine fails.
    """
    known = tables.received_before(as_of)
    asked = MetricFacts(tuple(metrics), experiment.unit)
    segments = tuple(rule.name for rule in experiment.segments)
    columns = Columns(unit="unit", variant="variant", time="day", segments=segments, epoch="epoch")
    with (
        first_exposures(known, experiment, started) as exposed,
        fact_rows(known, experiment, asked) as rows,
        unit_table(exposed, rows, asked, maturity, last_day) as gathered,
    ):
        units = gathered.units
        mature = [arrived for arrived in exposed.arrived if arrived.day <= last_day]
        confirmatory = units.filter(units.confirmatory)
        canary = None
        if any(not arrived.placement.confirmatory for arrived in mature):
            canary = _cube(units.filter(~units.confirmatory), rows, asked, columns)
        return Cohorts(
            cube=_cube(confirmatory, rows, asked, columns),
            canary=canary,
            halves=None if halved is None else halves_of_lives(confirmatory, rows, asked, halved),
            arrived=exposed.arrived,
            propensities=exposed.placements.propensities,
            refused=exposed.placements.refused,
            unused=rows.refused,
            gathered=gathered.gathered,
        )


def _cube(units: ibis.Table, rows: FactRows, asked: MetricFacts, columns: Columns) -> Cube:
    return replace(measure(units, columns, asked.metrics), values=_quantiles(units, rows, asked, columns))


def _quantiles(
    units: ibis.Table, rows: FactRows, asked: MetricFacts, columns: Columns
) -> dict[str, ValueCounts]:
    alike: dict[str, list[int]] = {}
    for i, metric in enumerate(asked.metrics):
        if metric.kind is MetricKind.QUANTILE:
            alike.setdefault(counted_values(metric, asked.unit), []).append(i)
    keys = ["unit", "first", "variant", "day", *(f"name_{each}" for each in columns.dimensions())]
    found = {}
    for name, places in alike.items():
        metric = asked.metrics[places[0]]
        [part] = part_names(places[0], metric)
        narrow = units.select(*keys, held=units[part].cast("int64"))
        values = unit_values(rows, narrow, asked, asked.fact(metric)).drop("at", "first")
        shares = [q for i in places if (q := asked.metrics[i].q) is not None]
        found[name] = count_column(values, columns, metric.of, shares)
    return found


def counted_values(metric: Metric, unit: str) -> str:
    """Under which name a cube has the values of a quantile: those of one fact differ by window."""
    return f"{metric.of} within {window_of(metric, unit)}"
