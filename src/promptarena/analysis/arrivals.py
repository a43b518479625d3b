"""What only an event log knows of how units arrived, for the checks of whether a readout may be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from promptarena.definitions.readout import Check

__all__ = ["Arrivals", "Counts"]

Counts = Mapping[tuple[str, str], int]
"""Units by (variant, epoch)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """Of the units that the verdict is about."""

    weights: Mapping[str, Mapping[str, float]]
    """The allocation of each epoch, by variant; not necessarily summing to 1."""
    exposed: Counts
    """All units exposed until now, whether their cohorts have matured or not."""
    crossed: Counts
    """Units of mature cohorts that were later seen in another variant, by their first."""
    checks: tuple[Check, ...] = ()
    """Further ones that make the readout invalid where they fail."""
