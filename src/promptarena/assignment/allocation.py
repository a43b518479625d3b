"""Variant weights among the enrolled, and the reign (epoch) in which they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from promptarena.assignment.bucketing import POINTS
from promptarena.errors import UsageError

__all__ = ["Allocation", "cut_points"]

_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Allocation:
    """What share of the enrolled each variant gets. Written order does not matter.

    >>> Allocation({"control": 0.8, "treatment": 0.2}).propensity("treatment")
    0.2

    Raises:
        UsageError: a weight that is negative or not finite, a sum that is not 1, a negative epoch.
    """

    weights: Mapping[str, float]
    """By variant, zero or more, summing to 1 (within 1e-9)."""
    epoch: int = 0
    """Which reign this is, counted from 0 within the experiment."""

    def __post_init__(self) -> None:
        weights = dict(self.weights)
        if wrong := {name: w for name, w in weights.items() if not (math.isfinite(w) and w >= 0)}:
            raise UsageError(f"Weights are finite and zero or more; found {wrong}.")
        if abs(math.fsum(weights.values()) - 1) > _TOLERANCE:
            raise UsageError(f"Weights sum to 1; these sum to {math.fsum(weights.values()):.12g}: {weights}.")
        if self.epoch < 0:
            raise UsageError(f"Epochs are counted from 0; found {self.epoch}.")
        object.__setattr__(self, "weights", MappingProxyType(weights))

    def propensity(self, variant: str) -> float:
        """The probability with which an enrolled unit gets this variant.

        Raises:
            KeyError: there is no such variant.
        """
        return self.weights[variant] / math.fsum(self.weights.values())


def cut_points(weights: Sequence[float]) -> tuple[int, ...]:
    """Where one variant's numbers end and the next one's begin: n - 1 of them, for n variants in order.

    Variant k has the numbers from cut k - 1 (0 for the first) up to, and without, cut k (2^64 for the last).
    Cut k is the least number not below 2^64 (w_1 + ... + w_k) / (w_1 + ... + w_n), in exact arithmetic of the
    weights as floats, so that every machine has the same.

    >>> [point / 2**64 for point in cut_points([0.5, 0.25, 0.25])]
    [0.5, 0.75]
    """
    exact = [Fraction(weight) for weight in weights]
    total = sum(exact)
    return tuple(math.ceil(POINTS * sum(exact[:k]) / total) for k in range(1, len(exact)))
