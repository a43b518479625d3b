"""Adjusted p-values where several hypotheses are looked at together."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Method", "adjust", "benjamini_hochberg", "bonferroni", "holm"]

Method = Literal["none", "bonferroni", "holm", "benjamini-hochberg"]
PValues = NDArray[np.float64]


def adjust(p_values: ArrayLike, method: Method) -> PValues:
    """Adjusted p-values, in the order given.

    Raises:
        ValueError: a p-value outside [0, 1], or a method that is not known.
    """
    match method:
        case "none":
            return _checked(p_values)
        case "bonferroni":
            return bonferroni(p_values)
        case "holm":
            return holm(p_values)
        case "benjamini-hochberg":
            return benjamini_hochberg(p_values)
    raise ValueError(f"{method!r} is not an adjustment")


def bonferroni(p_values: ArrayLike) -> PValues:
    """Family-wise error, any dependence: m p (Dunn 1961).

    >>> bonferroni([0.001, 0.020, 0.12, 0.42])
    array([0.004, 0.08 , 0.48 , 1.   ])
    """
    p = _checked(p_values)
    return np.minimum(p * len(p), 1.0)


def holm(p_values: ArrayLike) -> PValues:
    """Family-wise error, any dependence, never weaker than Bonferroni (Holm 1979).

    The k-th smallest of m becomes the running maximum of (m - k + 1) p_(k).

    >>> holm([0.001, 0.020, 0.12, 0.42])
    array([0.004, 0.06 , 0.24 , 0.42 ])
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    return _restore(np.maximum.accumulate(steps), order)


def benjamini_hochberg(p_values: ArrayLike) -> PValues:
    """False discovery rate under independence or positive dependence (Benjamini and Hochberg 1995).

    The k-th smallest of m becomes the running minimum, from the largest down, of m p_(k) / k.

    >>> benjamini_hochberg([0.001, 0.020, 0.12, 0.42])
    array([0.004, 0.04 , 0.16 , 0.42 ])
    """
    p = _checked(p_values)
    order = np.argsort(p, kind="stable")
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _restore(np.minimum.accumulate(steps[::-1])[::-1], order)


def _checked(p_values: ArrayLike) -> PValues:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ValueError("p-values are a list of numbers in [0, 1]")
    return p


def _restore(sorted_values: PValues, order: NDArray[np.intp]) -> PValues:
    result = np.empty_like(sorted_values)
    result[order] = np.minimum(sorted_values, 1.0)
    return result
