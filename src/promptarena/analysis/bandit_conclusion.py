"""The conclusion of a bandit: no looks, but an always-valid sequence that is read at the end of whole weeks.

Whoever reads a sequence may stop whenever it has crossed, so the first whole week at which a treatment has
shown itself ends the trial, as a look would. Weeks are whole because weekdays differ; the test would hold at
any moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np

from promptarena.analysis import wording
from promptarena.analysis.adaptive_effects import AdaptiveEffects, NotKnown
from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.breakdowns import segment_effects
from promptarena.analysis.conclusion import treatments_of
from promptarena.analysis.cube import Cube
from promptarena.analysis.evidence import (
    days_check,
    enough_check,
    good_effect,
    primary_finding,
    segment_checks,
    waiting_evidence,
)
from promptarena.analysis.harm import harm_checks
from promptarena.analysis.hypotheses import NO_MARGIN
from promptarena.analysis.looks import week_ends
from promptarena.analysis.planned_size import planned_size
from promptarena.analysis.trust import observed_checks, sample_balance, trust_checks
from promptarena.analysis.verdict import TreatmentEvidence, decide
from promptarena.definitions.analysis_plan import AnalysisPlan, Guardrail
from promptarena.definitions.readout import Balance, Check, Status, UnitCounts, Verdict
from promptarena.errors import UsageError
from promptarena.stats.adaptive_contrasts import AdaptiveContrast
from promptarena.stats.multiplicity import holm

__all__ = ["BanditConclusion", "conclude_bandit"]

_TUNED_AT: Final = 5_000
"""Units of two variants at which sequences are tightest where no size was planned."""
_WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class BanditConclusion:
    """What a bandit's readout rests on."""

    verdict: Verdict
    balance: Balance
    effects: AdaptiveEffects
    """Of the cohorts that are shown: those of whole weeks, up to the deciding one; all before the first."""
    day: date | None
    """The last cohort day of them."""
    decided: bool


def conclude_bandit(
    cube: Cube, units: UnitCounts, plan: AnalysisPlan, arrivals: Arrivals
) -> BanditConclusion:
    """Go through the whole weeks in order; the first that decides ends the trial. Harm is judged on all data.

    Args:
        cube: moments by variant, day, epoch and the plan's segments.
        units: how exposures became units.
        plan: what was declared; its weights follow outcomes.
        arrivals: with the weights of every epoch.
    """
    treatments = treatments_of(plan, cube)
    balance = sample_balance(cube, plan, arrivals, looks=0)
    trust = trust_checks(units, balance, cube, plan, arrivals)
    tuned = _tuned_at(plan, len(treatments) + 1)
    left: dict[str, TreatmentEvidence] = {}
    effects = AdaptiveEffects(cube, arrivals.weights, plan.control, tuned)
    evidence: tuple[TreatmentEvidence, ...] = ()
    day, decided = (cube.days or (None,))[-1], False
    for week, age in week_ends(cube, plan.design.min_days):
        day = week
        effects = AdaptiveEffects(cube.until(week), arrivals.weights, plan.control, tuned)
        now = _evidence(plan, effects, treatments, final=_ends(plan, effects.cube, age), week=week)
        evidence = tuple(left.get(each.variant) or each for each in now)
        statuses = decide((), evidence, preregistered=plan.preregistered).by_variant
        left |= {each.variant: each for each in evidence if statuses[each.variant] is Status.HOLD}
        if Status.SHIP in statuses.values() or len(left) == len(treatments):
            decided = True
            break
    if not evidence:
        evidence = _waiting(plan, effects, treatments)
    judged = [
        replace(each, harm=harm_checks(plan, cube, each.variant, arrivals.weights)) for each in evidence
    ]
    verdict = decide(trust, judged, preregistered=plan.preregistered)
    return BanditConclusion(verdict, balance, effects, day, decided)


def _tuned_at(plan: AnalysisPlan, variants: int) -> float:
    units = plan.design.units
    if units is None:
        try:
            size = planned_size(plan)
        except UsageError:  # a bandit need not be sized
            size = None
        units = None if size is None else size.units
    return _TUNED_AT if units is None else units * 2 / variants


def _ends(plan: AnalysisPlan, cube: Cube, age: int) -> bool:
    """Whether the declared end has come: a day, or a number of units. Without one there is none."""
    design = plan.design
    enough = design.units is not None and sum(cell.units for cell in cube.by().values()) >= design.units
    return enough or (design.max_days is not None and age >= design.max_days)


