"""The readout of an experiment whose weights followed the outcomes: nothing in it is pooled over epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from promptarena.analysis.adaptive_effects import AdaptiveEffects, NotKnown
from promptarena.analysis.arrivals import Arrivals, EpochWeights
from promptarena.analysis.bandit_conclusion import BanditConclusion, conclude_bandit
from promptarena.analysis.beliefs import chances_of_best
from promptarena.analysis.comparisons import families, with_families
from promptarena.analysis.conclusion import treatments_of
from promptarena.analysis.cube import Cube
from promptarena.analysis.readout import metric_readout
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.bandit import FOLLOWED, Bandit
from promptarena.definitions.metric import Metric
from promptarena.definitions.readout import (
    Adaptive,
    AdaptiveArm,
    AdaptiveEpoch,
    Comparison,
    Readout,
    UnitCounts,
)
from promptarena.stats.adaptive_contrasts import AdaptiveContrast
from promptarena.stats.moments import Moments

__all__ = ["build_bandit_readout"]

_WEIGHTED: Final = "propensity-weighted difference within epochs; always-valid interval"
_STRATIFIED: Final = "difference within epochs, weighted by their units; always-valid interval"
_DESCRIPTIVE: Final = (
    "under a bandit there are no looks and pooled means are not shown: a variant's value is over all units"
    " that came, a difference weights epochs by their precision, so the values need not differ by it; effects"
    " by day and by segment are within epochs, with fixed-horizon intervals, and describe"
)


def build_bandit_readout(
    cube: Cube,
    units: UnitCounts,
    plan: AnalysisPlan,
    *,
    source: str,
    arrivals: Arrivals,
    allocated: EpochWeights | None = None,
    notes: Sequence[str] = (),
) -> Readout:
    """Analyse the cube of a bandit.

    Args:
        cube: moments by variant, day, epoch and the plan's segments.
        units: how exposures became units.
        plan: what was declared.
        source: what was read, for people.
        arrivals: with the weights of every epoch.
        allocated: weights of all epochs, those included that nobody has met yet; else those of `arrivals`.
        notes: what the caller wants said beside the readout.

    Raises:
        ValueError: the plan's weights are fixed.
    """
    if plan.bandit is None:
        raise ValueError("the weights of this plan are fixed")
    treatments = treatments_of(plan, cube)
    concluded = conclude_bandit(cube, units, plan, arrivals)
    effects = concluded.effects
    comparisons = _comparisons(plan, effects, treatments)
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
        metrics={
            metric.name: metric_readout(plan, effects.cube, metric, treatments, comparisons)
            for metric in plan.metrics
        },
        days=(cube.days[-1] - cube.days[0]).days + 1 if cube.days else 0,
        adaptive=_adaptive(plan, plan.bandit, effects, arrivals, allocated or arrivals.weights),
        adjustment=f"all p-values are always-valid; {families(plan)}",
        notes=(*notes, _DESCRIPTIVE, *_left_out(cube, concluded)),
    )


def _comparisons(
    plan: AnalysisPlan, effects: AdaptiveEffects, treatments: Sequence[str]
) -> dict[tuple[str, str], Comparison]:
    found = {
        (metric.name, treatment): _comparison(effects, metric, treatment, plan.design.alpha)
        for metric in plan.metrics
        for treatment in treatments
    }
    return with_families(plan, found, treatments)


def _comparison(effects: AdaptiveEffects, metric: Metric, treatment: str, alpha: float) -> Comparison:
    found = effects.difference(metric, treatment, alpha)
    control, treated = (effects.mean(metric, name, alpha) for name in (effects.control, treatment))
    cells = effects.cube.by()
    n_control, n_variant = (
        cells[name,].moments[metric.name].n if (name,) in cells else 0
        for name in (effects.control, treatment)
    )
    unknown = Comparison(
        control_value=_value(control),
        variant_value=_value(treated),
        difference=None,
        interval=None,
        relative_difference=None,
        relative_interval=None,
        standard_error=None,
        p_value=None,
        p_adjusted=None,
        n_control=n_control,
        n_variant=n_variant,
        method=_WEIGHTED if metric.kind in FOLLOWED else _STRATIFIED,
    )
    if isinstance(found, NotKnown):
        return replace(unknown, notes=(found.why,))
    return replace(
        unknown,
        difference=found.value,
        interval=(found.low, found.high),
        interval_kind="always-valid",
        standard_error=found.standard_error,
        p_value=found.p_value,
    )


def _value(found: AdaptiveContrast | NotKnown) -> float | None:
    return None if isinstance(found, NotKnown) else found.value


def _adaptive(
    plan: AnalysisPlan,
    bandit: Bandit,
    effects: AdaptiveEffects,
    arrivals: Arrivals,
    allocated: EpochWeights,
) -> Adaptive:
    variants, primary = list(plan.variants or effects.cube.variants), plan.metric(plan.primary.metric)
    reward, cells = plan.metric(str(bandit.reward)), effects.cube.by()
    sums = {
        name: cells[name,].moments[reward.name].select(0) if (name,) in cells else Moments.empty(1)
        for name in variants
    }
    chances = chances_of_best(reward, sums)
    arms = {}
    for name in variants:
        found = effects.mean(primary, name, plan.design.alpha)
        arms[name] = AdaptiveArm(
            value=_value(found),
            interval=None if isinstance(found, NotKnown) else (found.low, found.high),
            probability_best=None if chances is None else chances[name],
            note=found.why if isinstance(found, NotKnown) else None,
        )
    return Adaptive(
        rule=bandit.bandit.value,
        reward=reward.name,
        epochs=tuple(
            _epoch(epoch, allocated[epoch], variants, arrivals) for epoch in sorted(allocated, key=int)
        ),
        arms=arms,
    )


def _epoch(
    epoch: str, weights: Mapping[str, float], variants: Sequence[str], arrivals: Arrivals
) -> AdaptiveEpoch:
    total = sum(weights.values())
    return AdaptiveEpoch(
        epoch=int(epoch),
        weights={name: weights.get(name, 0.0) / total for name in variants},
        units={name: arrivals.exposed.get((name, epoch), 0) for name in variants},
    )


def _left_out(cube: Cube, concluded: BanditConclusion) -> list[str]:
    later = sum(cell.units for cell in cube.by().values())
    later -= sum(cell.units for cell in concluded.effects.cube.by().values())
    if not later:
        return []
    if concluded.decided:
        return [f"{later:,} units arrived after the deciding week; they count for harm and balance only"]
    return [f"{later:,} units of a week that is not whole yet enter the estimates with its end"]
