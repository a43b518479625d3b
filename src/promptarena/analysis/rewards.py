"""What a bandit learns from: the rewards of the units whose time has passed, by variant and epoch.

A unit counts once its reward's window and the lateness have passed since its own first exposure, whatever was
heard of it before: a success that is told sooner than a failure would else pass for a better variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import ibis

from promptarena.analysis.cohorts import LATENESS, Maturity, window_of
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.fact_rows import fact_rows
from promptarena.analysis.fields import Columns
from promptarena.analysis.first_exposures import first_exposures
from promptarena.analysis.log_units import unit_table
from promptarena.analysis.metric_facts import MetricFacts
from promptarena.analysis.moment_pass import measure
from promptarena.definitions.metric import Metric
from promptarena.stats.moments import Moments

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Rewards", "read_rewards", "reward_metric"]

Rewards = Mapping[tuple[str, int], Moments]
"""Moments of the units' rewards by variant and epoch."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def reward_metric(experiment: Experiment) -> Metric:
    """The metric that an experiment's weights follow, its window being the delay.

    Raises:
        ValueError: its weights are fixed.
    """
    bandit = experiment.allocation
    if bandit is None:
        raise ValueError(f"the weights of {experiment.name} are fixed")
    metric = experiment.analysis_plan().metric(str(bandit.reward))
    window = bandit.delay or window_of(metric, experiment.unit)
    return metric.model_copy(update={"window": window, "covariates": (), "audited_by": None})


def read_rewards(
    experiment: Experiment,
    tables: EventTables,
    *,
    as_of: datetime,
    lateness: timedelta = LATENESS,
    started: datetime | None = None,
) -> Rewards:
    """The rewards that are known at a moment, of the units first exposed in stage `ab`.

    Args:
        experiment: the running definition; its weights follow outcomes.
        tables: of events, each once.
        as_of: only what was received before counts.
        lateness: how long after a unit's time its reward may still be on its way.
        started: exposures dated earlier are refused.

    Raises:
        DataError: the engine fails.
        ValueError: its weights are fixed.
    """
    metric = reward_metric(experiment)
    window = window_of(metric, experiment.unit)
    until = as_of.astimezone(UTC) - window - lateness
    known, asked = tables.received_before(as_of), MetricFacts((metric,), experiment.unit)
    columns = Columns(unit="unit", variant="variant", time="day", epoch="epoch")
    with (
        first_exposures(known, experiment, started) as exposed,
        fact_rows(known, experiment, asked) as rows,
        unit_table(exposed, rows, asked, Maturity(window, lateness), until.date()) as gathered,
    ):
        units = gathered.units
        last = ibis.literal((until - _EPOCH) // _MICROSECOND)
        ripe = units.filter(units.confirmatory & (units["first"] <= last))
        cells = measure(ripe, columns, asked.metrics).by("epoch")
    return {(variant, int(epoch)): cell.moments[metric.name] for (variant, epoch), cell in cells.items()}
