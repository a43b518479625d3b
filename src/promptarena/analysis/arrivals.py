"""What only an event log knows of how units arrived, for the checks of whether a readout may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promptarena.definitions.readout import Check

__all__ = ["Arrivals", "Counts", "EpochWeights", "treatment_share"]

Counts = Mapping[tuple[str, str], int]
"""Units by (variant, epoch)."""
EpochWeights = Mapping[str, Mapping[str, float]]
"""The allocation of each epoch, by variant; not necessarily summing to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Of the units that the verdict is about."""

    weights: EpochWeights
    exposed: Counts
    """All units exposed until now, whether their cohorts have matured or not."""
    crossed: Counts
    """Units of mature cohorts that were later seen in another variant, by their first."""
    checks: tuple[Check, ...] = ()
    """Further ones that make the readout invalid where they fail."""


def treatment_share(weights: Mapping[str, float] | None, control: str, treatment: str) -> float | None:
    """The treatment's weight over that of the two arms; `None` where that is not known, or one has none.

    >>> treatment_share({"control": 0.25, "b": 0.25, "c": 0.5}, "control", "c")
    0.6666666666666666
    """
    if weights is None:
        return None
    treated, untreated = weights.get(treatment, 0.0), weights.get(control, 0.0)
    return treated / (treated + untreated) if treated > 0 and untreated > 0 else None
