"""What is believed of an arm's mean after some outcomes, and the exact probability that an arm is the best.

Outcomes come in batches, late and in any order: a belief depends on their sums only. What must not happen is
that an outcome which is not known yet counts as a failure, or that successes are known sooner than failures:
update with units whose window has closed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, expit, gammaln, log_expit, logit, stdtr, stdtrit

from promptarena.stats.moments import Moments

__all__ = ["BetaPosterior", "NormalPosterior", "Posterior", "probability_best"]

Vector = NDArray[np.float64]

_TAILS: Final = 10.0 ** np.arange(-14.0, -1.0)
_MIDDLE: Final = np.array([0.2, 0.3, 0.4])
_LOWER: Final = np.concatenate([_TAILS, [0.05, 0.1], _MIDDLE])
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


class Posterior(Protocol):
    """A belief about a mean, on a scale on which its density is smooth and its range is the whole line."""

    @property
    def units(self) -> int:
        """Observed units that it rests on, without the prior's."""

    @property
    def mean(self) -> float:
        """In the metric's unit."""

    def mirrored(self) -> Posterior:
        """The belief about what is good when low is good, so that best always means greatest."""

    def quantiles(self) -> Vector:
        """Some quantiles from 1e-14 to 1 - 1e-14, ascending."""

    def density(self, at: Vector) -> Vector:
        """Of the same shape as `at`."""

    def distribution(self, at: Vector) -> Vector:
        """Probability of being below."""


@dataclass(frozen=True, slots=True)
class BetaPosterior:
    """A rate's Beta posterior; its scale is the logit.

    >>> belief = BetaPosterior.prior().updated(successes=30, units=40)
    >>> belief.alpha, belief.beta, round(belief.mean, 4)
    (31.0, 11.0, 0.7381)
    """

    alpha: float
    """Successes and the prior's, at least 1/2."""
    beta: float
    """Failures and the prior's, at least 1/2."""
    units: int = 0

    def __post_init__(self) -> None:
        if not (0.5 <= self.alpha < math.inf and 0.5 <= self.beta < math.inf and self.units >= 0):
            raise ValueError(
                "a Beta posterior has finite alpha and beta of at least 1/2, and units of 0 or more"
            )

    @classmethod
    def prior(cls, successes: float = 1.0, failures: float = 1.0) -> BetaPosterior:
        """Beta(1, 1) is uniform, Beta(1/2, 1/2) Jeffreys'.

        Raises:
            ValueError: less than 1/2.
        """
        return cls(successes, failures)

    def updated(self, successes: int, units: int) -> BetaPosterior:
        """With a batch of units whose outcome is known.

        Raises:
            ValueError: not 0 <= successes <= units.
        """
        if not 0 <= successes <= units:
            raise ValueError(f"a batch has 0 <= successes <= units, not {successes} of {units}")
        return BetaPosterior(self.alpha + successes, self.beta + units - successes, self.units + units)

    @property
    def mean(self) -> float:
        """Of the rate."""
        return self.alpha / (self.alpha + self.beta)

    def mirrored(self) -> BetaPosterior:
        """Of the rate of failures."""
        return BetaPosterior(self.beta, self.alpha, self.units)

    def quantiles(self) -> Vector:
        """Of the rate's logit."""
        lower = logit(betaincinv(self.alpha, self.beta, _LOWER))
        upper = -logit(betaincinv(self.beta, self.alpha, _LOWER))
        return np.concatenate([lower, upper[::-1]])

    def density(self, at: Vector) -> Vector:
        """Of the rate's logit y: x^alpha (1 - x)^beta / B(alpha, beta) with x = expit(y)."""
        log_density = self.alpha * log_expit(at) + self.beta * log_expit(-at) - betaln(self.alpha, self.beta)
        result: Vector = np.exp(log_density)
        return result

    def distribution(self, at: Vector) -> Vector:
        """Of the rate's logit."""
        result: Vector = betainc(self.alpha, self.beta, expit(at))
        return result


