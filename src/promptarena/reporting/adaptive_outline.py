"""How a bandit's weights followed the outcomes, and what each variant is worth."""

from __future__ import annotations

from promptarena.definitions.readout import Adaptive, Interval, Readout
from promptarena.reporting.figures import Scale, count, percent, share
from promptarena.reporting.outline import Column, Depth, Section, Table

__all__ = ["adaptive_sections"]


def adaptive_sections(readout: Readout, adaptive: Adaptive) -> list[Section]:
    """The variants, and the weights epoch by epoch."""
    return [_variants(readout, adaptive), _epochs(readout, adaptive)]


def _variants(readout: Readout, adaptive: Adaptive) -> Section:
    scale = Scale.of(readout.metrics[readout.primary])
    weights = adaptive.epochs[-1].weights if adaptive.epochs else {}
    columns = (
        Column("Variant"),
        Column(readout.primary, numeric=True),
        Column("Best with", numeric=True),
        Column("Weight now", numeric=True),
    )
    rows = tuple(
        (
            (name,),
            (scale.value(arm.value, arm.interval), _between(scale, arm.interval)),
            (percent(arm.probability_best),),
            (percent(weights.get(name)),),
        )
        for name, arm in adaptive.arms.items()
    )
    notes = [f"{name}: {arm.note}." for name, arm in adaptive.arms.items() if arm.note]
    return Section(
        key="variants",
        title="Variants",
        facts=(("Weights follow", f"{adaptive.reward}, by {adaptive.rule}"),),
        table=Table(columns, rows),
        notes=(
            f"{readout.primary} is weighted by propensity over all units that came, with an always-valid"
            " interval in brackets.",
            f"Best with: the probability that the variant has the best {adaptive.reward}, as the bandit"
            " believes; it moves the weights and decides nothing.",
            *notes,
        ),
    )


def _between(scale: Scale, interval: Interval | None) -> str:
    if interval is None:
        return ""
    low, high = (scale.value(bound, interval) for bound in interval)
    return f"[{low}, {high}]"


def _epochs(readout: Readout, adaptive: Adaptive) -> Section:
    columns = (
        Column("Epoch", numeric=True),
        Column("Units", numeric=True),
        *(Column(name, numeric=True) for name in readout.variants),
    )
    rows = tuple(
        (
            (str(epoch.epoch),),
            (count(sum(epoch.units.values())),),
            *(
                (
                    percent(epoch.weights.get(name)),
                    share(epoch.units.get(name, 0), sum(epoch.units.values()), 1),
                )
                for name in readout.variants
            ),
        )
        for epoch in adaptive.epochs
    )
    return Section(
        key="allocation",
        title="Weights by epoch",
        table=Table(columns, rows),
        notes=(
            "First the weight, which is each unit's propensity; below it the share of the units that came.",
        ),
        depth=Depth.PAGE,
    )
