"""Whether units arrived in the shares that the allocation promised, and alike in every segment.

All counts may be of several strata (epochs): each is held to its own shares, so that a change of allocation
does not pass for a mismatch, nor hide one.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, gammaln, logsumexp, xlogy

__all__ = [
    "BALANCE_ALPHA",
    "balance_threshold",
    "independence_test",
    "sample_ratio_log_e_value",
    "sample_ratio_test",
]

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

BALANCE_ALPHA: Final = 0.001
"""Probability of a false alarm by all balance tests of one experiment together."""
_LEAST_EXPECTED: Final = 10.0
_LEAST_EXPECTED_IN_TABLES: Final = 5.0
"""Lower than for shares: between arms of equal size, fewer could not reach p < .001 in any case."""
_CONCENTRATIONS: Final = (1e2, 1e3, 1e4, 1e5, 1e6)


def balance_threshold(tests: int, alpha: float = BALANCE_ALPHA) -> float:
    """The p-value below which one of `tests` balance tests is an alarm (Bonferroni); 1 / it for an e-value.

    >>> balance_threshold(4)
    0.00025

    Raises:
        ValueError: no tests.
    """
    if tests < 1:
        raise ValueError(f"a threshold is shared by at least one test, not {tests}")
    return alpha / tests


def sample_ratio_test(counts: ArrayLike, weights: ArrayLike) -> float | None:
    """p-value of the sample ratio, at one look: Pearson's chi-square, summed over strata with their df.

    Cells that are expected to hold fewer than 10 units are pooled with the next larger ones of their stratum:
    at thresholds as small as .001 the chi-square of thinner cells alarms too often.

    >>> round(sample_ratio_test([821588, 815482], [0.5, 0.5]), 8)
    1.82e-06

    Args:
        counts: units, shape (variants,) or (strata, variants).
        weights: the allocation's, not necessarily summing to 1; shape (variants,), or (strata, variants)
            where they differ. A variant of weight zero must not have units: p is then 0.

    Returns:
        In [0, 1]; `None` where there are too few units, or only one variant, to test anything.

    Raises:
        ValueError: negative or infinite counts or weights, shapes that do not fit, no positive weight.

    Source: Fabijan et al. 2019, "Diagnosing sample ratio mismatch in online controlled experiments", KDD.
    """
    units, shares = _counts_and_shares(counts, weights)
    if units[shares == 0].any():
        return 0.0
    statistic, df = 0.0, 0
    for observed, share in zip(units, shares, strict=True):
        expected = share * observed.sum()
        seen, hoped = _pool(observed[share > 0], expected[share > 0])
        if len(seen) < 2:
            continue
        statistic += float(((seen - hoped) ** 2 / hoped).sum())
        df += len(seen) - 1
    return float(chdtrc(df, statistic)) if df else None


def sample_ratio_log_e_value(counts: ArrayLike, weights: ArrayLike) -> float:
    """Evidence against the allocation's shares that may be looked at after every unit.

    In each stratum the likelihood of the variants in order, averaged over Dirichlet(c w) priors around the
    declared shares w, over the likelihood under w itself: B(c w + counts) / (B(c w) prod w^counts). It is a
    martingale where the shares are right, and so is the product over strata: together it exceeds 1 / alpha,
    ever, with probability alpha at most (`anytime_p_value`). Averaged over c = 100, 1e3, ..., 1e6
    (deviations of about .05 to .0005 of an even split), because one c alone is blind to deviations much
    larger or smaller than its own.

    >>> 1 / math.exp(sample_ratio_log_e_value([821588, 815482], [0.5, 0.5])) < BALANCE_ALPHA
    True

    Args:
        counts: as for `sample_ratio_test`, cumulative.
        weights: as for `sample_ratio_test`; each stratum's are fixed before its first unit.

    Returns:
        Natural logarithm of the e-value; infinite where a variant of weight zero has units.

    Raises:
        ValueError: as `sample_ratio_test`.

    Source: Lindon and Malek 2022, "Anytime-valid inference for multinomial count data", NeurIPS,
        with a mixture of concentrations instead of one.
    """
    units, shares = _counts_and_shares(counts, weights)
    if units[shares == 0].any():
        return math.inf
    total = 0.0
    for observed, share in zip(units, shares, strict=True):
        present = share > 0
        logs = [_dirichlet_log_ratio(observed[present], share[present], c) for c in _CONCENTRATIONS]
        total += float(logsumexp(logs)) - math.log(len(logs))
    return total


def independence_test(counts: ArrayLike) -> float | None:
    """p-value that variants are spread alike over the values of a segment, at one look.

    Pearson's chi-square of independence, summed over strata with their degrees of freedom. It needs no
    weights. Values of a stratum with fewer than 5 units expected in some variant are pooled.

    >>> independence_test([[50, 50], [100, 100]])
    1.0

    Args:
        counts: units, shape (variants, values) or (strata, variants, values).

    Returns:
        In [0, 1]; `None` where no stratum has two variants and two (pooled) values.

    Raises:
        ValueError: negative or infinite counts, or another shape.
    """
    tables = np.asarray(counts, dtype=np.float64)
    tables = tables[None] if tables.ndim == 2 else tables
    if tables.ndim != 3 or not (np.isfinite(tables) & (tables >= 0)).all():
        raise ValueError(
            "counts of variants by values are finite and zero or more, in two or three dimensions"
        )
    statistic, df = 0.0, 0
    for table in tables:
        pooled = _pool_values(table[table.sum(axis=1) > 0])
        if min(pooled.shape) < 2:
            continue
        expected = np.outer(pooled.sum(axis=1), pooled.sum(axis=0)) / pooled.sum()
        statistic += float(((pooled - expected) ** 2 / expected).sum())
        df += (pooled.shape[0] - 1) * (pooled.shape[1] - 1)
    return float(chdtrc(df, statistic)) if df else None


def _counts_and_shares(counts: ArrayLike, weights: ArrayLike) -> tuple[Matrix, Matrix]:
    """Both of shape (strata, variants), the shares summing to 1 in each stratum."""
    units = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    given = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if (
        units.ndim != 2
        or given.ndim != 2
        or given.shape[1] != units.shape[1]
        or len(given) not in (1, len(units))
    ):
        raise ValueError(f"weights of shape {given.shape} do not fit counts of shape {units.shape}")
    for name, array in (("counts", units), ("weights", given)):
        if not (np.isfinite(array) & (array >= 0)).all():
            raise ValueError(f"{name} are finite and zero or more")
    totals = given.sum(axis=1, keepdims=True)
    if not (totals > 0).all():
        raise ValueError("some variant must have a positive weight")
    return units, np.broadcast_to(given / totals, units.shape)


def _dirichlet_log_ratio(observed: Vector, share: Vector, concentration: float) -> float:
    prior = concentration * share
    gains = gammaln(prior + observed) - gammaln(prior) - xlogy(observed, share)
    total = float(observed.sum())
    return float(gains.sum() - gammaln(concentration + total) + gammaln(concentration))


def _pool(observed: Vector, expected: Vector) -> tuple[Vector, Vector]:
    """Merge cells, smallest expectation first, until each is expected to hold enough; one cell if none is."""
    order = np.argsort(expected, kind="stable")
    seen, hoped = list(observed[order]), list(expected[order])
    while len(hoped) > 1 and hoped[0] < _LEAST_EXPECTED:
        first_seen, first_hoped = seen.pop(0), hoped.pop(0)
        seen[0] += first_seen
        hoped[0] += first_hoped
        if len(hoped) > 1 and hoped[0] > hoped[1]:
            ranks = np.argsort(hoped, kind="stable")
            seen, hoped = [seen[i] for i in ranks], [hoped[i] for i in ranks]
    return np.array(seen), np.array(hoped)


def _pool_values(table: Matrix) -> Matrix:
    """Merge segment values, rarest first, until the rarest variant is expected often enough in each."""
    if table.size == 0:
        return table
    smallest_share = table.sum(axis=1).min() / table.sum()
    columns = sorted((table[:, i] for i in range(table.shape[1])), key=lambda column: float(column.sum()))
    while len(columns) > 1 and columns[0].sum() * smallest_share < _LEAST_EXPECTED_IN_TABLES:
        columns[1] = columns[0] + columns[1]
        columns = sorted(columns[1:], key=lambda column: float(column.sum()))
    return np.stack(columns, axis=1)
