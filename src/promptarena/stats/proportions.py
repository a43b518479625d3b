"""The mean of scores in [0, 1], such as a win rate with ties, and an interval that holds near 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

__all__ = ["Proportion", "cluster_codes", "cluster_sums", "normal_quantile", "proportion"]

Vector = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Proportion:
    """The mean of scores in [0, 1] and what is known of it."""

    value: float
    """In [0, 1]."""
    low: float
    """Lower end of the interval, in [0, 1]."""
    high: float
    """Upper end of the interval, in [0, 1]."""
    n: int
    """Scores."""
    clusters: int
    """Independent clusters; equal to `n` where each score stands alone."""
    effective_n: float
    """How many independent yes-or-no answers would tell as much; more than `n` where scores are often 1/2."""

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high


def proportion(
    scores: ArrayLike,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> Proportion:
    """The mean of scores in [0, 1] with Wilson's interval for clustered and fractional scores.

    Wilson's interval is every theta with (p - theta)^2 <= z^2 d theta (1 - theta) / n, where the design
    effect d is the variance of the mean over that of n independent yes-or-no answers: above 1 where the
    scores of a cluster agree, below 1 where scores of 1/2 (ties) are common. d is computed with one more
    cluster of all ones and one of all zeros, so that scores which happen to be all alike do not claim to be
    without error; for independent yes-or-no answers d is exactly 1 and the interval exactly Wilson's.

    >>> audit = proportion([1, 1, 1, 1, 1, 1, 0, 0])
    >>> audit.value, round(audit.low, 2), round(audit.high, 2)
    (0.75, 0.41, 0.93)

    Args:
        scores: shape (n,), each in [0, 1].
        clusters: shape (n,), what scores have in common (a case); scores of different clusters are
            independent. None: every score is its own cluster.
        weights: shape (n,), above 0: how much each score counts. None: all the same.
        confidence: of the two-sided interval, in (0, 1).

    Raises:
        ValueError: no scores, a score outside [0, 1] or not finite, a weight that is not above 0, shapes that
            differ.

    Source: Wilson (1927) for the interval; Franco, Little, Louis and Slud (2019), J. Survey Statistics and
        Methodology 7(3), "modified Wilson" with the effective sample size; the two added clusters after
        Bonett and Price (2012), J. Educational and Behavioral Statistics 37(4).
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError("a proportion needs at least one score, in one dimension")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores are finite numbers between 0 and 1")
    sums, sizes = cluster_sums(values, clusters, weights)
    z2 = normal_quantile(confidence) ** 2
    n, mean = len(values), float(values.mean() if weights is None else sums.sum() / len(values))
    effective = n / _design_effect(sums, sizes)
    centre = (mean + z2 / (2 * effective)) / (1 + z2 / effective)
    variance = mean * (1 - mean) / effective + z2 / (4 * effective**2)
    half = float(np.sqrt(z2 * variance)) / (1 + z2 / effective)
    # The end of the side that has no scores left is exact in theory; rounding must not move it off.
    low = 0.0 if values.max() == 0 else max(centre - half, 0.0)
    high = 1.0 if values.min() == 1 else min(centre + half, 1.0)
    return Proportion(mean, low, high, n, len(sums), effective)


def cluster_sums(
    values: Vector, clusters: ArrayLike | None, weights: ArrayLike | None
) -> tuple[Vector, Vector]:
    """Weighted sums of values, and weights, by cluster; weights scaled to a mean of 1 a value.

    Raises:
        ValueError: a weight that is not above 0, shapes that differ.
    """
    sums, sizes = values, np.ones_like(values)
    if weights is not None:
        sizes = np.asarray(weights, dtype=np.float64)
        if sizes.shape != values.shape or not ((sizes > 0) & np.isfinite(sizes)).all():
            raise ValueError("there is one weight for each score, a finite number above 0")
        sizes = sizes / sizes.mean()
        sums = sizes * values
    if clusters is not None:
        codes = cluster_codes(clusters, len(values))
        sums = np.asarray(np.bincount(codes, weights=sums), dtype=np.float64)
        sizes = np.asarray(np.bincount(codes, weights=sizes), dtype=np.float64)
    return sums, sizes


def cluster_codes(clusters: ArrayLike, n: int) -> Codes:
    """Number clusters 0, 1, 2, ... whatever they are called.

    Raises:
        ValueError: not one cluster for each of the n scores.
    """
    array: NDArray[Any] = np.asarray(clusters)
    if array.shape != (n,):
        raise ValueError(f"clusters have the shape {array.shape}, not ({n},): one for each score")
    return np.unique(array, return_inverse=True)[1].astype(np.intp)


def normal_quantile(confidence: float) -> float:
    """The two-sided normal critical value: 1.96 at 0.95.

    Raises:
        ValueError: a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    return float(ndtri(0.5 + confidence / 2))


def _design_effect(sums: Vector, sizes: Vector) -> float:
    """Variance of the mean over that of independent yes-or-no answers, with the two added clusters."""
    n = float(sizes.sum())
    added = n / len(sizes)
    mean = (float(sums.sum()) + added) / (n + 2 * added)
    residuals = sums - mean * sizes
    squares = float(residuals @ residuals) + (added * (1 - mean)) ** 2 + (added * mean) ** 2
    return squares / ((n + 2 * added) * mean * (1 - mean))
