"""Scores of single answers on the axes of a rubric, as arrays over cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["AxisScores"]


@dataclass(frozen=True, slots=True)
class AxisScores:
    """One axis over all variants."""

    axis: str
    low: float
    """The lowest level of its scale, such as 1."""
    high: float
    """The highest level, such as 5."""
    values: Mapping[str, NDArray[np.float64]]
    """By variant: shape (cases, repeats). Meaningless where not `scored`."""
    scored: Mapping[str, NDArray[np.bool_]]
    """By variant, the same shape. A judgment that could not be read is not scored; it is never 0."""
