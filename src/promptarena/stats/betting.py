"""Exact sequences for the mean of values in [0, 1] that arrive one by one, in an order fixed beforehand.

A gambler bets on each next value that the mean is above m; if it is not, the wealth is a supermartingale
and ever exceeds 1 / alpha with probability alpha at most. Nothing is asked of the values but that each has
the same mean given those before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from promptarena.stats.line_crossing import crossing_distance, crossing_rate

__all__ = ["log_wealth_above", "log_wealth_below", "mean_bounds"]

Vector = NDArray[np.float64]

_LARGEST: Final = 0.5
_LARGEST_PLANNED: Final = 0.75
"""Of the wealth, on one value. The greater decides small planned duels sooner; without a plan, whose early
stakes are high anyway, it loses power (.64 instead of .81 in the example of `log_wealth_above`)."""
_SLOPE: Final = 0.75
"""Of a planned gambler's line, in standard deviations of the whole sum a whole run: 0 has the most power at
the end (O'Brien and Fleming's shape), more decides sooner."""
_GRID: Final = np.linspace(0.0, 1.0, 65)


def log_wealth_above(scores: ArrayLike, mean: float, *, alpha: float, planned: int | None = None) -> Vector:
    """Log wealth, after each score, of a gambler who bets that the mean is above `mean`.

    The wealth is the product of 1 + min(l_i, b / mean) (x_i - mean), with v_i the variance estimated from the
    scores before i. Without a plan l_i = sqrt(2 log(1 / alpha) / (v_i i log(i + 1))) and b = 1/2, which keeps
    gaining for ever.

    Of n planned scores the gambler stakes what makes the wealth follow, over alpha, the chance under the null
    that the sum of x - mean will meet a line by the end: 1 at first, 1 / alpha on the line. With the sum's
    distance d_i from the line and r_i = 1 - (i - 1) / n of the run left, l_i is - (d log P(d_i, r_i) / d d_i)
    over sqrt(v_i n), and b = 3/4 (see `line_crossing`). Any stakes that rest on what came before are valid:
    only power depends on how like a Brownian motion the sum is, and after n scores little of it is left.

    With 200 scores, each 1 with probability .65, at alpha .025: power .98 after on average 45% of the scores
    when planned, .81 after 51% when not; the fixed test has .99.

    Stop and decide that the mean is above where any element reaches log(1 / alpha). The wealth depends on the
    order: it must not depend on the scores (such as the order in which answers happened to be ready).

    >>> wealth = log_wealth_above([1.0] * 20, 0.5, alpha=0.025, planned=20)
    >>> int((wealth >= math.log(1 / 0.025)).argmax()) + 1
    7

    Args:
        scores: shape (n,), each in [0, 1], in the order they were taken.
        mean: the null, in [0, 1): the true mean is at most this.
        alpha: error over all looks together, of this side.
        planned: how many scores there will be at most; `None` where that is not known.

    Returns:
        Shape (n,).

    Raises:
        ValueError: a score outside [0, 1], a mean outside [0, 1), an alpha outside (0, 1), or `planned`
            below 1.

    Source: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS-B
        86(1) (arXiv:2010.09686), hedged capital: Theorem 3, without a plan with its predictable plug-in bets.
        The planned stakes are ours: the test martingale of a sequential test of Brownian motion.
    """
    values = _scores(scores)
    if not 0 <= mean < 1:
        raise ValueError(f"a null mean below the scores' bound is in [0, 1), not {mean}")
    return _gambler(values, alpha, planned)(mean)


def log_wealth_below(scores: ArrayLike, mean: float, *, alpha: float, planned: int | None = None) -> Vector:
    """As `log_wealth_above`, of a gambler who bets that the mean is below `mean`, in (0, 1].

    Raises:
        ValueError: as `log_wealth_above`.
    """
    return log_wealth_above(1 - _scores(scores), 1 - mean, alpha=alpha, planned=planned)


def mean_bounds(scores: ArrayLike, *, alpha: float, planned: int | None = None) -> tuple[float, float]:
    """Two-sided 1 - alpha bounds of the mean that hold at every look together: hedged capital.

    Each side is the first mean against which a gambler with alpha / 2 has never been at 2 / alpha. Together
    the two sides are wrong, ever, with probability alpha at most.

    >>> low, high = mean_bounds([1, 1, 0.75, 1, 0.5, 1, 0, 1, 1, 1] * 5, alpha=0.05, planned=50)
    >>> round(low, 3), round(high, 3)
    (0.676, 0.9)

    Args:
        scores: shape (n,), each in [0, 1], in the order they were taken; may be empty.
        alpha: of the interval; use twice the error where only one of its ends is looked at.
        planned: as for `log_wealth_above`.

    Returns:
        (low, high), in [0, 1]; (0, 1) where there is no evidence.

    Raises:
        ValueError: as `log_wealth_above`.
    """
    values = _scores(scores)
    low = _lower_bound(values, alpha / 2, planned)
    return low, 1 - _lower_bound(1 - values, alpha / 2, planned)


def _lower_bound(values: Vector, alpha: float, planned: int | None) -> float:
    if len(values) == 0:
        return 0.0
    target, log_wealth = math.log(1 / alpha), _gambler(values, alpha, planned)

    def excess(mean: float) -> float:
        return float(log_wealth(mean).max()) - target

    # Nobody gains by betting that a mean is above 1, so the wealth there is below its start.
    last = 0.0
    for mean in _GRID.tolist():
        if excess(mean) <= 0:
            return 0.0 if mean == 0 else float(brentq(excess, last, mean, xtol=1e-12))
        last = mean
    raise AssertionError("a mean above 1 cannot be believed")


def _gambler(values: Vector, alpha: float, planned: int | None) -> Callable[[float], Vector]:
    """The log wealth, after each value, of who bets that the mean is above one that is still to be said."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie strictly between 0 and 1, not {alpha}")
    if planned is not None and planned < 1:
        raise ValueError(f"at least one score is planned, not {planned}")
    largest = _LARGEST if planned is None else _LARGEST_PLANNED
    stakes = _open_stakes(values, alpha) if planned is None else _planned_stakes(values, alpha, planned)

    def log_wealth(mean: float) -> Vector:
        limited = np.minimum(stakes(mean), largest / mean) if mean > 0 else stakes(mean)
        wealth: Vector = np.cumsum(np.log1p(limited * (values - mean)))
        return wealth

    return log_wealth


