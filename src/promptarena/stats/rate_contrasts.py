"""Counts of events in two arms, and how far the treatment's rate stays on the good side of a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["RateContrast", "RateCounts", "margin_rate_contrast"]

Vector = NDArray[np.float64]

# A mean of ones times their number may come out a few ulps above it.
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class RateCounts:
    """Units with an event, and all units, of two arms in each stratum (epoch)."""

    successes_control: Vector
    """Shape (strata,)."""
    n_control: Vector
    """Shape (strata,)."""
    successes_treatment: Vector
    """Shape (strata,)."""
    n_treatment: Vector
    """Shape (strata,)."""

    @classmethod
    def of(
        cls,
        successes_control: ArrayLike,
        n_control: ArrayLike,
        successes_treatment: ArrayLike,
        n_treatment: ArrayLike,
    ) -> RateCounts:
        """From numbers, or from arrays with one element a stratum.

        Raises:
            ValueError: lengths differ, or not 0 <= successes <= n.
        """
        given = (successes_control, n_control, successes_treatment, n_treatment)
        arrays = [np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in given]
        if any(array.shape != arrays[0].shape or array.ndim != 1 for array in arrays):
            raise ValueError("counts of two arms are numbers, or arrays of one length")
        s_c, n_c, s_t, n_t = arrays
        for successes, n in ((s_c, n_c), (s_t, n_t)):
            if not ((successes >= 0) & (successes <= n * (1 + _ROUNDING)) & np.isfinite(n)).all():
                raise ValueError("counts need 0 <= successes <= n, and a finite n")
        return cls(np.minimum(s_c, n_c), n_c, np.minimum(s_t, n_t), n_t)


@dataclass(frozen=True, slots=True)
class RateContrast:
    """offset + on_treatment p_t + on_control p_c, of the true rates of an arm each."""

    on_treatment: float
    on_control: float
    offset: float

    def value(self, control: float, treatment: float) -> float:
        """The contrast of two rates."""
        return self.offset + self.on_treatment * treatment + self.on_control * control

    @property
    def lowest(self) -> float:
        """The least value that rates in [0, 1] can give it."""
        return self.offset + min(self.on_treatment, 0.0) + min(self.on_control, 0.0)

    @property
    def highest(self) -> float:
        """The greatest value that rates in [0, 1] can give it."""
        return self.offset + max(self.on_treatment, 0.0) + max(self.on_control, 0.0)


def margin_rate_contrast(margin: float, *, relative: bool, higher_is_better: bool) -> RateContrast:
    """g (p_t - p_c) + m, or g (p_t - p_c) + m p_c where relative: below zero is worse than the margin allows.

    >>> margin_rate_contrast(0.1, relative=True, higher_is_better=True).value(0.5, 0.45)
    0.0

    Args:
        margin: in units of the rate, or a fraction of control's rate; zero or more.
        relative: which of the two.
        higher_is_better: g is 1, else -1.

    Raises:
        ValueError: a negative or infinite margin.
    """
    if not 0 <= margin < float("inf"):
        raise ValueError(f"a margin is finite and zero or more, not {margin}")
    good = 1.0 if higher_is_better else -1.0
    if relative:
        return RateContrast(on_treatment=good, on_control=-good + margin, offset=0.0)
    return RateContrast(on_treatment=good, on_control=-good, offset=margin)
