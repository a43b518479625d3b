"""First and second moments of a vector of unit values: the sufficient statistics of everything else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Moments"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count, mean and centred second moments of k values observed together on n units.

    Addable: `a + b` are the moments of the units of both, by the pairwise update of Chan, Golub and LeVeque
    (1983), "Algorithms for computing the sample variance", eq. 2.1. Being centred, they keep their digits
    where raw sums of squares lose all of them (values of 1e6 with a variance of 1/12).
    """

    n: int
    """Units on which all k values were observed."""
    mean: Vector
    """Shape (k,)."""
    comoments: Vector
    """Shape (k, k): sums over units of products of deviations from the mean."""

    @classmethod
    def empty(cls, k: int) -> Moments:
        """The moments of no units: what adding starts from."""
        return cls(0, np.zeros(k), np.zeros((k, k)))

    @classmethod
    def from_values(cls, values: ArrayLike) -> Moments:
        """Moments of an array of shape (n,) or (n, k).

        Raises:
            ValueError: a value is NaN or infinite.
        """
        array = np.asarray(values, dtype=np.float64)
        array = array[:, None] if array.ndim == 1 else array
        if not np.isfinite(array).all():
            raise ValueError("moments are of finite values only")
        if len(array) == 0:
            return cls.empty(array.shape[1])
        mean = array.mean(axis=0)
        deviations = array - mean
        return cls(len(array), mean, deviations.T @ deviations)

    @classmethod
    def from_pivot(cls, n: int, pivot: ArrayLike, sums: ArrayLike, products: ArrayLike) -> Moments:
        """Moments from sums taken about a pivot, as a query returns them.

        Args:
            n: number of units.
            pivot: shape (k,), any value near the mean.
            sums: shape (k,), sums of x - pivot.
            products: shape (k, k), sums of (x_i - pivot_i)(x_j - pivot_j).
        """
        about = np.asarray(pivot, dtype=np.float64)
        if n == 0:
            return cls.empty(len(about))
        shift = np.asarray(sums, dtype=np.float64) / n
        comoments = np.asarray(products, dtype=np.float64) - n * np.outer(shift, shift)
        # Cancellation may leave a variance a few ulps below zero; no sum of squares is.
        np.fill_diagonal(comoments, np.maximum(np.diagonal(comoments), 0.0))
        return cls(n, about + shift, comoments)

    @classmethod
    def total(cls, parts: Iterable[Moments], k: int) -> Moments:
        """The moments of all parts together."""
        result = cls.empty(k)
        for part in parts:
            result = result + part
        return result

    def __add__(self, other: Moments) -> Moments:
        if len(self.mean) != len(other.mean):
            raise ValueError(f"moments of {len(self.mean)} and of {len(other.mean)} values do not add")
        if self.n == 0:
            return other
        if other.n == 0:
            return self
        n = self.n + other.n
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.n / n)
        comoments = self.comoments + other.comoments + np.outer(gap, gap) * (self.n * (other.n / n))
        return Moments(n, mean, comoments)

    def covariance(self) -> Vector:
        """The unbiased sample covariance, shape (k, k).

        Raises:
            ValueError: fewer than two units.
        """
        if self.n < 2:
            raise ValueError(f"a variance needs at least 2 units, not {self.n}")
        return self.comoments / (self.n - 1)

    def variance(self, index: int = 0) -> float:
        """The unbiased sample variance of one of the values."""
        return float(self.covariance()[index, index])

    def select(self, *indices: int) -> Moments:
        """The moments of some of the values."""
        at = list(indices)
        return Moments(self.n, self.mean[at], self.comoments[np.ix_(at, at)])
