"""Intervals and p-values that hold at every look at once, for estimates that are nearly normal.

A fixed-horizon interval covers at one look that was chosen beforehand. Here the interval of every look
covers at the same time, so that one may look as often as one likes and stop for any reason. The price is
width: about 1.55 times the fixed-horizon 95% interval at the size it is tuned for, and within 11% of that
down to a fifth of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import log_ndtr

__all__ = ["AsymptoticSequence", "anytime_p_value"]


def anytime_p_value(log_e_value: float) -> float:
    """The always-valid p-value min(1, 1 / e) of an e-value.

    >>> round(anytime_p_value(math.log(20)), 6)
    0.05

    Source: Ville 1939; Ramdas, Grunwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe
        anytime-valid inference", Statistical Science 38(4).
    """
    return math.exp(-max(log_e_value, 0.0))


@dataclass(frozen=True, slots=True)
class AsymptoticSequence:
    """A confidence sequence, fixed before the data by where it is to be tightest and at which error.

    The likelihood ratio of every mean against zero, averaged over a normal prior of the mean (two-sided) or
    over its positive half (one-sided), is a supermartingale under the null, so that it ever exceeds 1 /
    alpha with probability alpha at most (Robbins 1970). With n the sample size, z = estimate / standard
    error and x = n rho^2:

    - two-sided: log e = z^2 x / (2 (1 + x)) - log(1 + x) / 2, and so a half-width of
      standard error * sqrt(2 (1 + x) / x * log(sqrt(1 + x) / alpha));
    - one-sided: log e = log 2 + y^2 / 2 + log Phi(y) - log(1 + x) / 2 with y = z sqrt(x / (1 + x)), whose
      bound has no closed form and is found by Newton's method. The closed form in use elsewhere (eq. 134)
      is an upper bound to it; the p-values here are dual to the intervals exactly.

    rho^2 = (-2 log a + log(1 - 2 log a)) / n_opt with a = alpha (two-sided) or 2 alpha (one-sided). Published
    tunings differ: this is eq. 161, the one of GrowthBook's gbstats; the authors' own R package solves for
    the optimum by Lambert's W, which moves the half-width by less than 1% within a factor of 10 of n_opt.

    The standard error is estimated, so coverage is asymptotic: it holds as the first look moves to more units
    (see `docs/calibration.md` for what that means at 100 units a variant).

    For a difference of two arms, a ratio or a margin's contrast, n is the units of all arms together, because
    only n / n_opt and z enter. Where the shares of the arms change during the trial, information 1 / SE^2 and
    its planned value are the better clock; any measure of information will do for `n` and `n_opt` together.

    >>> sequence = AsymptoticSequence(n_opt=5000, alpha=0.05)
    >>> round(sequence.multiplier(10_000) / 10_000**0.5, 10)
    0.0306147722
    >>> round(sequence.p_value(300 / 10_000, 1 / 100, 10_000), 10)
    0.0595788925

    Raises:
        ValueError: n_opt is not positive and finite, or alpha not within (0, .5).

    Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
        confidence sequences", arXiv:2103.06476v7, eq. 9, 134, 155, 161 (Annals of Statistics 52(6), 2024).
    """

    n_opt: float
    """The sample size at which the sequence is to be tightest."""
    alpha: float
    """Of the two-sided interval, and of each one-sided bound, over all looks together."""

    def __post_init__(self) -> None:
        if not 0 < self.n_opt < math.inf:
            raise ValueError(f"n_opt is a positive, finite size, not {self.n_opt}")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha must lie strictly between 0 and 0.5, not {self.alpha}")

    def multiplier(self, n: float) -> float:
        """Half-width of the two-sided interval, in standard errors.

        Raises:
            ValueError: n is not positive and finite.
        """
        x = self._clock(n, self.alpha)
        return math.sqrt(2 * (1 + x) / x * (math.log1p(x) / 2 - math.log(self.alpha)))

    def one_sided_multiplier(self, n: float) -> float:
        """Distance of a one-sided bound from the estimate, in standard errors.

        Raises:
            ValueError: n is not positive and finite.
        """
        x = self._clock(n, 2 * self.alpha)
        target = math.log1p(x) / 2 - math.log(self.alpha)
        # The left side is convex and increasing: from a start above the root Newton never passes it.
        y = math.sqrt(2 * target)
        for _ in range(100):
            log_phi = float(log_ndtr(y))
            slope = y + math.exp(-0.5 * y * y - log_phi) / math.sqrt(2 * math.pi)
            move = (math.log(2) + 0.5 * y * y + log_phi - target) / slope
            y -= move
            if move < 1e-13 * y:
                break
        return y * math.sqrt((1 + x) / x)

    def interval(self, estimate: float, standard_error: float, n: float) -> tuple[float, float]:
        """Two-sided 1 - alpha interval, valid at all looks together.

        Args:
            estimate: in the metric's unit.
            standard_error: of the estimate, positive.
            n: units that the estimate rests on, positive.

        Raises:
            ValueError: no standard error, or no units.
        """
        reach = self.multiplier(n) * _positive(standard_error)
        return estimate - reach, estimate + reach

    def lower_bound(self, estimate: float, standard_error: float, n: float) -> float:
        """One-sided: the truth lies above this at all looks together, with confidence 1 - alpha.

        Raises:
            ValueError: as `interval`.
        """
        return estimate - self.one_sided_multiplier(n) * _positive(standard_error)

    def upper_bound(self, estimate: float, standard_error: float, n: float) -> float:
        """One-sided: the truth lies below this at all looks together, with confidence 1 - alpha.

        Raises:
            ValueError: as `interval`.
        """
        return estimate + self.one_sided_multiplier(n) * _positive(standard_error)

    def log_e_value(self, z: float, n: float) -> float:
        """Evidence against a mean of zero, from z = estimate / standard error.

        Raises:
            ValueError: n is not positive and finite.
        """
        x = self._clock(n, self.alpha)
        return (z * z * x / (1 + x) - math.log1p(x)) / 2

    def one_sided_log_e_value(self, z: float, n: float) -> float:
        """Evidence against a mean of zero or less.

        Raises:
            ValueError: n is not positive and finite.
        """
        x = self._clock(n, 2 * self.alpha)
        y = z * math.sqrt(x / (1 + x))
        return math.log(2) + y * y / 2 + float(log_ndtr(y)) - math.log1p(x) / 2

    def p_value(self, estimate: float, standard_error: float, n: float, *, null: float = 0.0) -> float:
        """Always-valid two-sided p-value; at most alpha exactly where `null` is outside `interval`.

        Raises:
            ValueError: as `interval`.
        """
        return anytime_p_value(self.log_e_value((estimate - null) / _positive(standard_error), n))

    def one_sided_p_value(
        self, estimate: float, standard_error: float, n: float, *, null: float = 0.0
    ) -> float:
        """Always-valid p-value of a mean of at most `null`; at most alpha where `lower_bound` is above it.

        For a mean of at least `null`, give both estimate and null with the opposite sign.

        Raises:
            ValueError: as `interval`.
        """
        return anytime_p_value(self.one_sided_log_e_value((estimate - null) / _positive(standard_error), n))

    def _clock(self, n: float, alpha: float) -> float:
        """n rho^2."""
        if not 0 < n < math.inf:
            raise ValueError(f"n is a positive, finite size, not {n}")
        twice = -2 * math.log(alpha)
        return (twice + math.log1p(twice)) * n / self.n_opt


def _positive(standard_error: float) -> float:
    if not 0 < standard_error < math.inf:
        raise ValueError(f"a standard error is positive and finite, not {standard_error}")
    return standard_error
