"""Whether a judge may be trusted: a decision by the bounds of its agreement, and its bias by variant.

A judge that errs alike for all variants blurs a comparison; one that errs in favour of a variant decides it.
So agreement alone is not enough: the bias is tested between variants.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc

from promptarena.stats.proportions import cluster_codes, normal_quantile

__all__ = ["Bias", "BiasByVariant", "Trust", "bias_by_variant", "decide_trust", "labels_needed"]

Vector = NDArray[np.float64]

_MOST_LABELS: Final = 100_000


class Trust(StrEnum):
    """What an audit says of a judge."""

    ENABLE = "enable"
    """Shown to agree with people as often as was asked."""
    RECALIBRATE = "recalibrate"
    """Not shown to, or shown not to."""


def decide_trust(low: float | None, threshold: float) -> Trust:
    """Enable a judge only where the lower bound of its agreement reaches the declared threshold.

    The estimate itself decides nothing: 6 of 8 against a policy of 80% is far from settled, and 8 of 8 is not
    yet 80% either.

    >>> from promptarena.stats.agreement import raw_agreement
    >>> audit = raw_agreement(list("aaaabbbb"), list("aaabbbba"))
    >>> round(audit.value, 2), round(audit.low, 2), round(audit.high, 2), str(decide_trust(audit.low, 0.8))
    (0.75, 0.41, 0.93, 'recalibrate')

    Args:
        low: lower end of the agreement's interval; `None` where it is not known.
        threshold: what was declared.

    Raises:
        ValueError: a threshold outside (-1, 1).
    """
    if not -1 < threshold < 1:
        raise ValueError(f"an agreement to ask for lies below 1, not at {threshold}")
    return Trust.ENABLE if low is not None and low >= threshold else Trust.RECALIBRATE


def labels_needed(agreement: float, threshold: float, *, confidence: float = 0.95) -> int | None:
    """About how many labels would show an agreement that stays as it is.

    Wilson's lower bound is at the threshold t where (p - t)^2 n = z^2 t (1 - t).

    >>> labels_needed(0.9, 0.8), labels_needed(0.8, 0.8)
    (62, None)

    Args:
        agreement: as found, a share.
        threshold: what was declared, in (0, 1).
        confidence: of the two-sided interval.

    Returns:
        `None` where no number would, the agreement being no higher than the threshold, or more than a hundred
        thousand.

    Source: Wilson (1927), J. American Statistical Association 22.
    """
    if agreement <= threshold:
        return None
    z2 = normal_quantile(confidence) ** 2
    needed = math.ceil(z2 * threshold * (1 - threshold) / (agreement - threshold) ** 2)
    return needed if needed <= _MOST_LABELS else None


@dataclass(frozen=True, slots=True)
class Bias:
    """Judge minus human, on average."""

    value: float
    """In the unit of the scores; above 0 the judge is kinder than people."""
    standard_error: float | None
    """Clustered by case; `None` with fewer than two cases, or where nothing varies."""
    low: float | None
    high: float | None
    items: int


@dataclass(frozen=True, slots=True)
class BiasByVariant:
    """A judge's bias for each variant, and whether it is the same for all."""

    overall: Bias
    variants: dict[Hashable, Bias]
    p_value: float | None
    """Of one bias for all; `None` with one variant, with too few cases, or where nothing varies."""
    cases: int


def bias_by_variant(
    judge: ArrayLike,
    human: ArrayLike,
    variants: ArrayLike,
    cases: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
) -> BiasByVariant:
    """Mean of judge - human by variant, and the test that it does not depend on the variant.

    With b the biases and V their covariance over C cases (the answers of all k variants to one case depend on
    one another), T^2 = (L b)' (L V L')^-1 (L b) over the k - 1 differences, and (C - k + 1) T^2 / ((k - 1)
    (C - 1)) is F with k - 1 and C - k + 1 degrees of freedom: Hotelling's T^2 exactly where every case has
    every variant and differences are normal, and the paired t-test where there are two variants.

    >>> found = bias_by_variant([5, 3, 4, 3, 5, 4], [4, 3, 3, 3, 4, 4], list("tctctc"), [1, 1, 2, 2, 3, 3])
    >>> round(found.variants["t"].value, 3), round(found.variants["c"].value, 3)
    (1.0, 0.0)

    Args:
        judge: shape (n,), the judge's scores.
        human: shape (n,), people's of the same answers.
        variants: shape (n,), whose answers they are.
        cases: shape (n,), of which case; `None`: each answer stands alone.
        confidence: of the intervals, which are normal.

    Raises:
        ValueError: nothing to compare, shapes that differ, or values that are not finite.

    Source: Hotelling (1931), Annals of Mathematical Statistics 2(3); Anderson (2003), "An introduction to
        multivariate statistical analysis", section 5.2.
    """
    difference = np.asarray(judge, dtype=np.float64) - np.asarray(human, dtype=np.float64)
    n = len(difference) if difference.ndim == 1 else 0
    if n == 0 or not np.isfinite(difference).all():
        raise ValueError("a bias needs judge and human scores of the same answers, finite and at least one")
    names, column = np.unique(np.asarray(variants), return_inverse=True)
    if column.shape != difference.shape:
        raise ValueError("every answer has one variant")
    case = np.arange(n) if cases is None else cluster_codes(cases, n)
    count = int(case.max()) + 1
    sums, sizes = np.zeros((count, len(names))), np.zeros((count, len(names)))
    np.add.at(sums, (case, column), difference)
    np.add.at(sizes, (case, column), 1.0)
    biases, influence = _ratio(sums, sizes)
    overall, whole = _ratio(sums.sum(axis=1, keepdims=True), sizes.sum(axis=1, keepdims=True))
    z = normal_quantile(confidence)
    return BiasByVariant(
        overall=_bias(float(overall[0]), whole[:, 0], n, z),
        variants={
            name: _bias(float(biases[at]), influence[:, at], int(sizes[:, at].sum()), z)
            for at, name in enumerate(names.tolist())
        },
        p_value=_same_for_all(biases, influence),
        cases=count,
    )


def _ratio(sums: Vector, sizes: Vector) -> tuple[Vector, Vector]:
    """Means, shape (k,), and each case's influence on them, shape (cases, k)."""
    totals = sizes.sum(axis=0)
    means = sums.sum(axis=0) / totals
    return means, (sums - means * sizes) / totals


def _bias(value: float, influence: Vector, items: int, z: float) -> Bias:
    cases = int((influence != 0).sum())
    if cases < 2:
        return Bias(value, None, None, None, items)
    error = math.sqrt(len(influence) / (len(influence) - 1) * float(influence @ influence))
    return Bias(value, error, value - z * error, value + z * error, items)


def _same_for_all(biases: Vector, influence: Vector) -> float | None:
    cases, k = influence.shape
    if k < 2 or cases <= k:
        return None
    contrasts = biases[1:] - biases[0]
    moved = influence[:, 1:] - influence[:, :1]
    covariance = cases / (cases - 1) * moved.T @ moved
    if np.linalg.matrix_rank(covariance) < k - 1:
        return None
    squared = float(contrasts @ np.linalg.solve(covariance, contrasts))
    df = cases - k + 1
    return float(fdtrc(k - 1, df, squared * df / ((k - 1) * (cases - 1))))