def _evidence(
    plan: AnalysisPlan, effects: AdaptiveEffects, treatments: Sequence[str], *, final: bool, week: date
) -> tuple[TreatmentEvidence, ...]:
    metric = plan.metric(plan.primary.metric)
    alpha, margin = plan.design.alpha, plan.primary.margin or NO_MARGIN
    found = {each: effects.against_margin(metric, each, alpha, margin) for each in treatments}
    p = {name: each.p_value for name, each in found.items() if isinstance(each, AdaptiveContrast)}
    adjusted = dict(zip(p, map(float, holm(np.array(list(p.values())))), strict=True)) if p else {}
    segments = segment_effects(plan, effects.cube, metric, treatments)
    outlook = "" if final else f"the sequence is read again with the cohorts of {(week + _WEEK).isoformat()}"
    evidence = []
    for treatment in treatments:
        days, observed = days_check(plan, effects.cube), enough_check(plan, effects.cube, treatment)
        evidence.append(
            TreatmentEvidence(
                variant=treatment,
                effect=good_effect(plan, effects.cube, treatment),
                primary=_primary(plan, effects, treatment, found[treatment], adjusted.get(treatment)),
                requirements=(
                    *(_guardrail(plan, effects, treatment, guardrail) for guardrail in plan.guardrails),
                    *observed_checks(plan, effects.cube, treatment),
                    *segment_checks([s for s in segments if s.variant == treatment], alpha),
                    *(check for check in (days, observed) if check.passed is not False),
                ),
                unripe=tuple(check for check in (days, observed) if check.passed is False),
                final=final,
                outlook=outlook,
            )
        )
    return tuple(evidence)


def _waiting(
    plan: AnalysisPlan, effects: AdaptiveEffects, treatments: Sequence[str]
) -> tuple[TreatmentEvidence, ...]:
    first = f"the sequence is first read after {plan.design.min_days} days of cohorts"
    why = "no whole week of cohorts has passed yet"
    return tuple(waiting_evidence(plan, effects.cube, treatment, first, why) for treatment in treatments)


def _primary(
    plan: AnalysisPlan,
    effects: AdaptiveEffects,
    treatment: str,
    found: AdaptiveContrast | NotKnown,
    adjusted: float | None,
) -> Check:
    metric = plan.metric(plan.primary.metric)
    shown = effects.difference(metric, treatment, plan.design.alpha)
    if isinstance(found, NotKnown) or isinstance(shown, NotKnown) or adjusted is None:
        why = found.why if isinstance(found, NotKnown) else shown.why if isinstance(shown, NotKnown) else ""
        text = f"{metric.name} cannot be tested: {why}"
        return Check(name="primary", passed=None, metric=metric.name, variant=treatment, text=text)
    margin = plan.primary.margin
    null = 0.0 if margin is None or margin.relative else -margin.value
    crossed = adjusted <= plan.design.alpha
    passed = found.value > null if crossed else None
    text = (
        f"{primary_finding(plan, passed, shown.value)}, always-valid"
        f" {1 - plan.design.alpha:.0%} interval {wording.difference(metric, shown.low)} to"
        f" {wording.difference(metric, shown.high)} ({wording.p_value(adjusted)}; {shown.units:,} units in"
        f" {shown.epochs} epochs)"
    )
    return Check(
        name="primary",
        passed=passed,
        metric=metric.name,
        variant=treatment,
        text=text,
        numbers={
            "difference": shown.value,
            "low": shown.low,
            "high": shown.high,
            "p_value": found.p_value,
            "p_adjusted": adjusted,
        },
    )


def _guardrail(plan: AnalysisPlan, effects: AdaptiveEffects, treatment: str, guardrail: Guardrail) -> Check:
    metric, alpha = plan.metric(guardrail.metric), plan.design.alpha
    found = effects.against_margin(metric, treatment, alpha, guardrail.margin)
    shown = effects.difference(metric, treatment, alpha)
    if isinstance(found, NotKnown) or isinstance(shown, NotKnown):
        why = found.why if isinstance(found, NotKnown) else shown.why if isinstance(shown, NotKnown) else ""
        text = f"guardrail {metric.name} cannot be tested: {why}"
        return Check(name="guardrail", passed=None, metric=metric.name, variant=treatment, text=text)
    passed = found.one_sided_p_value <= alpha
    kept = "kept" if passed else "not shown to be kept"
    text = (
        f"guardrail {metric.name} {kept}: {wording.difference(metric, shown.value)} where"
        f" {wording.margin(metric, guardrail.margin)} is allowed; always-valid"
        f" {wording.p_value(found.one_sided_p_value)} against {alpha:g}"
    )
    return Check(
        name="guardrail",
        passed=passed,
        metric=metric.name,
        variant=treatment,
        text=text,
        numbers={"p_value": found.one_sided_p_value, "alpha": alpha, "margin": guardrail.margin.value},
    )