@dataclass(frozen=True, slots=True)
class NormalPosterior:
    """A mean's posterior where values are normal with unknown mean and variance: normal-inverse-gamma.

    The mean has Student's t distribution with 2 `shape` degrees of freedom about `mean`, with scale
    sqrt(rate / (shape x strength)). With many units it serves for means of any values.

    Source: Murphy (2007), "Conjugate Bayesian analysis of the Gaussian distribution", section 3.3 (eq. 85 to
        89; the variance here is one over the precision there).

    >>> belief = NormalPosterior.of(Moments.from_values([1.0, 2.0, 3.0, 4.0]))
    >>> belief.mean, belief.strength, belief.shape, belief.rate
    (2.5, 4.0, 1.5, 2.5)
    """

    mean: float
    strength: float
    """Units that the mean rests on, the prior's included; above 0."""
    shape: float
    """Half the degrees of freedom; at least 1/2."""
    rate: float
    """Half the sum of squared deviations; above 0."""
    units: int = 0

    def __post_init__(self) -> None:
        positive = self.strength > 0 and self.shape >= 0.5 and self.rate > 0 and self.units >= 0
        if not (positive and np.isfinite([self.mean, self.strength, self.shape, self.rate]).all()):
            raise ValueError(
                "a normal posterior has finite parameters, strength and rate above 0, shape of at least 1/2"
            )

    @classmethod
    def of(cls, moments: Moments, index: int = 0) -> NormalPosterior:
        """With the reference prior: t with n - 1 degrees of freedom, mean and s / sqrt(n) of the sample.

        Raises:
            ValueError: fewer than two units, or no spread among them.
        """
        squares = moments.variance(index) * (moments.n - 1)
        if squares == 0:
            raise ValueError("all values are alike: a belief about their mean needs a prior")
        return cls(float(moments.mean[index]), float(moments.n), (moments.n - 1) / 2, squares / 2, moments.n)

    def updated(self, moments: Moments, index: int = 0) -> NormalPosterior:
        """With a batch of units whose value is known; the order of batches makes no difference."""
        if moments.n == 0:
            return self
        n, total = moments.n, self.strength + moments.n
        gap = float(moments.mean[index]) - self.mean
        squares = float(moments.comoments[index, index]) + self.strength * n / total * gap * gap
        return NormalPosterior(
            self.mean + gap * n / total, total, self.shape + n / 2, self.rate + squares / 2, self.units + n
        )

    def mirrored(self) -> NormalPosterior:
        """Of minus the mean."""
        return NormalPosterior(-self.mean, self.strength, self.shape, self.rate, self.units)

    @property
    def scale(self) -> float:
        """Of the mean's t distribution, in the metric's unit."""
        return math.sqrt(self.rate / (self.shape * self.strength))

    def quantiles(self) -> Vector:
        """Of the mean."""
        lower = stdtrit(2 * self.shape, _LOWER)
        result: Vector = self.mean + self.scale * np.concatenate([lower, -lower[::-1]])
        return result

    def density(self, at: Vector) -> Vector:
        """Student's t."""
        df = 2 * self.shape
        t = (at - self.mean) / self.scale
        constant = gammaln((df + 1) / 2) - gammaln(df / 2) - math.log(df * math.pi) / 2
        result: Vector = np.exp(constant - (df + 1) / 2 * np.log1p(t * t / df)) / self.scale
        return result

    def distribution(self, at: Vector) -> Vector:
        """Student's t."""
        result: Vector = stdtr(2 * self.shape, (at - self.mean) / self.scale)
        return result


def probability_best(arms: Sequence[Posterior], *, higher_is_better: bool = True) -> Vector:
    """Probability that each arm has the best mean, given independent beliefs.

    P(i) is the integral of f_i times the product of F_j over the other arms, by Gauss-Legendre quadrature
    between the quantiles of all arms. The sum over arms is 1 by theory; that it comes out so within 1e-6 is
    checked, and the result is divided by it. No sampling, so the same beliefs always give the same weights.

    >>> better = BetaPosterior.prior().updated(successes=120, units=400)
    >>> worse = BetaPosterior.prior().updated(successes=100, units=400)
    >>> [round(float(p), 4) for p in probability_best([worse, better])]
    [0.0569, 0.9431]

    Args:
        arms: two or more, all of one kind.
        higher_is_better: the metric's direction.

    Returns:
        Shape (arms,), summing to 1.

    Raises:
        ValueError: fewer than two arms, arms of different kinds, or beliefs too far apart to integrate.
    """
    if len(arms) < 2 or len({type(arm) for arm in arms}) > 1:
        raise ValueError("the best is one of two or more arms, with beliefs of one kind")
    beliefs = list(arms) if higher_is_better else [arm.mirrored() for arm in arms]
    edges = np.unique(np.concatenate([belief.quantiles() for belief in beliefs]))
    edges = edges[np.isfinite(edges)]
    half = np.diff(edges) / 2
    points = ((edges[:-1] + half)[:, None] + half[:, None] * _NODES).ravel()
    weights = (half[:, None] * _WEIGHTS).ravel()
    below = np.stack([belief.distribution(points) for belief in beliefs])
    # The product over all the others from both ends, because dividing by an arm's own may be 0 / 0.
    before = np.cumprod(np.vstack([np.ones_like(points), below[:-1]]), axis=0)
    after = np.cumprod(np.vstack([np.ones_like(points), below[:0:-1]]), axis=0)[::-1]
    density = np.stack([belief.density(points) for belief in beliefs])
    found: Vector = (density * before * after) @ weights
    total = float(found.sum())
    if not abs(total - 1) < 1e-6:
        raise ValueError(f"the probabilities sum to {total!r}: the beliefs are too far apart to integrate")
    return found / total
