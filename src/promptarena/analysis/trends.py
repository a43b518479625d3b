"""Whether effects last, and whether the ground they stand on moves: flags beside the verdict, never in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from promptarena.analysis import wording
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair, estimate, strata
from promptarena.analysis.hypotheses import good_sign
from promptarena.analysis.quantile_effect import variant_quantile
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.definitions.readout import Check
from promptarena.stats.effects import Effect
from promptarena.stats.level_changes import level_change
from promptarena.stats.trends import Trend, age_trend, cohort_trend
from promptarena.stats.weekdays import weekday_coverage

__all__ = ["trend_checks"]

_TREND_ALPHA: Final = 0.05
"""Of calling an effect fading or growing where none is, over all treatments, views and readouts."""
_LEVEL_ALPHA: Final = 0.05
"""Of calling the control's level changed where it is not, over all metrics and readouts."""
_LEAST_UNITS: Final = 30
"""Of control on a day, before which the day's value is not held against others."""
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def trend_checks(
    plan: AnalysisPlan,
    cube: Cube,
    treatments: Sequence[str],
    ages: Cube | None = None,
    *,
    decided_on: Cube | None = None,
) -> tuple[Check, ...]:
    """Everything that may be said of time: over cohorts, over a unit's life, of control, of the week.

    Args:
        plan: what was declared.
        cube: the cohorts that effects rest on, all of them: what stopped a trial is no reason not to look.
        treatments: variants other than control.
        ages: the primary early and late in units' lives, under its name; `None` where that is not known.
        decided_on: the cohorts of the look that decided, or of data that is read once; `None` while a trial
            with looks goes on, whose weeks need not be whole between them.
    """
    if not cube.days:
        return ()
    views = 1 + (ages is not None)
    alpha = _TREND_ALPHA / (views * len(treatments))
    return (
        *(_over_cohorts(plan, cube, treatment, alpha) for treatment in treatments),
        *(_over_life(plan, ages, treatment, alpha) for treatment in treatments if ages is not None),
        *_control_levels(plan, cube),
        _weekdays(decided_on or cube, decided=decided_on is not None),
    )


def _over_cohorts(plan: AnalysisPlan, cube: Cube, treatment: str, alpha: float) -> Check:
    metric = plan.metric(plan.primary.metric)
    assert cube.days is not None
    found: list[tuple[int, Effect]] = []
    for day in cube.days:
        pair = arm_pair(cube, metric, plan.control, treatment, where=("day", day.isoformat()))
        if pair.effect is not None:
            found.append(((day - cube.days[0]).days, pair.effect))
    trend = cohort_trend([day for day, _ in found], [effect for _, effect in found], alpha=alpha)
    if trend is None:
        text = f"too few days or units to tell whether later cohorts gain as much on {metric.name}"
        return Check(name="over cohorts", passed=None, metric=metric.name, variant=treatment, text=text)
    span = (
        f"from {wording.difference(metric, trend.first)} among units first seen on the first day to"
        f" {wording.difference(metric, trend.last)} on the last"
    )
    return _trend_check("over cohorts", metric, treatment, trend, alpha, span)


def _over_life(plan: AnalysisPlan, ages: Cube, treatment: str, alpha: float) -> Check:
    metric = plan.metric(plan.primary.metric)
    lives = metric.model_copy(update={"kind": MetricKind.RATIO, "covariates": (), "audited_by": None})
    trend = age_trend(strata(ages, lives, plan.control, treatment), alpha=alpha)
    if trend is None:
        text = f"too few units to tell whether the effect on {metric.name} lasts through a unit's window"
        return Check(name="over a unit's life", passed=None, metric=metric.name, variant=treatment, text=text)
    span = (
        f"{wording.difference(metric, trend.first)} in the first half of each unit's window and"
        f" {wording.difference(metric, trend.last)} in the second"
    )
    return _trend_check("over a unit's life", metric, treatment, trend, alpha, span)


def _trend_check(name: str, metric: Metric, treatment: str, trend: Trend, alpha: float, span: str) -> Check:
    flagged = trend.p_value <= alpha
    better_with_time = good_sign(metric) * trend.change > 0
    p_text = f"always-valid {wording.p_value(trend.p_value)}, alpha {alpha:.2g}"
    if not flagged:
        text = f"no trend in the effect of {treatment} on {metric.name} is shown: {span} ({p_text})"
    else:
        word, advice = _TRENDS[better_with_time]
        text = f"{word}: the effect of {treatment} on {metric.name} goes {span} ({p_text}); {advice}"
    return Check(
        name=name,
        passed=not flagged,
        metric=metric.name,
        variant=treatment,
        text=text,
        numbers={
            "change": trend.change,
            "standard_error": trend.standard_error,
            "first": trend.first,
            "last": trend.last,
            "p_value": trend.p_value,
        },
    )


