"""Quantiles of all values with units as clusters (p95 of latency), from counts alone: two queries, no rows.

Query 1, for each arm (variant, and epoch where there are several; days or segments for merging):
    `bin`, `count`: the number of values in each bin of `LogHistogram`, where a value's bin is

        0                                                             where |x| < 1e-9
        sign(x) * (1 + floor(ln(|x| / 1e-9) / ln(1.002)))             elsewhere

Query 2, with the arm's `cut = LogHistogram.quantile(q)`, first by unit, for units with one value or more:
    `below` = count of the unit's values <= cut,     `rows` = count of the unit's values;
then by arm, the `Moments` of (below, rows): number of units, sums, sums of squares and of products.
    Where the engine has it, also `value`, the exact quantile of the arm's values with linear interpolation
    (`quantile_cont` in DuckDB). Without it the quantile is read off the counts, to some hundredths of its
    error.

The share of values below the cut is a ratio over units, so the delta method gives its error e whatever the
rows of a unit have in common. The quantiles at q - z e and q + z e enclose the quantile (Woodruff 1952,
"Confidence intervals for medians and other position measures"); half their distance over z is its standard
error, which is e over the density there (Deng, Knoblich and Lu 2018, section 4.3). Taking rows for
independent units instead is what makes the usual interval too narrow.

`clustered_counts` has these moments at every bin edge from one query, so that no cut need be fixed first.

Arms become `Estimate`s: compare them with `Effect`, join epochs with `stratified`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptarena.stats.effects import Estimate, ratio_estimate
from promptarena.stats.moments import Moments

__all__ = ["BIN_RATIO", "SMALLEST", "LogHistogram", "bin_edges", "bin_of", "quantile_estimate"]

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

BIN_RATIO: Final = 1.002
"""Upper over lower edge of a bin: fine enough for the window of a quantile's error at any usual n."""
SMALLEST: Final = 1e-9
"""Values nearer to zero than this are zero."""

_REACH: Final = 1.959964
"""Half width of the window that gives the density, in standard errors of the share below."""
_COARSE: Final = 0.05
"""A bin with more of all values than this at the quantile: too few distinct values for a density."""
_NEIGHBOURS: Final = 8
"""Bins on each side that a bin is compared with to tell a lump (rounded values) from a density."""
_LUMP: Final = 3.0
"""How many times its neighbours' mean a lump holds."""
_LUMPS: Final = 2.5
"""A window over lumps reaches over so many of them on each side."""


