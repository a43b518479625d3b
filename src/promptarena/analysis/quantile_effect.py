"""The effect on a quantile, from counted values: within epochs, weighted by the epochs' units."""

from __future__ import annotations

from typing import Final, NamedTuple

from promptarena.analysis.value_counts import CountedValues, ValueCounts
from promptarena.stats.clustered_counts import ClusteredCounts, clustered_quantile
from promptarena.stats.effects import Effect, Estimate, stratified

__all__ = ["QuantileEffect", "quantile_effect", "variant_quantile"]

_NOTHING: Final = CountedValues(ClusteredCounts.from_sums([], [], [], [], []), None)
_LEAST: Final = 2
"""Observed units an arm."""
_LITTLE: Final = 0.1
"""The share of all units that epochs without an estimate may hold together: less hardly moves the effect."""


class QuantileEffect(NamedTuple):
    """A treatment against control on a quantile."""

    effect: Effect
    note: str | None
    """What was left out."""


class _Stratum(NamedTuple):
    units: int
    """Of both arms, with a value."""
    control: Estimate
    treatment: Estimate


def quantile_effect(
    values: ValueCounts,
    q: float,
    control: str,
    treatment: str,
    *,
    epochs: bool,
    where: tuple[str, str] | None = None,
) -> QuantileEffect:
    """Compare two variants on a quantile of all values.

    An epoch in which an arm has fewer than two observed units is left out, as of every metric. One with too
    few values in the tail says nothing of the quantile either; such epochs are left out if they hold less
    than a tenth of the units, else there is no effect: it would not be that of the units it is told of.

    Args:
        values: of the metric's column.
        q: in (0, 1).
        control: a variant.
        treatment: another.
        epochs: whether to compare within them.
        where: a dimension and the value to which the comparison is restricted.

    Raises:
        ValueError: with the reason why the effect cannot be told.
    """
    dimensions = ["epoch"] * epochs + ([where[0]] if where else [])
    if not values.has(*dimensions):
        raise ValueError(f"values were not counted by {dimensions[-1]}: together it has too many")
    cells = values.by(*dimensions)
    chosen = {key: cell for key, cell in cells.items() if where is None or key[-1] == where[1]}
    strata: list[_Stratum] = []
    problems: list[tuple[int, str]] = []
    for rest in sorted({key[1:] for key in chosen}):
        arms = [chosen.get((name, *rest), _NOTHING) for name in (control, treatment)]
        if min(arm.counts.total_units for arm in arms) < _LEAST:
            continue
        held = sum(arm.counts.total_units for arm in arms)
        try:
            estimates = [_arm(q, arm, name) for arm, name in zip(arms, (control, treatment), strict=True)]
            strata.append(_Stratum(held, *estimates))
        except ValueError as error:
            problems.append((held, str(error)))
    total, lost = sum(stratum.units for stratum in strata), sum(units for units, _ in problems)
    if not strata or lost >= _LITTLE * (total + lost):
        raise ValueError(max(problems)[1] if problems else "no epoch has 2 observed units in both variants")
    weights = [stratum.units / total for stratum in strata]
    effect = Effect(
        control=stratified([stratum.control for stratum in strata], weights),
        treatment=stratified([stratum.treatment for stratum in strata], weights),
    )
    return QuantileEffect(effect, _note(lost, max(problems)[1]) if problems else None)


def variant_quantile(values: ValueCounts, q: float, variant: str, where: tuple[str, str]) -> Estimate:
    """One variant's quantile among the units of one value of a dimension, whatever their epochs.

    Raises:
        ValueError: with the reason why it cannot be told.
    """
    return _arm(q, values.by(where[0]).get((variant, where[1]), _NOTHING), variant)


def _arm(q: float, cell: CountedValues, name: str) -> Estimate:
    try:
        return clustered_quantile(q, cell.counts, cell.known)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _note(units: int, why: str) -> str:
    return f"epochs with {units:,} units were left out of this metric: {why}"
