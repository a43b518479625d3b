"""The readout of an experiment from its event log: frozen looks, whole cohorts, units in their first variant.

    readout = read_experiment(experiment, log.snapshot(), as_of=clock.now(), looks_taken=recorded)

What the log received before `as_of` counts. A look that was recorded stands as it was: its figures are those
of the record, and what it had is told again from what the log had received by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from promptarena.analysis.answering_models import answers_check
from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.bandit_readout import build_bandit_readout
from promptarena.analysis.cohort_cube import Cohorts, counted_values, read_cohorts
from promptarena.analysis.cohorts import LATENESS, Maturity
from promptarena.analysis.declared import with_declared
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.first_exposures import Arrived, last_exposed
from promptarena.analysis.lives import Lives
from promptarena.analysis.log_notes import log_notes
from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.planned_size import planned_size
from promptarena.analysis.readout import build_readout
from promptarena.analysis.served_configuration import configuration_check
from promptarena.analysis.taken_looks import as_recorded
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.definitions.readout import EVENT_LOG, Check, Readout, TakenLook, UnitCounts
from promptarena.errors import UsageError
from promptarena.storage.warehouse import Warehouse

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment
    from promptarena.storage.snapshot import Snapshot

__all__ = ["read_events", "read_experiment"]

_NEVER: Final = 2**62
"""Units that no trial reaches: its end is a day then."""
_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_experiment(
    experiment: Experiment,
    snapshot: Snapshot,
    *,
    as_of: datetime,
    looks_taken: Sequence[TakenLook] = (),
    lateness: timedelta = LATENESS,
    weights: Mapping[int, Mapping[str, float]] | None = None,
    started: datetime | None = None,
    memory: int | None = None,
) -> Readout:
    """Read an experiment's log and give its readout.

    Args:
        experiment: the running definition; exposures to another one of the same name do not count.
        snapshot: the log at one moment.
        as_of: the moment of this readout, aware of its zone.
        looks_taken: those that were recorded, in their order.
        lateness: how long after a cohort's last window what is received still belongs to it in time.
        weights: allocations by epoch, as the registry has them; those of epochs that are not there are taken
            from exposures' propensities.
        started: when the experiment began, if that is known; older files are then not even opened.
        memory: the engine's limit in bytes.

    Raises:
        DataError: the log cannot be read, or a segment has too many values.
        UsageError: `as_of` or `started` has no zone.
    """
    with Warehouse(memory=memory, ordered=False) as warehouse:
        tables = EventTables.of_snapshot(
            warehouse.connection,
            snapshot,
            since=_since(experiment, started),
            until=as_of.astimezone(UTC).date(),
        )
        return read_events(
            experiment,
            tables,
            as_of=as_of,
            looks_taken=looks_taken,
            lateness=lateness,
            weights=weights,
            started=started,
        )


def read_events(
    experiment: Experiment,
    tables: EventTables,
    *,
    as_of: datetime,
    looks_taken: Sequence[TakenLook] = (),
    lateness: timedelta = LATENESS,
    weights: Mapping[int, Mapping[str, float]] | None = None,
    started: datetime | None = None,
) -> Readout:
    """The same from tables of any engine; see `read_experiment`."""
    for name, moment in (("as_of", as_of), ("started", started)):
        if moment is not None and moment.tzinfo is None:
            raise UsageError(f"`{name}` is {moment.isoformat()}, of no zone.", hint="Say +00:00 for UTC.")
    declared = experiment.analysis_plan()
    maturity = Maturity.of(declared.metrics, experiment.unit, lateness)
    last_day = maturity.last_day(as_of)

    def cohorts(moment: datetime, day: date, halved: Metric | None = None) -> Cohorts:
        return read_cohorts(
            tables,
            experiment,
            declared.metrics,
            as_of=moment,
            last_day=day,
            maturity=maturity,
            started=started,
            halved=halved,
        )

    now = cohorts(as_of, last_day, declared.metric(declared.primary.metric))
    recorded = []
    for taken in looks_taken:
        day, moment = date.fromisoformat(taken.day), datetime.fromisoformat(taken.as_of)
        known = now.cube.until(day) if _known(tables, experiment, now, day, moment, as_of) else None
        then = known or cohorts(moment, day).cube
        recorded.append(as_recorded(taken, then))
    counted = _as_counted(declared, experiment.unit)
    if counted.bandit is not None:
        readout = build_bandit_readout(
            now.cube,
            _unit_counts(now, counted, last_day),
            counted,
            source=EVENT_LOG,
            notes=log_notes(now, counted, last_day, maturity),
            arrivals=_arrivals(now, counted, last_day, weights),
            allocated={str(epoch): shares for epoch, shares in (weights or {}).items()},
        )
        return with_declared(readout, experiment)
    sized, plan = _with_an_end(counted)
    readout = build_readout(
        now.cube,
        _unit_counts(now, plan, last_day),
        plan,
        source=EVENT_LOG,
        planned=sized,
        notes=log_notes(now, plan, last_day, maturity),
        arrivals=_arrivals(now, plan, last_day, weights),
        lives=Lives(
            halves=now.halves,
            answers=answers_check(tables.received_before(as_of), experiment, plan.control, started),
        ),
        recorded=recorded,
        as_of=as_of,
    )
    return with_declared(readout, experiment)


def _since(experiment: Experiment, started: datetime | None) -> date | None:
    """The first day whose events may count: what the log had before belongs to nobody, but for covariates."""
    if started is None or any(metric.covariates for metric in experiment.metrics):
        return None
    return started.astimezone(UTC).date() - timedelta(days=1)


def _known(
    tables: EventTables, experiment: Experiment, now: Cohorts, day: date, moment: datetime, as_of: datetime
) -> bool:
    """Whether nothing was received since a moment that changes what was known then of cohorts up to a day."""
    last = (moment - _EPOCH) // _MICROSECOND
    if any(received >= last for at, received in now.gathered.last_received.items() if at <= day):
        return False
    exposed = last_exposed(tables.received_before(as_of), experiment, day)
    return exposed is None or exposed < moment


def _with_an_end(plan: AnalysisPlan) -> tuple[PlannedSize, AnalysisPlan]:
    """The planned size. A trial that has none ends on its last day, or, without one, on the first it may."""
    if (size := planned_size(plan)) is not None:
        return size, plan
    design = plan.design
    ended = design.model_copy(update={"max_days": design.max_days or design.min_days})
    return PlannedSize(None, _NEVER), plan.model_copy(update={"design": ended})


def _as_counted(plan: AnalysisPlan, unit: str) -> AnalysisPlan:
    """The plan with quantiles read where the cube has their values."""
    metrics = tuple(
        metric.model_copy(update={"of": counted_values(metric, unit)})
        if metric.kind is MetricKind.QUANTILE
        else metric
        for metric in plan.metrics
    )
    return plan.model_copy(update={"metrics": metrics})


def _unit_counts(cohorts: Cohorts, plan: AnalysisPlan, last_day: date) -> UnitCounts:
    mature = [arrived for arrived in _confirmatory(cohorts) if arrived.day <= last_day]
    crossed = dict.fromkeys(plan.variants or (), 0)
    for arrived in mature:
        crossed[arrived.placement.variant] += arrived.crossed
    return UnitCounts(
        rows=sum(arrived.exposures for arrived in mature),
        units=sum(arrived.units for arrived in mature),
        repeated=sum(arrived.repeated for arrived in mature),
        crossovers=sum(crossed.values()),
        crossovers_by_variant=crossed,
    )


def _arrivals(
    cohorts: Cohorts,
    plan: AnalysisPlan,
    last_day: date,
    weights: Mapping[int, Mapping[str, float]] | None,
) -> Arrivals:
    exposed, crossed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for arrived in _confirmatory(cohorts):
        key = (arrived.placement.variant, arrived.placement.epoch)
        exposed[key] += arrived.units
        crossed[key] += arrived.crossed if arrived.day <= last_day else 0
    allocated = {str(epoch): shares for epoch, shares in (weights or {}).items()}
    checks = [configuration_check(cohorts.gathered.misfits)]
    if undeclared := cohorts.refused.undeclared:
        text = f"{undeclared:,} exposures are in variants that the definition has not"
        checks.append(Check(name="variants", passed=False, text=text, numbers={"exposures": undeclared}))
    return Arrivals(
        weights={
            epoch: allocated.get(epoch) or _completed(shares, plan.weights or {})
            for epoch, shares in cohorts.propensities.items()
        },
        exposed=exposed,
        crossed=crossed,
        checks=tuple(checks),
    )


def _completed(propensities: Mapping[str, float], declared: Mapping[str, float]) -> Mapping[str, float]:
    """Propensities of all variants: those that no exposure told share what is left, as they were declared."""
    absent = [name for name in declared if name not in propensities]
    left, among = max(1 - sum(propensities.values()), 0.0), sum(declared[name] for name in absent)
    return {**propensities, **{name: left * declared[name] / among for name in absent}}


def _confirmatory(cohorts: Cohorts) -> list[Arrived]:
    return [arrived for arrived in cohorts.arrived if arrived.placement.confirmatory]
