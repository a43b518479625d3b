"""Whether a treatment is shown to do harm: always-valid, on all data, apart from any look."""

from __future__ import annotations

from typing import Final

from promptarena.analysis import wording
from promptarena.analysis.adaptive_effects import AdaptiveEffects
from promptarena.analysis.arrivals import EpochWeights, treatment_share
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import ArmPair, arm_pair, rate_counts, strata
from promptarena.analysis.hypotheses import NO_MARGIN
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.bandit import FOLLOWED
from promptarena.definitions.metric import Better, Metric, MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Check
from promptarena.stats.harm import MIN_UNITS, Harm, effect_harm, rate_harm

__all__ = ["HARM_ALPHA", "harm_checks", "harm_is_shown"]

HARM_ALPHA: Final = 0.01
"""Shared by the primary and all guardrails of all treatments."""
_TUNED_AT: Final = 2_000
"""Units of both variants at which the asymptotic bounds are tightest: harm should be seen early."""


def harm_checks(
    plan: AnalysisPlan,
    cube: Cube,
    treatment: str,
    weights: EpochWeights | None = None,
    *,
    bounds: bool = True,
) -> tuple[Check, ...]:
    """One check for the primary (its margin is 0 but for non-inferiority), and one a guardrail.

    Args:
        plan: what was declared.
        cube: all data.
        treatment: the variant that may do harm.
        weights: the allocation of each epoch, where they followed the outcomes: each unit then counts by its
            propensity.
        bounds: whether each check is to say its bound; of rates it is a search.
    """
    alpha = _alpha_each(plan, cube)
    return tuple(
        _check(plan, cube, metric, margin, treatment, alpha, weights, bounds=bounds)
        for metric, margin in _watched(plan)
    )


def harm_is_shown(
    plan: AnalysisPlan, cube: Cube, treatment: str, weights: EpochWeights | None = None
) -> bool:
    """Whether any of `harm_checks` fails; without their sentences and bounds, which cost most of the time."""
    alpha = _alpha_each(plan, cube)
    for metric, margin in _watched(plan):
        pair = arm_pair(cube, metric, plan.control, treatment)
        harm = _harm(plan, cube, metric, margin, treatment, pair, alpha, weights)
        if harm is not None and harm.shown:
            return True
    return False


def _watched(plan: AnalysisPlan) -> list[tuple[Metric, Margin]]:
    return [
        (plan.metric(plan.primary.metric), plan.primary.margin or NO_MARGIN),
        *((plan.metric(guardrail.metric), guardrail.margin) for guardrail in plan.guardrails),
    ]


def _alpha_each(plan: AnalysisPlan, cube: Cube) -> float:
    treatments = max(len(plan.variants or cube.variants) - 1, 1)
    return HARM_ALPHA / (treatments * (1 + len(plan.guardrails)))


def _check(
    plan: AnalysisPlan,
    cube: Cube,
    metric: Metric,
    margin: Margin,
    treatment: str,
    alpha: float,
    weights: EpochWeights | None,
    *,
    bounds: bool,
) -> Check:
    pair = arm_pair(cube, metric, plan.control, treatment)
    harm = _harm(plan, cube, metric, margin, treatment, pair, alpha, weights)
    if harm is None or pair.effect is None:
        text = f"{metric.name}: too few units to tell harm ({MIN_UNITS} a variant are needed)"
        return Check(name="harm", passed=None, metric=metric.name, variant=treatment, text=text)
    allowed = "" if margin.value == 0 else f" by more than {wording.margin(metric, margin)}"
    shown = "shown to be" if harm.shown else "not shown to be"
    text = (
        f"{treatment} is {shown} worse on {metric.name}{allowed}:"
        f" {wording.difference(metric, pair.effect.difference)}"
        f" (always-valid {wording.p_value(harm.p_value)}, alpha {alpha:.2g})"
    )
    return Check(
        name="harm",
        passed=not harm.shown,
        metric=metric.name,
        variant=treatment,
        text=text,
        numbers={"p_value": harm.p_value, "alpha": alpha, "upper": harm.upper if bounds else None},
    )


def _harm(
    plan: AnalysisPlan,
    cube: Cube,
    metric: Metric,
    margin: Margin,
    treatment: str,
    pair: ArmPair,
    alpha: float,
    weights: EpochWeights | None = None,
) -> Harm | None:
    if metric.kind is MetricKind.RATE:
        if min(pair.n_control, pair.n_treatment) == 0:
            return None
        counts = rate_counts(strata(cube, metric, plan.control, treatment))
        return rate_harm(
            counts.successes_control,
            counts.n_control,
            counts.successes_treatment,
            counts.n_treatment,
            alpha=alpha,
            margin=margin.value,
            relative=margin.relative,
            higher_is_better=metric.better is Better.HIGHER,
            treatment_share=_treatment_shares(plan, cube, treatment, weights),
        )
    if weights is not None and metric.kind in FOLLOWED:
        return AdaptiveEffects(cube, weights, plan.control, _TUNED_AT).harm(metric, treatment, alpha, margin)
    if pair.effect is None or min(pair.n_control, pair.n_treatment) < MIN_UNITS or pair.effect.variance == 0:
        return None
    if margin.relative and pair.effect.control.value == 0:
        return None
    return effect_harm(
        pair.effect,
        alpha=alpha,
        n_opt=_TUNED_AT,
        margin=margin.value,
        relative=margin.relative,
        higher_is_better=metric.better is Better.HIGHER,
    )


def _treatment_shares(
    plan: AnalysisPlan, cube: Cube, treatment: str, weights: EpochWeights | None
) -> list[float] | None:
    """One a stratum; `None` where they are not known."""
    epochs = sorted({key[1] for key in cube.by("epoch")}) if "epoch" in cube.dimensions else [""]
    if weights is None and len(epochs) > 1:
        return None
    shares = [
        treatment_share((weights or {}).get(epoch) or plan.weights, plan.control, treatment)
        for epoch in epochs
    ]
    known = [share for share in shares if share is not None]
    return known if len(known) == len(epochs) else None