@dataclass(frozen=True, slots=True, eq=False)
class LogHistogram:
    """Counts of values in bins of equal ratio: 0.2% wide, on both sides of zero. Addable.

    Like the sketch of Masson, Rim and Lee (2019, "DDSketch"), without a limit on the number of bins.
    """

    bins: Indices
    """Shape (k,), ascending, each once."""
    counts: Indices
    """Shape (k,), positive."""

    @classmethod
    def from_counts(cls, bins: ArrayLike, counts: ArrayLike) -> LogHistogram:
        """From a query's rows, in any order; a bin that comes more than once is summed.

        Raises:
            ValueError: lengths differ, or a count is negative.
        """
        index, amount = np.asarray(bins, dtype=np.int64), np.asarray(counts, dtype=np.int64)
        if index.shape != amount.shape or index.ndim != 1 or (amount < 0).any():
            raise ValueError("a histogram has one count of zero or more for each bin")
        unique, at = np.unique(index[amount > 0], return_inverse=True)
        sums = np.zeros(len(unique), dtype=np.int64)
        np.add.at(sums, at, amount[amount > 0])
        return cls(unique, sums)

    @classmethod
    def from_values(cls, values: ArrayLike) -> LogHistogram:
        """From an array that is at hand.

        Raises:
            ValueError: a value is NaN or infinite.
        """
        bins = bin_of(values)
        return cls.from_counts(bins, np.ones(len(bins), dtype=np.int64))

    def __add__(self, other: LogHistogram) -> LogHistogram:
        return LogHistogram.from_counts(
            np.append(self.bins, other.bins), np.append(self.counts, other.counts)
        )

    @property
    def total(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    def quantile(self, q: float) -> float:
        """The value below which a share q lies, values being spread evenly within a bin.

        Raises:
            ValueError: no values, or q outside [0, 1].
        """
        if not 0 <= q <= 1 or self.total == 0:
            raise ValueError(f"a quantile needs values and a share in [0, 1], not {q} of {self.total} values")
        below = np.cumsum(self.counts)
        rank = q * self.total
        at = min(int(np.searchsorted(below, rank, side="left")), len(below) - 1)
        low, high = bin_edges(int(self.bins[at]))
        within = (rank - (below[at] - self.counts[at])) / self.counts[at]
        return low + (high - low) * float(min(max(within, 0.0), 1.0))

    def share(self, bin_index: int) -> float:
        """The share of all values that one bin holds."""
        at = int(np.searchsorted(self.bins, bin_index))
        held = at < len(self.bins) and self.bins[at] == bin_index
        return float(self.counts[at]) / self.total if held else 0.0


def bin_of(values: ArrayLike) -> Indices:
    """The bin of each value, shape (n,); what query 1 computes.

    Raises:
        ValueError: a value is NaN or infinite.
    """
    x = np.asarray(values, dtype=np.float64)
    if not np.isfinite(x).all():
        raise ValueError("a histogram is of finite values only")
    size = np.maximum(np.abs(x), SMALLEST)
    steps = 1 + np.floor(np.log(size / SMALLEST) / math.log(BIN_RATIO))
    return np.where(np.abs(x) < SMALLEST, 0, np.sign(x) * steps).astype(np.int64)


def bin_edges(index: int) -> tuple[float, float]:
    """The values between which a bin lies."""
    if index == 0:
        return -SMALLEST, SMALLEST
    inner, outer = (SMALLEST * BIN_RATIO**power for power in (abs(index) - 1, abs(index)))
    return (inner, outer) if index > 0 else (-outer, -inner)


def quantile_estimate(
    q: float, histogram: LogHistogram, cut: float, counts: Moments, value: float | None = None
) -> Estimate:
    """One arm's q-quantile of all values and its variance, with units as clusters.

    Args:
        q: in (0, 1).
        histogram: of the arm's values.
        cut: where the arm's values were counted; near the quantile, as `histogram.quantile(q)` is.
        counts: moments over units of (values <= cut, values).
        value: the exact sample quantile, where the engine gave it.

    Returns:
        The quantile, with n the units, and units - 1 degrees of freedom.

    Raises:
        ValueError: q outside (0, 1), fewer than two units, too few values beyond the quantile to bound its
            error, or too few distinct values around it.
    """
    if not 0 < q < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not at {q}")
    below = ratio_estimate(counts)
    error = math.sqrt(below.variance)
    if error == 0:
        raise ValueError("every unit has the same share of its values below the cut: no error can be told")
    lump, gap = _lump(histogram, cut, error)
    reach = max(_REACH * error, _LUMPS * lump)
    if not reach < min(q, 1 - q):
        raise ValueError(
            f"too few values beyond quantile {q:g} to bound its error: "
            f"the share of values below it is known to {error:.2g} only"
        )
    inverse_density = (histogram.quantile(q + reach) - histogram.quantile(q - reach)) / (2 * reach)
    if value is None:
        value = cut + (q - below.value) * inverse_density
    # A rounded value is off by up to half the rounding, which no number of units averages out.
    variance = (error * inverse_density) ** 2 + (gap / 2) ** 2
    return Estimate(float(value), variance, counts.n - 1, counts.n)


def _lump(histogram: LogHistogram, cut: float, error: float) -> tuple[float, float]:
    """What rounding there is at the cut: the share of all values in one lump, and the distance between lumps.

    Both are 0 where values lie densely, or where a lump is too small to matter beside the error.
    """
    at = int(histogram.bins[min(np.searchsorted(histogram.bins, bin_of([cut])[0]), len(histogram.bins) - 1)])
    share = histogram.share(at)
    if share > _COARSE:
        raise ValueError(
            f"{share:.0%} of all values lie together at {cut:.6g}, too few distinct values for the error of "
            "a quantile: compare the share of units above a threshold (a rate) instead"
        )
    around = [histogram.share(at + step) for step in range(-_NEIGHBOURS, _NEIGHBOURS + 1) if step]
    if share <= error or share <= _LUMP * float(np.mean(around)):
        return 0.0, 0.0
    middle = _middle(at)
    position = int(np.searchsorted(histogram.bins, at))
    beside = histogram.bins[max(position - 1, 0) : position + 2]
    return share, max(abs(_middle(int(index)) - middle) for index in beside)


def _middle(index: int) -> float:
    low, high = bin_edges(index)
    return (low + high) / 2
