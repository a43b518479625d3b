"""Agreement of raters over the same items: raw, Cohen's kappa, Fleiss' kappa and Krippendorff's alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptarena.stats.proportions import Proportion, cluster_codes, normal_quantile, proportion

__all__ = [
    "Agreement",
    "Level",
    "Weights",
    "cohen_kappa",
    "fleiss_kappa",
    "krippendorff_alpha",
    "raw_agreement",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Weights = Literal["unweighted", "linear", "quadratic"]
Level = Literal["nominal", "ordinal", "interval"]

_NEVER_DIFFERENT: Final = "every label is the same, so agreement beyond chance is not defined"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement beyond chance: 1 is perfect, 0 is what chance gives, below 0 is worse than chance."""

    value: float
    standard_error: float | None
    """None where the data do not tell it: no item disagrees, or all disagreement hangs on one item."""
    low: float | None
    """Lower end of the interval, at least -1; None with the error."""
    high: float | None
    """Upper end, at most 1."""
    items: int


def raw_agreement(
    first: ArrayLike, second: ArrayLike, cases: ArrayLike | None = None, *, confidence: float = 0.95
) -> Proportion:
    """The share of items with the same label from both raters, with Wilson's interval.

    >>> raw_agreement(["a", "b", "a", "a"], ["a", "b", "b", "a"]).value
    0.75

    Args:
        first: shape (n,), one rater's labels.
        second: shape (n,), the other's.
        cases: shape (n,), what items have in common. None: nothing.
        confidence: of the interval.

    Raises:
        ValueError: no items, or shapes that differ.
    """
    one, other = _pair(first, second)
    return proportion((one == other).astype(np.float64), cases, confidence=confidence)


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    cases: ArrayLike | None = None,
    *,
    weights: Weights = "unweighted",
    confidence: float = 0.95,
) -> Agreement:
    """Cohen's kappa of two raters, (p_o - p_e) / (1 - p_e), with its large-sample error.

    Weighted kappa gives an item |i - j| steps apart the credit 1 - |i - j| / (k - 1) (linear) or the same
    with squares (quadratic), the categories being what occurs, in sorted order. The error is the delta
    method's: for independent items exactly that of Fleiss, Cohen and Everitt (1969); with `cases` the
    items' influences are added up within a case first.

    >>> kappa = cohen_kappa([1, 1, 2, 2, 1, 2], [1, 1, 2, 1, 1, 2])
    >>> round(kappa.value, 4)
    0.6667

    Args:
        first: shape (n,), one rater's labels (numbers for weighted kappa, in their order).
        second: shape (n,), the other's.
        cases: shape (n,), what items have in common. None: nothing.
        weights: credit for near misses.
        confidence: of the interval, which is value +- z error, cut at -1 and 1.

    Raises:
        ValueError: no items, shapes that differ, or one label only.

    Source: Cohen (1960) and (1968); Fleiss, Cohen and Everitt (1969), Psychological Bulletin 72(5), eq. 13
        for the error, of which that of unweighted kappa is a case.
    """
    one, other = _pair(first, second)
    categories, codes = np.unique(np.concatenate([one, other]), return_inverse=True)
    k, n = len(categories), len(one)
    if k < 2:
        raise ValueError(_NEVER_DIFFERENT)
    i, j = codes[:n], codes[n:]
    credit = _credit(k, weights)
    rows, columns = np.bincount(i, minlength=k) / n, np.bincount(j, minlength=k) / n
    observed = float(credit[i, j].mean())
    by_chance = float(rows @ credit @ columns)
    value = (observed - by_chance) / (1 - by_chance)
    chance_of_item = (credit @ columns)[i] + (rows @ credit)[j] - 2 * by_chance
    influence = ((credit[i, j] - observed) * (1 - by_chance) - chance_of_item * (1 - observed)) / (
        1 - by_chance
    ) ** 2
    clusters = np.arange(n) if cases is None else cluster_codes(cases, n)
    error = float(np.sqrt((np.bincount(clusters, weights=influence) ** 2).sum())) / n
    return _agreement(value, error, n, confidence)


def fleiss_kappa(counts: ArrayLike, *, confidence: float = 0.95) -> Agreement:
    """Fleiss' kappa of the same number of raters on every item, who need not be the same people.

    The error treats items as the sample (delta method over items); Fleiss' own, of 1971, holds only where the
    true kappa is 0.

    Args:
        counts: shape (n, k), how many raters gave item i the category j; every row sums to the same m >= 2.
        confidence: of the interval.

    Raises:
        ValueError: rows that sum to different numbers or to less than 2, or one category only.

    Source: Fleiss (1971), Psychological Bulletin 76(5), eqs. 3 to 7; items as the sample after Schouten
        (1980), Statistica Neerlandica 34(1).
    """
    table = _counts(counts)
    raters = table.sum(axis=1)
    if raters[0] < 2 or (raters != raters[0]).any():
        raise ValueError("Fleiss' kappa needs the same number of raters, two or more, on every item")
    m, n = float(raters[0]), len(table)
    shares = table / m
    margins = shares.mean(axis=0)
    by_chance = float(margins @ margins)
    if by_chance >= 1:
        raise ValueError(_NEVER_DIFFERENT)
    agreeing = ((table**2).sum(axis=1) - m) / (m * (m - 1))
    observed = float(agreeing.mean())
    value = (observed - by_chance) / (1 - by_chance)
    chance_of_item = 2 * (shares @ margins - by_chance)
    influence = ((agreeing - observed) * (1 - by_chance) - chance_of_item * (1 - observed)) / (
        1 - by_chance
    ) ** 2
    return _agreement(value, float(np.sqrt(influence @ influence)) / n, n, confidence)