def _open_stakes(values: Vector, alpha: float) -> Callable[[float], Vector]:
    """One stake a value, each from the values before it only, shape (n,); the same against every mean."""
    counts = np.arange(1, len(values) + 1)
    stakes: Vector = np.sqrt(
        2 * math.log(1 / alpha) / (_variances_before(values) * counts * np.log(counts + 1))
    )
    return lambda _: stakes


def _planned_stakes(values: Vector, alpha: float, planned: int) -> Callable[[float], Vector]:
    """The same for a gambler who makes for a line, which lies elsewhere for every mean."""
    taken = np.arange(len(values)) / planned
    left = np.maximum(1 - taken, 1 / planned)
    unit = np.sqrt(_variances_before(values) * planned)
    line = crossing_distance(alpha, _SLOPE) + _SLOPE * taken

    def stakes(mean: float) -> Vector:
        gained = np.concatenate([[0.0], np.cumsum(values - mean)])[: len(values)] / unit
        return crossing_rate(np.maximum(line - gained, 0.0), _SLOPE, left) / unit

    return stakes


def _variances_before(values: Vector) -> Vector:
    """Of the values before each, as if there had been a deviation of 1/2 at first; shape (n,)."""
    counts = np.arange(2, len(values) + 2)
    means = (0.5 + np.cumsum(values)) / counts
    variances = (0.25 + np.cumsum((values - means) ** 2)) / counts
    return np.concatenate([[0.25], variances[:-1]])[: len(values)]


def _scores(scores: ArrayLike) -> Vector:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores are numbers in [0, 1], in one dimension")
    return values
