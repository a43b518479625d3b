"""One treatment against control as a readout shows it: estimates, intervals, p-values and what to note."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from scipy.special import ndtr

from promptarena.analysis.estimates import ArmPair
from promptarena.analysis.hypotheses import good_z
from promptarena.definitions.analysis_plan import Adjustment, AnalysisPlan
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.definitions.readout import Comparison
from promptarena.stats.effects import Effect, Estimate, newcombe_interval
from promptarena.stats.multiplicity import Method, adjust

__all__ = ["compare", "families", "few_events_interval", "with_families"]

_FEW_EVENTS: Final = 10
"""Below this many events or non-events in an arm the normal interval of a rate misses its coverage."""

_METHODS: Final = {
    MetricKind.RATE: "difference of rates, unpooled normal interval, score test",
    MetricKind.RATIO: "difference of ratios of sums, delta method over units, Welch's t",
    MetricKind.QUANTILE: "difference of quantiles, Woodruff's error with units as clusters, Welch's t",
}
_MEANS: Final = "difference of unit means, Welch's t"
_ADJUSTMENTS: Final[dict[Adjustment, tuple[Method, str]]] = {
    Adjustment.BENJAMINI_HOCHBERG: ("benjamini-hochberg", "Benjamini-Hochberg"),
    Adjustment.HOLM: ("holm", "Holm"),
    Adjustment.BONFERRONI: ("bonferroni", "Bonferroni"),
}


def compare(pair: ArmPair, metric: Metric, alpha: float) -> Comparison:
    """The fixed-horizon comparison: two-sided 1 - alpha intervals, and notes on all that could not be had."""
    method = _METHODS.get(metric.kind, _MEANS)
    if pair.effect is None:
        return _unknown(pair, method, pair.problem or "no effect")
    effect = pair.effect
    notes = [] if pair.note is None else [pair.note]
    if pair.variance_removed is not None:
        names = " and ".join(covariate.name for covariate in metric.covariates)
        method = f"{method.split(',')[0]}, adjusted for {names} (CUPED)"
        notes.append(f"{names} took away {pair.variance_removed:.0%} of the variance")
    elif metric.audited_by is not None:
        method = f"difference of prediction-powered means, audited by {metric.audited_by}, Welch's t"
    elif metric.kind is MetricKind.RATE and _few_events(effect):
        return _few_events_comparison(pair, effect, metric, alpha)
    if effect.variance == 0:
        note = "every unit has the same value in both variants, so the error of the difference is not known"
        return replace(
            _unknown(pair, method, note),
            control_value=effect.control.value,
            variant_value=effect.treatment.value,
            difference=effect.difference,
        )
    relative, relative_interval = effect.relative_difference(), effect.relative_interval(alpha)
    if effect.control.value <= 0:
        notes.append(
            "control is zero or below: relative differences are of its absolute value, or not defined"
        )
    if relative is not None and relative_interval is None:
        notes.append("the relative interval is unbounded: control itself may be zero")
    return Comparison(
        control_value=effect.control.value,
        variant_value=effect.treatment.value,
        difference=effect.difference,
        interval=effect.interval(alpha),
        relative_difference=relative,
        relative_interval=relative_interval,
        standard_error=effect.standard_error,
        p_value=_score_p_value(pair, metric) if pair.rates is not None else effect.p_value(),
        p_adjusted=None,
        n_control=pair.n_control,
        n_variant=pair.n_treatment,
        method=method,
        notes=tuple(notes),
    )


def with_families(
    plan: AnalysisPlan, comparisons: Mapping[tuple[str, str], Comparison], treatments: Sequence[str]
) -> dict[tuple[str, str], Comparison]:
    """The same comparisons, with p-values adjusted family by family (see `families`)."""
    primary = plan.primary.metric
    guarded = {guardrail.metric for guardrail in plan.guardrails}
    rest = [key for key in comparisons if key[0] != primary and key[0] not in guarded]
    method, _ = _ADJUSTMENTS[plan.design.adjust or Adjustment.BENJAMINI_HOCHBERG]
    return _with_adjusted(
        _with_adjusted(comparisons, rest, method), [(primary, treatment) for treatment in treatments], "holm"
    )


def families(plan: AnalysisPlan) -> str:
    """Which p-values are adjusted together, and how, in words."""
    _, method = _ADJUSTMENTS[plan.design.adjust or Adjustment.BENJAMINI_HOCHBERG]
    return (
        f"primary: Holm over treatments; secondary and other metrics: {method} over metrics and treatments;"
        " guardrails: not adjusted, since all of them must pass"
    )


def _with_adjusted(
    comparisons: Mapping[tuple[str, str], Comparison], keys: Sequence[tuple[str, str]], method: Method
) -> dict[tuple[str, str], Comparison]:
    """The same comparisons, those named by `keys` with p-values adjusted as one family.

    A comparison without a p-value is not a member: what could not be tested does not dilute the rest.
    """
    family = [key for key in keys if comparisons[key].p_value is not None]
    adjusted = adjust([comparisons[key].p_value or 0.0 for key in family], method)
    return {
        **comparisons,
        **{
            key: replace(comparisons[key], p_adjusted=float(p))
            for key, p in zip(family, adjusted, strict=True)
        },
    }


def few_events_interval(effect: Effect, alpha: float) -> tuple[float, float]:
    """Newcombe's two-sided 1 - alpha interval of a difference of rates, for few events."""
    control, treatment = effect.control, effect.treatment
    return newcombe_interval(
        treatment.value * treatment.n, treatment.n, control.value * control.n, control.n, alpha
    )


def _unknown(pair: ArmPair, method: str, note: str) -> Comparison:
    return Comparison(
        control_value=None,
        variant_value=None,
        difference=None,
        interval=None,
        relative_difference=None,
        relative_interval=None,
        standard_error=None,
        p_value=None,
        p_adjusted=None,
        n_control=pair.n_control,
        n_variant=pair.n_treatment,
        method=method,
        notes=(note,),
    )


def _few_events(effect: Effect) -> bool:
    arms: tuple[Estimate, Estimate] = (effect.control, effect.treatment)
    return any(min(arm.value, 1 - arm.value) * arm.n < _FEW_EVENTS for arm in arms)


def _score_p_value(pair: ArmPair, metric: Metric) -> float | None:
    """Two-sided, of no difference: of the very statistic that the looks test."""
    z = good_z(pair, metric)
    return None if z is None else 2 * float(ndtr(-abs(z)))


def _few_events_comparison(pair: ArmPair, effect: Effect, metric: Metric, alpha: float) -> Comparison:
    control, treatment = effect.control, effect.treatment
    return Comparison(
        control_value=control.value,
        variant_value=treatment.value,
        difference=effect.difference,
        interval=few_events_interval(effect, alpha),
        relative_difference=effect.relative_difference(),
        relative_interval=None,
        standard_error=None,
        p_value=_score_p_value(pair, metric),
        p_adjusted=None,
        n_control=pair.n_control,
        n_variant=pair.n_treatment,
        method="difference of rates, Newcombe's hybrid score interval, score test (few events)",
        notes=(f"fewer than {_FEW_EVENTS} events or non-events in a variant: no relative interval is given",),
    )