_TRENDS: Final = {
    False: ("it wears off (novelty)", "what remains may be less than the average says"),
    True: ("it builds up (primacy: people or systems adapt)", "the average may say less than what remains"),
}


def _control_levels(plan: AnalysisPlan, cube: Cube) -> Iterator[Check]:
    """Whether control, which nobody changed, is what it was: a check for each metric on which it is not, and
    one for all others that could be told."""
    alpha = _LEVEL_ALPHA / len(plan.metrics)
    steady: dict[str, float] = {}
    for metric in plan.metrics:
        if metric.audited_by is not None:
            continue  # of a single day there are too few labels to correct a judge by
        days = _control_by_day(plan, cube, metric)
        found = level_change(
            [value for _, value, _ in days],
            [1 / n for _, _, n in days],
            [day.weekday() for day, _, _ in days],
        )
        if found is None:
            continue
        if found.p_value > alpha:
            steady[metric.name] = found.p_value
            continue
        text = (
            f"{plan.control} itself changed on {metric.name} about {days[found.start][0].isoformat()}, from"
            f" {wording.value(metric, found.before)} to {wording.value(metric, found.after)} (always-valid"
            f" {wording.p_value(found.p_value)}, alpha {alpha:.2g}): something outside the experiment did,"
            " such as the provider's model; the effect is an average over before and after"
        )
        yield Check(
            name="level of control",
            passed=False,
            metric=metric.name,
            variant=plan.control,
            text=text,
            numbers={"before": found.before, "after": found.after, "p_value": found.p_value},
        )
    if steady:
        text = (
            f"{plan.control} is not shown to have changed on {', '.join(steady)} (least always-valid"
            f" {wording.p_value(min(steady.values()))}, alpha {alpha:.2g})"
        )
        yield Check(name="level of control", passed=True, variant=plan.control, text=text, numbers={**steady})


def _control_by_day(plan: AnalysisPlan, cube: Cube, metric: Metric) -> list[tuple[date, float, int]]:
    """Control's value on each day with enough units."""
    assert cube.days is not None
    cells, found = cube.by("day"), []
    for day in cube.days:
        cell = cells.get((plan.control, day.isoformat()))
        if cell is None or (moments := cell.moments[metric.name]).n < _LEAST_UNITS:
            continue
        try:
            if metric.kind is MetricKind.QUANTILE and metric.q is not None:
                where = ("day", day.isoformat())
                value = variant_quantile(cube.values[metric.of], metric.q, plan.control, where).value
            else:
                value = estimate(metric, moments).value
        except ValueError:
            continue  # such a day says nothing: the others are looked at without it
        found.append((day, value, moments.n))
    return found


def _weekdays(cube: Cube, *, decided: bool) -> Check:
    assert cube.days is not None
    counted = dict.fromkeys((day.isoformat() for day in cube.days), 0)
    for (_, day), cell in cube.by("day").items():
        counted[day] += cell.units
    coverage = weekday_coverage([day.weekday() for day in cube.days], list(counted.values()))
    text = f"{len(cube.days)} days of cohorts"
    if coverage.whole:
        text += f", each day of the week {_often(coverage.days[0])}: every weekday counts alike"
    else:
        came: dict[int, list[str]] = {}
        for name, times in zip(_WEEKDAYS, coverage.days, strict=True):
            came.setdefault(times, []).append(name)
        parts = [f"{', '.join(names)} {_often(times)}" for times, names in sorted(came.items(), reverse=True)]
        text += f" are no whole weeks ({'; '.join(parts)})"
        text += (
            ": what came more often counts for too much, if effects differ by day of the week"
            if decided
            else " until now; looks come at the ends of whole weeks"
        )
    return Check(
        name="days of the week",
        passed=coverage.whole or not decided,
        text=text,
        numbers=dict(zip(_WEEKDAYS, coverage.shares, strict=True)),
    )


def _often(times: int) -> str:
    """How often, in words.

    >>> _often(0), _often(1), _often(3)
    ('never', 'once', '3 times')
    """
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")
