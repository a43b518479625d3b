"""Bounds of the mean of scores in [0, 1] that err no more often than declared, whatever the scores' law.

For a decision: the bounds are exact for yes-or-no answers (Clopper and Pearson's), use the scores' own spread
where they are finer, and take clusters and weights. For an interval that is right on average see
`proportion`.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from promptarena.stats.proportions import cluster_sums

__all__ = ["bounded_mean_bounds"]

Vector = NDArray[np.float64]

_MOST_EXACT: Final = 1000
"""Distinct clusters up to which probabilities are integrated; beyond, the saddlepoint is as good and
quick."""
_STEP: Final = 0.1
_GRID: Final = np.exp(np.arange(-24.0, 20.0, _STEP))


def bounded_mean_bounds(
    scores: ArrayLike,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    alpha: float,
) -> tuple[float, float]:
    """One-sided bounds of a weighted mean of scores in [0, 1], each at error alpha.

    The lower bound is the alpha quantile of sum_g D_g S_g / sum_g D_g n_g with D uniform on the simplex, S_g
    a cluster's weighted sum, n_g its weight, and one more cluster of zeros of the mean weight; the upper
    bound mirrors it with one of ones. Without clusters and weights this is Gaffke's bound; for scores of 0
    and 1 it is Clopper and Pearson's. That it never errs more often than alpha is proven for yes-or-no
    scores, and a conjecture that has stood every attack for others.

    >>> low, high = bounded_mean_bounds([1, 1, 1, 1, 1, 1, 0, 0], alpha=0.025)
    >>> round(low, 4), round(high, 4)
    (0.3491, 0.9681)

    Args:
        scores: shape (n,), each in [0, 1].
        clusters: shape (n,), what scores have in common (a case, a conversation); scores of different
            clusters are independent. None: every score is its own cluster.
        weights: shape (n,), above 0: how much each score counts. None: all the same.
        alpha: in (0, 0.5), the probability that the true mean lies below the lower bound, and that it lies
            above the upper one.

    Raises:
        ValueError: no scores, a score outside [0, 1], a weight that is not above 0, shapes that differ, an
            alpha outside (0, 0.5).

    Source: Gaffke 2005, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a
        nonnegative variable", Mathematical Methods of Statistics 14(4); Learned-Miller and Thomas 2019, "A
        new confidence interval for the mean of a bounded random variable", arXiv:1905.06208.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores are one finite number or more between 0 and 1, in one dimension")
    if not 0 < alpha < 0.5:
        raise ValueError(f"a one-sided error lies between 0 and 0.5, not {alpha}")
    sums, counts = cluster_sums(values, clusters, weights)
    # One cluster has the mean weight 1; rounding must leave no sum beyond its weight.
    sums, counts = np.clip(sums / counts.mean(), 0.0, counts / counts.mean()), counts / counts.mean()
    return _lower(sums, counts, alpha), 1 - _lower(counts - sums, counts, alpha)


def _lower(sums: Vector, counts: Vector, alpha: float) -> float:
    mean = float(sums.sum() / counts.sum())
    if mean <= 1e-15:
        return 0.0
    pairs, times = np.unique(sums + 1j * counts, return_counts=True)
    # The added cluster: all zeros, of the mean weight 1.
    total, weight = np.append(pairs.real, 0.0), np.append(pairs.imag, 1.0)
    multiplicity = np.append(times, 1).astype(np.float64)
    below = _integrated if len(total) <= _MOST_EXACT else _saddlepoint

    def excess(bound: float) -> float:
        return below(total - bound * weight, multiplicity) - alpha

    if excess(mean) <= 0:
        return mean
    reach = 8 * math.sqrt(float(multiplicity @ (total - mean * weight) ** 2)) / float(multiplicity @ weight)
    least = mean - reach if mean > reach and excess(mean - reach) < 0 else 0.0
    return float(brentq(excess, least, mean, xtol=1e-10, rtol=1e-9))


def _integrated(values: Vector, times: Vector) -> float:
    """P(sum_j a_j G_j <= 0) with independent G_j ~ Gamma(times_j): Imhof (1961), Biometrika 48, eq. 3.2."""
    largest = float(values.max())
    if largest <= 0:
        return 1.0
    if float(values.min()) >= 0:
        return 0.0
    scaled = np.outer(_GRID / math.sqrt(float(times @ values**2)), values)
    angle = np.arctan(scaled) @ times
    log_size = np.log1p(scaled**2) @ times / 2
    integral = float((np.sin(angle) * np.exp(-log_size)).sum()) * _STEP
    return min(max(0.5 - integral / math.pi, 0.0), 1.0)


def _saddlepoint(values: Vector, times: Vector) -> float:
    """The same by Lugannani and Rice (1980), Advances in Applied Probability 12: K(s) = -sum log(1 - a s)."""
    largest, least = float(values.max()), float(values.min())
    if largest <= 0:
        return 1.0
    if least >= 0:
        return 0.0

    def slope(s: float) -> float:
        return float(times @ (values / (1 - values * s)))

    edge = 1 - 1e-12
    point = float(brentq(slope, edge / least, edge / largest, xtol=1e-300, rtol=1e-11))
    curvature = float(times @ (values / (1 - values * point)) ** 2)
    log_mgf = -float(times @ np.log1p(-values * point))
    if abs(point) * math.sqrt(curvature) < 1e-6:
        skewness = 2 * float(times @ values**3) / float(times @ values**2) ** 1.5
        return float(0.5 + skewness / (6 * math.sqrt(2 * math.pi)))
    root = math.copysign(math.sqrt(max(-2 * log_mgf, 0.0)), point)
    other = point * math.sqrt(curvature)
    density = math.exp(-(root**2) / 2) / math.sqrt(2 * math.pi)
    below = float(ndtr(root)) + density * (1 / root - 1 / other)
    return min(max(below, 0.0), 1.0)
