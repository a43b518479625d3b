"""What a log's readout says beside its figures: who does not count yet, who is apart, what was left out."""

from __future__ import annotations

from datetime import date

from promptarena.analysis import wording
from promptarena.analysis.cohort_cube import Cohorts
from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.comparisons import compare
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair
from promptarena.definitions.analysis_plan import AnalysisPlan

__all__ = ["log_notes"]


def log_notes(cohorts: Cohorts, plan: AnalysisPlan, last_day: date, maturity: Maturity) -> list[str]:
    """Sentences, those about units first."""
    return [*_cohort_notes(cohorts, last_day, maturity), *_canary_notes(cohorts, plan), *_left_out(cohorts)]


def _cohort_notes(cohorts: Cohorts, last_day: date, maturity: Maturity) -> list[str]:
    arrived = [each for each in cohorts.arrived if each.placement.confirmatory]
    mature = sum(each.units for each in arrived if each.day <= last_day)
    waiting = sum(each.units for each in arrived) - mature
    if not arrived:
        return ["nobody has been exposed yet in the stage that the verdict is about"]
    notes = []
    if waiting:
        following = min(each.day for each in arrived if each.day > last_day)
        notes.append(
            f"{waiting:,} units were first exposed after {last_day.isoformat()}: their cohorts enter whole,"
            " once the last window of each has closed;"
            f" that of {following.isoformat()} at {maturity.of_day(following):%Y-%m-%d %H:%M} UTC"
        )
    if late := cohorts.gathered.late:
        notes.append(
            f"{late:,} events were received after their cohort had matured: they count from now on, and"
            " change no look that was taken"
        )
    return notes


def _canary_notes(cohorts: Cohorts, plan: AnalysisPlan) -> list[str]:
    if cohorts.canary is None:
        return []
    units = {variant: cell.units for (variant,), cell in cohorts.canary.by().items()}
    counts = ", ".join(f"{variant} {units.get(variant, 0):,}" for variant in plan.variants or units)
    found = [
        _comparison(cohorts.canary, plan, variant)
        for variant in plan.variants or ()
        if variant != plan.control
    ]
    return [f"the canary's units stay apart ({counts}): {'; '.join(found)}"]


def _comparison(canary: Cube, plan: AnalysisPlan, treatment: str) -> str:
    metric = plan.metric(plan.primary.metric)
    comparison = compare(arm_pair(canary, metric, plan.control, treatment), metric, plan.design.alpha)
    if comparison.difference is None or comparison.interval is None:
        why = comparison.notes[0] if comparison.notes else "not known"
        return f"{metric.name} of {treatment} cannot be compared, {why}"
    low, high = (
        "unbounded" if limit is None else wording.difference(metric, limit) for limit in comparison.interval
    )
    difference = wording.difference(metric, comparison.difference)
    return (
        f"{metric.name} of {treatment} {difference} ({1 - plan.design.alpha:.0%} interval {low} to {high}),"
        " which decides nothing"
    )


def _left_out(cohorts: Cohorts) -> list[str]:
    refused = cohorts.refused
    counted = (
        (refused.other_definition, "exposures to another definition of this name"),
        (refused.before_start, "exposures dated before the experiment began"),
    )
    notes = [f"left out: {count:,} {what}" for count, what in counted if count]
    return [*notes, *(f"left out: {what}" for what in cohorts.unused)]
