"""The effect on a metric that a judge scores everywhere and people label on some units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from promptarena.stats.effects import Effect, Estimate, stratified
from promptarena.stats.moments import Moments
from promptarena.stats.prediction_powered import AuditMoments, PoweredEstimate, prediction_powered_mean

__all__ = ["AUDITED_PARTS", "AuditedEffect", "audited_effect"]

AUDITED_PARTS: Final = 5
"""Of a unit: labelled, label, score where labelled; not labelled, score where not."""
_LEAST_LABELLED: Final = 30
"""Units of an arm, in each epoch, below which the judge's bias is not known well enough."""


@dataclass(frozen=True, slots=True)
class AuditedEffect:
    """A difference of prediction-powered means."""

    effect: Effect
    note: str
    """How many were labelled, how far the judge was believed, and how wrong it was."""


def audited_effect(
    arms: Sequence[tuple[Moments, Moments]], weights: Sequence[float], control: str, treatment: str
) -> AuditedEffect:
    """Within epochs and weighted like any other effect, every mean with a lambda of its own.

    Args:
        arms: (control, treatment) moments of `AUDITED_PARTS` values a unit, by epoch.
        weights: of the epochs.
        control: its name, for the note.
        treatment: likewise.

    Raises:
        ValueError: an arm with fewer than 30 labelled units in some epoch.

    Source: `stats.prediction_powered`.
    """
    found = [
        tuple(_estimate(moments, name) for moments, name in zip(pair, (control, treatment), strict=True))
        for pair in arms
    ]
    first = [one for one, _ in found]
    second = [other for _, other in found]
    labelled = sum(estimate.labelled for estimate, _ in (*first, *second))
    units = sum(moments.n for pair in arms for moments in pair)
    bias = " and ".join(
        f"{_mean([estimate.judge_bias for estimate, _ in own], weights):+.3g} for {name}"
        for own, name in ((first, control), (second, treatment))
    )
    used = [estimate.tuning[0] for estimate, _ in (*first, *second)]
    lambdas = f"{min(used):.2f}" if max(used) - min(used) < 0.005 else f"{min(used):.2f} to {max(used):.2f}"
    return AuditedEffect(
        Effect(
            control=stratified([arm for _, arm in first], weights),
            treatment=stratified([arm for _, arm in second], weights),
        ),
        f"people labelled {labelled:,} of {units:,} units that the judge scored; its scores were used at"
        f" lambda {lambdas}, its bias ({bias}) taken off",
    )


def _estimate(moments: Moments, variant: str) -> tuple[PoweredEstimate, Estimate]:
    labelled = round(moments.n * float(moments.mean[0]))
    if labelled < _LEAST_LABELLED:
        raise ValueError(
            f"{variant} has {labelled} units that people labelled; {_LEAST_LABELLED} are needed in each epoch"
        )
    found = prediction_powered_mean(AuditMoments(labelled, moments))
    return found, Estimate(found.value, found.standard_error**2, labelled - 2, moments.n)


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(value * weight for value, weight in zip(values, weights, strict=True))
