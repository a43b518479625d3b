"""Whether longer answers win, and what the win rate would be if all answers were of one length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, stdtr, stdtrit

from promptarena.stats.proportions import cluster_codes

__all__ = ["LengthControl", "length_control"]

Vector = NDArray[np.float64]

_MOST_STEPS: Final = 100
_LARGEST: Final = 30.0
"""Log-odds beyond which a coefficient is running away: the lengths tell wins and losses apart."""


@dataclass(frozen=True, slots=True)
class LengthControl:
    """The fit of logit P(win) = strength + effect tanh(d / s), d the difference of lengths, s its
    deviation."""

    strength: float
    """Log-odds of winning between answers of one length."""
    effect: float
    """Added log-odds for a much longer answer."""
    covariance: NDArray[np.float64]
    """Shape (2, 2), of both, clustered by case."""
    clusters: int

    @property
    def win_rate(self) -> float:
        """Between answers of one length."""
        return float(expit(self.strength))

    def win_rate_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Of `win_rate`: Student's interval of the log-odds, carried over, so that it stays within [0, 1]."""
        low, high = self._interval(self.strength, 0, confidence)
        return float(expit(low)), float(expit(high))

    def effect_interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Of `effect`."""
        return self._interval(self.effect, 1, confidence)

    def effect_p_value(self) -> float:
        """Two-sided, of no effect of length."""
        error = math.sqrt(self.covariance[1, 1])
        return 2 * float(stdtr(self.clusters - 2, -abs(self.effect) / error))

    def _interval(self, value: float, at: int, confidence: float) -> tuple[float, float]:
        if not 0 < confidence < 1:
            raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
        critical = float(stdtrit(self.clusters - 2, 0.5 + confidence / 2))
        reach = critical * math.sqrt(self.covariance[at, at])
        return value - reach, value + reach


def length_control(
    scores: ArrayLike,
    length_differences: ArrayLike,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> LengthControl | None:
    """Fit a logistic regression of who won on which answer was longer.

    It is the regression behind length-controlled AlpacaEval for a single pair of variants, without the term
    of the instructions' difficulty, which takes many pairs to learn, and without shrinkage. A tie is half a
    win (quasi-likelihood), so the errors are the sandwich's: they do not take a score for a yes-or-no answer,
    and they carry the uncertainty of both parameters, clustered by case.

    >>> found = length_control([1, 1, 0, 1, 0, 1, 0, 0], [90, 60, -40, 80, 20, -10, -70, -50])
    >>> found is not None and found.effect > 0
    True

    Args:
        scores: shape (n,), in [0, 1]: 1 won, 1/2 tie, 0 lost.
        length_differences: shape (n,), the answer's length less the other's, in any unit.
        clusters: shape (n,), what scores have in common. None: nothing.
        weights: shape (n,), above 0. None: all the same.

    Returns:
        None where there is no fit: fewer than four clusters, lengths that never differ, or lengths that tell
        wins and losses apart without error, so that their effect has no bound.

    Raises:
        ValueError: scores outside [0, 1], a length that is not finite, a weight not above 0, shapes that
            differ.

    Source: Dubois, Galambosi, Liang and Hashimoto 2024, "Length-controlled AlpacaEval: a simple way to debias
        automatic evaluators", arXiv:2404.04475, section 3; errors: Liang and Zeger 1986, Biometrika 73(1),
        with G / (G - 1) for G clusters.
    """
    won, apart = np.asarray(scores, dtype=np.float64), np.asarray(length_differences, dtype=np.float64)
    if won.ndim != 1 or won.shape != apart.shape or not ((won >= 0) & (won <= 1)).all():
        raise ValueError("there is a score between 0 and 1 and a difference of lengths for each")
    if not np.isfinite(apart).all():
        raise ValueError("differences of lengths are finite numbers")
    weight = np.ones_like(won) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != won.shape or not ((weight > 0) & np.isfinite(weight)).all():
        raise ValueError("there is one weight for each score, a finite number above 0")
    codes = np.arange(len(won)) if clusters is None else cluster_codes(clusters, len(won))
    count = int(codes.max(initial=-1)) + 1
    spread = float(apart.std()) if len(apart) else 0.0
    if count < 4 or spread == 0:
        return None
    design = np.column_stack([np.ones_like(apart), np.tanh(apart / spread)])
    fitted = _fit(design, won, weight / weight.mean())
    if fitted is None:
        return None
    coefficients, bread = fitted
    residuals = (weight / weight.mean() * (won - expit(design @ coefficients)))[:, None] * design
    gradients = np.column_stack([np.bincount(codes, weights=column) for column in residuals.T])
    covariance = bread @ (gradients.T @ gradients) @ bread * (count / (count - 1))
    if covariance[0, 0] <= 0 or covariance[1, 1] <= 0:
        return None
    return LengthControl(float(coefficients[0]), float(coefficients[1]), covariance, count)


def _fit(design: Vector, won: Vector, weight: Vector) -> tuple[Vector, Vector] | None:
    """Newton's method with step halving; and the inverse information there."""
    coefficients = np.zeros(2)
    best = -math.inf
    for _ in range(_MOST_STEPS):
        chance = expit(design @ coefficients)
        information = (design * (weight * chance * (1 - chance))[:, None]).T @ design
        gradient = design.T @ (weight * (won - chance))
        if np.linalg.cond(information) > 1e12 or np.abs(coefficients).max() > _LARGEST:
            return None
        step = np.linalg.solve(information, gradient)
        if np.abs(step).max() < 1e-10:
            return coefficients, np.linalg.inv(information)
        for _ in range(40):
            candidate = coefficients + step
            linear = design @ candidate
            likelihood = float(weight @ (won * linear - np.logaddexp(0.0, linear)))
            if likelihood >= best - 1e-12 * abs(best):
                break
            step = step / 2
        coefficients, best = candidate, likelihood
    return None
