"""What a simulation took for granted, in sentences."""

from __future__ import annotations

from promptarena.definitions.metric import Absence
from promptarena.simulation.assumptions import Assumed
from promptarena.simulation.units import SEGMENT_SHARES, Population, drawing_order

__all__ = ["sentences"]


def sentences(population: Population, *, pace_known: bool) -> tuple[str, ...]:
    """Everything assumed of the units.

    Args:
        population: whom the experiment meets.
        pace_known: whether somebody said how many units come a day.
    """
    metrics = [assumed.metric for assumed in population.assumed]
    found = _of_metrics(population.assumed)
    daily = ", ".join(f"{units:,.4g}" for units in population.daily)
    source = "" if pace_known else ": nobody said how many, so the planned ones come in whole weeks"
    found.append(f"Units come at random, {daily} a day on average{source}")
    if population.segments:
        shares = ", ".join(f"{share:.0%}" for share in SEGMENT_SHARES.values())
        found.append(
            f"Segments ({', '.join(population.segments)}) have {len(SEGMENT_SHARES)} values each, with"
            f" {shares} of the units and the same effect"
        )
    if any(metric.covariates for metric in metrics):
        found.append(
            "Covariates are known of every unit; the first of a metric correlates with it by"
            f" {population.correlation:g}, further ones tell nothing"
        )
    if any(metric.audited_by is not None for metric in metrics):
        found.append(
            f"People label {population.labelled:.0%} of the units at random; the judge's scores of all"
            f" correlate with their labels by {population.correlation:g}"
        )
    if any(metric.absent is Absence.MISSING for metric in metrics):
        found.append(
            f"{population.missing:.0%} of the units have no value where its absence means `missing`, in every"
            " variant alike"
        )
    if len(metrics) > 1:
        found.append("Metrics of different facts vary independently of one another")
    return tuple(found)


def _of_metrics(assumed: tuple[Assumed, ...]) -> list[str]:
    drawn: dict[str, str] = {}
    told = {}
    for each in drawing_order(assumed):
        metric = each.metric
        follows = f"{metric.name}: follows from the values of {drawn.get(metric.of)}"
        told[metric.name] = follows if metric.of in drawn else each.sentence()
        drawn.setdefault(metric.of, metric.name)
        if metric.over is not None:
            drawn.setdefault(metric.over, metric.name)
    return [told[each.metric.name] for each in assumed]
