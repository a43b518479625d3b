"""What may be said of the primary's size while a trial is looked at, and after it has stopped.

At a look that did not stop the trial: the repeated interval (difference +- critical value x error). Between
looks: an always-valid interval. After the stop: the stage-wise ordered interval and the median-unbiased
estimate, because stopping on a large difference makes the plain ones too large and too short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from scipy.special import ndtr

from promptarena.analysis.comparisons import few_events_interval
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair, rate_counts, strata
from promptarena.analysis.futility_rule import chances, futility_bounds
from promptarena.analysis.hypotheses import good_sign
from promptarena.analysis.looks import LookPoint, PlannedSize
from promptarena.analysis.sequential import PrimaryPath, primary_boundary, whole_boundary
from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Test
from promptarena.definitions.readout import Comparison, Interval, Look, LookPath
from promptarena.stats.anytime import AsymptoticSequence
from promptarena.stats.effects import Effect
from promptarena.stats.harm import rate_difference_bounds
from promptarena.stats.stagewise import stagewise_estimate

__all__ = ["look_path", "primary_comparison"]


def look_path(
    plan: AnalysisPlan,
    looks: Sequence[LookPoint],
    path: PrimaryPath | None,
    treatment: str,
    *,
    stopped: bool,
) -> LookPath:
    """One treatment's path: the looks taken, then those still planned."""
    taken = [] if path is None else _taken(plan, looks, path)
    following = looks[-1].planned + 1 if looks else 0
    ended = bool(looks) and looks[-1].final
    planned = [] if stopped or ended else _planned(plan.design, looks, following)
    if not stopped or path is None:
        at_look = "repeated interval at looks, always-valid interval between them"
        found = chances(plan, looks, path) if path else None
        return LookPath(
            variant=treatment,
            looks=(*taken, *planned),
            interval_label=at_look,
            p_value=path.p_value if path else None,
            power_trend=found.trend if found else None,
            power_planned=found.planned if found else None,
        )
    end = _crossing(plan, looks, path)
    after = _after_stopping(plan, looks[: end + 1], path)
    label = "stage-wise ordered interval and median-unbiased estimate, after stopping"
    if end < len(looks) - 1:
        label += f", of look {looks[end].planned + 1}, at which the primary crossed its boundary"
    return LookPath(
        variant=treatment,
        looks=tuple(taken),
        interval_label=label,
        estimate=after[0] if after else None,
        interval=after[1] if after else None,
        p_value=path.p_value,
    )


def primary_comparison(
    comparison: Comparison,
    path: LookPath,
    result: PrimaryPath | None,
    looks: Sequence[LookPoint],
    plan: AnalysisPlan,
    cube: Cube,
    planned: PlannedSize | None,
) -> Comparison:
    """The primary's comparison with an interval and a p-value that looking has not spoilt."""
    metric = plan.metric(plan.primary.metric)
    effect = arm_pair(cube, metric, plan.control, path.variant).effect
    if effect is None or effect.variance == 0 or comparison.interval is None:
        return comparison
    p_value = result.p_value if result else None
    p_adjusted = result.p_adjusted if result else None
    margin = plan.primary.margin
    if margin is not None:
        comparison = replace(
            comparison,
            notes=(*comparison.notes, "the p-value is of the margin, the interval of the difference"),
        )
    if path.interval is not None:
        critical = primary_boundary(plan.design, looks).critical_z[-1]
        return replace(
            comparison,
            interval=path.interval,
            relative_interval=effect.relative_interval(_error_beyond(critical)),
            p_value=p_value,
            p_adjusted=p_adjusted,
            method=f"{comparison.method}; {path.interval_label}",
            interval_kind="stage-wise",
            notes=(
                *comparison.notes,
                "the difference is as observed; the median-unbiased estimate is with the looks, and the"
                " relative interval is the repeated one of this look",
            ),
        )
    if looks and (looks[-1].day is None or looks[-1].day == (cube.days or (None,))[-1]):
        error = _error_beyond(primary_boundary(plan.design, looks).critical_z[-1])
        few = comparison.standard_error is None
        return replace(
            comparison,
            interval=few_events_interval(effect, error) if few else effect.normal_interval(error),
            relative_interval=None if few else effect.relative_interval(error),
            p_value=p_value,
            p_adjusted=p_adjusted,
            method=f"{comparison.method}; repeated interval at this look",
            interval_kind="repeated",
        )
    between = replace(
        comparison,
        p_value=None,
        p_adjusted=None,
        method=f"{comparison.method}; always-valid interval between looks",
        interval_kind="always-valid",
    )
    if comparison.standard_error is None:
        return _exact(between, cube, plan, path.variant)
    return _always_valid(between, effect, plan.design.alpha, planned)


