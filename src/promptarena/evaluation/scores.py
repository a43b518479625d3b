"""Scores of single answers on the axes of a rubric, as arrays over cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AxisScores"]

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AxisScores:
    """One axis over all variants."""

    axis: str
    low: float
    """The lowest level of its scale, such as 1."""
    high: float
    """The highest level, such as 5."""
    values: Mapping[str, Scores]
    """By variant: shape (cases, repeats). Meaningless where not `scored`."""
    scored: Mapping[str, NDArray[np.bool_]]
    """By variant, the same shape. A judgment that could not be read is not scored; it is never 0."""
    asked: Mapping[str, NDArray[np.bool_]] | None = None
    """By variant, the same shape: where there was a judgment, readable or not. None: everywhere."""

    def known(self, variant: str) -> Scores:
        """Shape (cases, repeats): a variant's scores, NaN where there is none."""
        return np.where(self.scored[variant], self.values[variant], np.nan)

    def means(self, variant: str) -> Scores:
        """Shape (cases,): the mean over each case's scored repeats, NaN where there is none."""
        scored = self.scored[variant]
        count = scored.sum(axis=1)
        total = np.where(scored, self.values[variant], 0.0).sum(axis=1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def unscored(self, variant: str) -> int:
        """Judgments of a variant that could not be read."""
        missing = ~self.scored[variant]
        return int(missing.sum() if self.asked is None else (missing & self.asked[variant]).sum())
