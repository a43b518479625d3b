"""Counts of values by bin that know which values share a unit: the error of any quantile, from one query.

Let b_u be how many of unit u's values lie below an edge. A quantile's error needs the sums of b and of b^2
over units. The unit's i-th smallest value raises b from i - 1 to i, and so b^2 by 2 i - 1. Hence, with
every value carrying 2 i - 1 and its unit's number of values, running sums over ascending bins are the
sums of b, b^2 and b r at every edge at once: no cut-point has to be chosen before the units are counted, and
the counts of any days, epochs or segments add up to those of all their units.

The order of one unit's values within a bin does not matter, since only edges are asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptarena.stats.effects import Estimate, ratio_estimate
from promptarena.stats.moments import Moments
from promptarena.stats.quantiles import LogHistogram, bin_edges, bin_of, quantile_estimate

__all__ = ["BinValues", "ClusteredCounts", "clustered_quantile"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_LEAST_VALUES: Final = 20
"""Of fewer, each one is a lump: the density at the quantile cannot be told."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusteredCounts:
    """Values counted by the bins of `LogHistogram`, with what their units have in common. Addable."""

    bins: Indices
    """Shape (k,), ascending, each once."""
    counts: Indices
    """Shape (k,), positive: values."""
    units: Indices
    """Shape (k,): units whose least value is here."""
    squares: Indices
    """Shape (k,): sums over values of 2 i - 1, where the value is the i-th smallest of its unit's."""
    products: Indices
    """Shape (k,): sums over values of how many values their unit has."""

    @classmethod
    def from_sums(
        cls, bins: ArrayLike, counts: ArrayLike, units: ArrayLike, squares: ArrayLike, products: ArrayLike
    ) -> ClusteredCounts:
        """From a query's rows, in any order; a bin that comes more than once is summed."""
        unique, at = np.unique(np.asarray(bins, dtype=np.int64), return_inverse=True)
        sums = np.zeros((4, len(unique)), dtype=np.int64)
        for line, column in zip(sums, (counts, units, squares, products), strict=True):
            np.add.at(line, at, np.asarray(column, dtype=np.int64))
        return cls(unique, *sums)

    @classmethod
    def from_values(cls, units: ArrayLike, values: ArrayLike) -> ClusteredCounts:
        """From arrays that are at hand: the unit of each value, and the values, both of shape (n,).

        Raises:
            ValueError: a value is NaN or infinite.
        """
        bins = bin_of(values)
        _, unit, held = np.unique(np.asarray(units), return_inverse=True, return_counts=True)
        order = np.lexsort((bins, unit))
        first = np.cumsum(held) - held
        rank = np.arange(len(bins)) - first[unit[order]]
        return cls.from_sums(
            bins[order], np.ones(len(bins), np.int64), rank == 0, 2 * rank + 1, held[unit[order]]
        )

    def __add__(self, other: ClusteredCounts) -> ClusteredCounts:
        """The counts of the units of both; none may be in both."""
        return ClusteredCounts.from_sums(
            *(np.append(mine, theirs) for mine, theirs in zip(self._columns, other._columns, strict=True))
        )

    @property
    def histogram(self) -> LogHistogram:
        """The values alone."""
        return LogHistogram(self.bins, self.counts)

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @property
    def total_units(self) -> int:
        """Number of units with a value."""
        return int(self.units.sum())

    def below(self, position: int) -> Moments:
        """Moments over units of (values below an edge, values).

        Args:
            position: how many of `bins` lie below the edge, in [0, k].
        """
        # Python's whole numbers: the products of these sums may pass 2^63, and rounding them would cost the
        # variance its digits where units have many values.
        n, b, r = self.total_units, int(self.counts[:position].sum()), self.total
        bb, br = int(self.squares[:position].sum()), int(self.products[:position].sum())
        rr = int(self.products.sum())
        if n == 0:
            return Moments.empty(2)
        cross = (n * br - b * r) / n
        comoments = np.array([[(n * bb - b * b) / n, cross], [cross, (n * rr - r * r) / n]])
        return Moments(n, np.array([b / n, r / n]), comoments)

    def holding(self, rank: int) -> int:
        """The position in `bins` of the value with this rank, counted from 0 in ascending order.

        Raises:
            ValueError: there is no such value.
        """
        if not 0 <= rank < self.total:
            raise ValueError(f"there is no value of rank {rank} among {self.total}")
        return int(np.searchsorted(np.cumsum(self.counts), rank, side="right"))

    @property
    def _columns(self) -> tuple[Indices, ...]:
        return self.bins, self.counts, self.units, self.squares, self.products


@dataclass(frozen=True, slots=True, eq=False)
class BinValues:
    """The values of a few bins, each as often as it comes: what makes a quantile exact."""

    bins: Indices
    """Shape (m,)."""
    values: Array
    """Shape (m,), in any order."""
    counts: Indices
    """Shape (m,)."""

    def within(self, bin_index: int, count: int, rank: int) -> float | None:
        """The value of a rank (from 0) within a bin of `count` values; `None` if not all of them are here."""
        here = self.bins == bin_index
        values, counts = self.values[here], self.counts[here]
        if counts.sum() != count:
            return None
        order = np.argsort(values)
        return float(values[order[np.searchsorted(np.cumsum(counts[order]), rank, side="right")]])


def clustered_quantile(q: float, counts: ClusteredCounts, known: BinValues | None = None) -> Estimate:
    """One arm's q-quantile of all values and its variance, with units as clusters.

    The quantile is the sample's, with linear interpolation between neighbours (Hyndman and Fan 1996, type 7):
    exact where `known` holds both, else off by a bin's width (0.2%) at most. The error is Woodruff's, of
    the share below the nearest edges; see `quantile_estimate`.

    Args:
        q: in (0, 1).
        counts: the arm's values.
        known: the values of some bins.

    Returns:
        The quantile, with n the units, and units - 1 degrees of freedom.

    Raises:
        ValueError: q outside (0, 1), fewer than 20 values or two units, too few values beyond the quantile to
            bound its error, or too few distinct values around it.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not at {q}")
    if counts.total < _LEAST_VALUES:
        raise ValueError(f"{counts.total} values are too few to tell a quantile's error")
    at = min(int(np.searchsorted(np.cumsum(counts.counts), q * counts.total)), len(counts.bins) - 1)
    middle = sum(bin_edges(int(counts.bins[at]))) / 2
    # The share is counted at edges, of which two enclose the quantile. They hardly differ but where many
    # equal values fill the bin, at whose far end there may be nothing left to vary: the larger error holds.
    edges = [counts.below(at), counts.below(at + 1)]
    error = max(edges, key=lambda moments: ratio_estimate(moments).variance)
    return quantile_estimate(q, counts.histogram, middle, error, _sample_quantile(q, counts, known))


def _sample_quantile(q: float, counts: ClusteredCounts, known: BinValues | None) -> float:
    rank = q * (counts.total - 1)
    low = min(math.floor(rank), counts.total - 1)
    high = min(low + 1, counts.total - 1)
    below, above = _value(low, counts, known), _value(high, counts, known)
    return below + (rank - low) * (above - below)


def _value(rank: int, counts: ClusteredCounts, known: BinValues | None) -> float:
    at = counts.holding(rank)
    index, held = int(counts.bins[at]), int(counts.counts[at])
    within = rank - int(counts.counts[:at].sum())
    exact = known.within(index, held, within) if known is not None else None
    if exact is not None:
        return exact
    low, high = bin_edges(index)
    return low + (high - low) * (within + 0.5) / held
