"""From a cube and a plan to a readout: the looks in order, the verdict, and everything shown beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.breakdowns import daily_effects, segment_effects, segment_findings
from promptarena.analysis.burn_in import burn_in_check, burn_in_ends
from promptarena.analysis.comparisons import compare, families, with_families
from promptarena.analysis.conclusion import Standing, conclude, treatments_of
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.lives import Lives
from promptarena.analysis.looks import LookPoint, PlannedSize
from promptarena.analysis.sequential_interval import look_path, primary_comparison
from promptarena.analysis.taken_looks import to_record
from promptarena.analysis.trends import trend_checks
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.metric import Metric
from promptarena.definitions.readout import (
    Comparison,
    LookPath,
    MetricReadout,
    Readout,
    UnitCounts,
)

__all__ = ["build_readout", "metric_readout"]


def build_readout(
    cube: Cube,
    units: UnitCounts,
    plan: AnalysisPlan,
    *,
    source: str,
    planned: PlannedSize | None = None,
    notes: Sequence[str] = (),
    arrivals: Arrivals | None = None,
    lives: Lives | None = None,
    recorded: Sequence[LookPoint] = (),
    as_of: datetime | None = None,
) -> Readout:
    """Analyse a cube as its plan says.

    Looks are gone through in order and the first that decides ends the trial: what arrived later is kept out
    of its estimates, and so is a declared burn-in, though harm is always judged on everything.

    Args:
        cube: moments by variant and the plan's dimensions.
        units: how rows became units.
        plan: what was declared, or what flags said.
        source: what was read, for people.
        planned: the size that was planned; `None` makes one look of all data.
        notes: what the caller wants said beside the readout.
        arrivals: what is known of how units arrived; `None` of a table.
        lives: what is known of units after they arrived; `None` of a table.
        recorded: looks that were taken before, which stand as they were.
        as_of: when this readout is made, if its looks are to be recorded.
    """
    treatments = treatments_of(plan, cube)
    concluded = conclude(cube, units, plan, planned=planned, arrivals=arrivals, recorded=recorded)
    standing, counted, shown = concluded.standing, concluded.counted, concluded.shown
    metrics, paths = _metrics(plan, shown, treatments, standing, planned)
    return Readout(
        experiment=plan.experiment,
        source=source,
        control=plan.control,
        variants=(plan.control, *treatments),
        primary=plan.primary.metric,
        alpha=plan.design.alpha,
        preregistered=plan.preregistered,
        verdict=concluded.verdict,
        balance=concluded.balance,
        units=units,
        metrics=metrics,
        paths=paths,
        days=None if counted.days is None else _span(counted.days),
        looks=to_record(plan, standing.looks, standing.paths, as_of) if as_of else (),
        trends=(
            *trend_checks(
                plan,
                counted,
                treatments,
                lives.halves if lives else None,
                decided_on=shown if standing.stopped or planned is None else None,
            ),
            *(lives.answers if lives else ()),
            *burn_in_check(cube, plan, burn_in_ends(cube, plan)),
        ),
        adjustment=families(plan),
        notes=(
            *notes,
            *_notes(plan, counted, shown, standing),
        ),
    )


def _span(days: Sequence[date]) -> int:
    return (days[-1] - days[0]).days + 1 if days else 0


def _metrics(
    plan: AnalysisPlan,
    cube: Cube,
    treatments: Sequence[str],
    standing: Standing,
    planned: PlannedSize | None,
) -> tuple[dict[str, MetricReadout], tuple[LookPath, ...]]:
    comparisons = {
        (metric.name, treatment): compare(
            arm_pair(cube, metric, plan.control, treatment), metric, plan.design.alpha
        )
        for metric in plan.metrics
        for treatment in treatments
    }
    primary = plan.primary.metric
    comparisons = with_families(plan, comparisons, treatments)
    paths: tuple[LookPath, ...] = ()
    if plan.preregistered:
        paths = tuple(
            look_path(plan, standing.looks, standing.paths.get(t), t, stopped=standing.stopped)
            for t in treatments
        )
        for path in paths:
            key = (primary, path.variant)
            comparisons[key] = primary_comparison(
                comparisons[key],
                path,
                standing.paths.get(path.variant),
                standing.looks,
                plan,
                cube,
                planned,
            )
        if standing.stopped and not standing.looks[-1].final:
            comparisons = {
                key: comparison
                if key[0] == primary
                else replace(
                    comparison, notes=(*comparison.notes, "after stopping: a fixed-horizon interval")
                )
                for key, comparison in comparisons.items()
            }
    readouts = {
        metric.name: metric_readout(plan, cube, metric, treatments, comparisons) for metric in plan.metrics
    }
    return readouts, paths


def metric_readout(
    plan: AnalysisPlan,
    cube: Cube,
    metric: Metric,
    treatments: Sequence[str],
    comparisons: Mapping[tuple[str, str], Comparison],
) -> MetricReadout:
    """A metric's comparisons with its role, its days and its segments."""
    is_primary = metric.name == plan.primary.metric
    guardrail = next((g for g in plan.guardrails if g.metric == metric.name), None)
    role = (
        "primary"
        if is_primary
        else "guardrail"
        if guardrail
        else "secondary"
        if metric.name in plan.secondary
        else "other"
    )
    margin = plan.primary.margin if is_primary else guardrail.margin if guardrail else None
    return MetricReadout(
        name=metric.name,
        kind=metric.kind.value,
        role=role,
        better=metric.better.value,
        unit=metric.unit,
        comparisons={treatment: comparisons[metric.name, treatment] for treatment in treatments},
        daily=daily_effects(plan, cube, metric, treatments),
        segments=segment_effects(plan, cube, metric, treatments),
        findings=segment_findings(plan, cube, metric, treatments) if is_primary else (),
        margin=None if margin is None else str(margin),
    )


def _notes(plan: AnalysisPlan, cube: Cube, shown: Cube, standing: Standing) -> list[str]:
    notes = []
    if shown is not cube:
        later = _units(cube) - _units(shown)
        if later:
            notes.append(
                f"{later:,} units arrived after the deciding look; they count for harm and balance only"
            )
    if plan.preregistered and not standing.looks:
        notes.append("no look has been taken: intervals of metrics other than the primary are descriptive")
    return notes


def _units(cube: Cube) -> int:
    return sum(cell.units for cell in cube.by().values())