def krippendorff_alpha(
    ratings: ArrayLike, *, level: Level = "nominal", confidence: float = 0.95
) -> Agreement:
    """Krippendorff's alpha, 1 - D_o / D_e, of any number of raters with ratings missing where they will.

    The error is the jackknife's over items.

    Args:
        ratings: shape (n, m), numbers (codes for nominal labels), NaN where rater j did not rate item i.
            Items with fewer than two ratings are left out.
        level: how far apart two values are: `nominal` (different or not), `ordinal` (ranks between),
            `interval` (squared difference).
        confidence: of the interval.

    Raises:
        ValueError: fewer than two items with two ratings, one value only, or infinite ratings.

    Source: Krippendorff (2011), "Computing Krippendorff's alpha-reliability"; Efron and Stein (1981) for the
        jackknife.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or np.isinf(table).any():
        raise ValueError("ratings are a table of items by raters: finite numbers, NaN where there is none")
    table = table[(~np.isnan(table)).sum(axis=1) >= 2]
    if len(table) < 2:
        raise ValueError("Krippendorff's alpha needs two items that two raters rated")
    values = np.unique(table[~np.isnan(table)])
    counts = (table[:, :, None] == values).sum(axis=1).astype(np.float64)
    per_item = _coincidences(counts)
    total = per_item.sum(axis=0)
    n, value = len(table), _alpha(total, values, level)
    if value is None:
        raise ValueError(_NEVER_DIFFERENT)
    without = [_alpha(total - item, values, level) for item in per_item]
    known = np.array([each for each in without if each is not None])
    if len(known) < n or np.trace(total) == total.sum():
        return Agreement(value, None, None, None, n)
    error = float(np.sqrt((n - 1) / n * ((known - known.mean()) ** 2).sum()))
    return _agreement(value, error, n, confidence)


def _coincidences(counts: Matrix) -> NDArray[np.float64]:
    """Shape (n, k, k): each item's pairs of values, an item with m ratings having m of them in all."""
    pairs = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(counts.shape[1])
    pairs[:, diagonal, diagonal] -= counts
    return np.asarray(pairs / (counts.sum(axis=1) - 1)[:, None, None], dtype=np.float64)


def _alpha(coincidences: Matrix, values: Vector, level: Level) -> float | None:
    """None where the items hold one value only."""
    margins = coincidences.sum(axis=1)
    n = float(margins.sum())
    distance = _distance(values, margins, level)
    expected = float(margins @ distance @ margins) / (n * (n - 1))
    return 1 - float((coincidences * distance).sum()) / n / expected if expected > 0 else None


def _distance(values: Vector, margins: Vector, level: Level) -> Matrix:
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    if level == "ordinal":
        middle = np.cumsum(margins) - margins / 2
        return np.asarray((middle[:, None] - middle[None, :]) ** 2, dtype=np.float64)
    return np.asarray((values[:, None] - values[None, :]) ** 2, dtype=np.float64)


def _credit(k: int, weights: Weights) -> Matrix:
    apart = np.abs(np.arange(k)[:, None] - np.arange(k)[None, :]) / (k - 1)
    if weights == "unweighted":
        return np.eye(k)
    return np.asarray(1.0 - (apart if weights == "linear" else apart**2), dtype=np.float64)


def _agreement(value: float, error: float, items: int, confidence: float) -> Agreement:
    z = normal_quantile(confidence)
    if value == 1:
        return Agreement(value, None, None, None, items)
    return Agreement(value, error, max(value - z * error, -1.0), min(value + z * error, 1.0), items)


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    one, other = np.asarray(first), np.asarray(second)
    if one.ndim != 1 or one.shape != other.shape or len(one) == 0:
        raise ValueError("agreement is of two raters' labels on the same items, at least one")
    for labels in (one, other):
        if np.issubdtype(labels.dtype, np.floating) and not np.isfinite(labels).all():
            raise ValueError("labels are not NaN or infinite")
    return one, other


def _counts(counts: ArrayLike) -> Matrix:
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or len(table) == 0 or not (np.isfinite(table) & (table >= 0)).all():
        raise ValueError("counts are a table of items by categories, of finite numbers of zero or more")
    return table