def _exact(comparison: Comparison, cube: Cube, plan: AnalysisPlan, treatment: str) -> Comparison:
    """Of few events the normal sequence would be too short: the exact one of rates, whatever their number."""
    counts = rate_counts(strata(cube, plan.metric(plan.primary.metric), plan.control, treatment))
    bounds = rate_difference_bounds(
        counts.successes_control,
        counts.n_control,
        counts.successes_treatment,
        counts.n_treatment,
        alpha=plan.design.alpha,
    )
    return replace(comparison, interval=bounds, relative_interval=None)


def _always_valid(
    comparison: Comparison, effect: Effect, alpha: float, planned: PlannedSize | None
) -> Comparison:
    # Tuned to be tightest at the planned size, and clocked by information: n and n_opt may be in any unit.
    information = 1 / effect.variance
    sequence = AsymptoticSequence((planned and planned.information) or information, alpha)
    low, high = sequence.interval(effect.difference, effect.standard_error, information)
    return replace(
        comparison,
        interval=(low, high),
        relative_interval=effect.relative_interval(_error_beyond(sequence.multiplier(information))),
    )


def _error_beyond(critical: float) -> float:
    """The two-sided alpha of a fixed interval that reaches as many standard errors."""
    return 2 * float(ndtr(-critical))


def _taken(plan: AnalysisPlan, looks: Sequence[LookPoint], path: PrimaryPath) -> list[Look]:
    boundary, bounds = primary_boundary(plan.design, looks), futility_bounds(plan, looks)
    return [
        Look(
            fraction=look.fraction,
            day=look.day.isoformat() if look.day else None,
            n=sum(cell.units for cell in look.cube.by().values()),
            z=path.z[k],
            critical_z=boundary.critical_z[k],
            alpha_spent=boundary.sides * boundary.alpha_spent[k],
            crossed=None if path.z[k] is None else path.rejected[k] is not None,
            futility_z=bounds[k] if k < len(bounds) else None,
        )
        for k, look in enumerate(looks)
    ]


def _planned(design: Design, looks: Sequence[LookPoint], following: int) -> list[Look]:
    """Looks still to come, at their planned fractions and with the boundary as it stands."""
    fractions = design.looks[following:]
    if not fractions:
        return []
    so_far = len(looks)
    boundary = whole_boundary(design, looks)
    return [
        Look(
            fraction=fraction,
            day=None,
            n=0,
            z=None,
            critical_z=boundary.critical_z[so_far + i],
            alpha_spent=boundary.sides * boundary.alpha_spent[so_far + i],
            crossed=None,
        )
        for i, fraction in enumerate(fractions)
    ]


def _crossing(plan: AnalysisPlan, looks: Sequence[LookPoint], path: PrimaryPath) -> int:
    """Where the primary's own test ended: at its first crossing, although guardrails may have kept the trial
    going, or at the last look. Ordered by where the trial ended instead, an effect that crossed early would
    count as one that did not: with two guardrails as hard as the primary 70% of the estimates were too small.
    """
    critical = primary_boundary(plan.design, looks).critical_z
    crossed = (k for k, z in enumerate(path.z[: len(looks)]) if z is not None and abs(z) >= critical[k])
    return next(crossed, len(looks) - 1)


def _after_stopping(
    plan: AnalysisPlan, looks: Sequence[LookPoint], path: PrimaryPath
) -> tuple[float, Interval] | None:
    """Estimate and interval of the difference, in the metric's unit; `None` where they are not defined."""
    metric = plan.metric(plan.primary.metric)
    effect = arm_pair(looks[-1].cube, metric, plan.control, path.variant).effect
    z = path.z[len(looks) - 1]
    margin = plan.primary.margin
    # Of a relative margin the statistic is about another contrast than the difference, with another error.
    if effect is None or z is None or not math.isfinite(z) or (margin is not None and margin.relative):
        return None
    sign = good_sign(metric)
    offset = margin.value if margin is not None and plan.primary.test is Test.NON_INFERIORITY else 0.0
    boundary = primary_boundary(plan.design, looks)
    result = stagewise_estimate(boundary, z, effect.standard_error, alpha=plan.design.alpha)
    low, high = sorted(sign * (limit - offset) for limit in result.interval)
    return sign * (result.estimate - offset), (low, high)
