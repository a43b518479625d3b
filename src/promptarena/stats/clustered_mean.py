"""The mean of values that share clusters, and how much of their spread is between cases and within them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptarena.stats.effects import Estimate
from promptarena.stats.proportions import cluster_sums

__all__ = ["VarianceParts", "clustered_mean", "variance_parts"]

Vector = NDArray[np.float64]


def clustered_mean(
    values: ArrayLike, clusters: ArrayLike | None = None, weights: ArrayLike | None = None
) -> Estimate:
    """A weighted mean with an error that lets values of one cluster depend on each other.

    var = G / (G - 1) sum_g (sum_i w_i (x_i - m))^2 / (sum_i w_i)^2, with G - 1 degrees of freedom; without
    clusters and weights it is s^2 / n. Of paired differences it is what Miller 2024, "Adding error bars to
    evals" (arXiv:2411.00640), recommends, with the correction for few clusters of Stata and statsmodels
    (Cameron and Miller 2015, J. Human Resources 50(2), section II, with one regressor).

    >>> found = clustered_mean([1, 0, 2, 1])
    >>> found.value, round(found.variance, 6), found.df
    (1.0, 0.166667, 3)

    Args:
        values: shape (n,).
        clusters: shape (n,), what values have in common. None: every value is its own cluster.
        weights: shape (n,), above 0. None: all the same.

    Raises:
        ValueError: fewer than two clusters, a value that is not finite, a weight that is not above 0, shapes
            that differ.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("values are finite numbers, in one dimension")
    if len(array) == 0:
        raise ValueError("an error needs two clusters or more, not 0")
    sums, sizes = cluster_sums(array, clusters, weights)
    count, total = len(sums), float(sizes.sum())
    if count < 2:
        raise ValueError(f"an error needs two clusters or more, not {count}")
    mean = float(sums.sum()) / total
    residuals = sums - mean * sizes
    variance = count / (count - 1) * float(residuals @ residuals) / total**2
    return Estimate(mean, variance, count - 1, len(array))


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """Where the spread of repeated values comes from."""

    between: float
    """Variance of the cases' true values; 0 where the repeats alone explain what is seen."""
    within: float
    """Variance of one repeat about its case's true value."""
    repeated: int
    """Cases with two values or more, on which `within` rests."""


def variance_parts(values: ArrayLike) -> VarianceParts | None:
    """Split the variance of repeated values into that between cases and that between repeats of a case.

    within = sum of squares about the cases' means over its degrees of freedom; between = variance of the
    cases' means - within x mean(1 / repeats), not below 0: the random-effects analysis of variance for
    unequal groups, by unweighted means (Searle, Casella and McCulloch 1992, "Variance components", ch. 3).

    >>> variance_parts([[1.0, 3.0], [5.0, 7.0], [9.0, 11.0]])
    VarianceParts(between=15.0, within=2.0, repeated=3)

    Args:
        values: shape (cases, repeats); NaN where there is none.

    Returns:
        None where no case has two values, or fewer than two cases have one.
    """
    array = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(array)
    counts = known.sum(axis=1)
    array, known, counts = array[counts > 0], known[counts > 0], counts[counts > 0]
    freedom = int((counts - 1).sum())
    if len(counts) < 2 or freedom == 0:
        return None
    means = np.where(known, array, 0.0).sum(axis=1) / counts
    within = float((np.where(known, array - means[:, None], 0.0) ** 2).sum()) / freedom
    between = float(means.var(ddof=1)) - within * float((1 / counts).mean())
    return VarianceParts(max(between, 0.0), within, int((counts > 1).sum()))
