"""Effects of a treatment against control: differences, relative differences and margins, from moments.

An arm becomes an `Estimate` (of a mean, a rate, or a ratio); two estimates become an `Effect`. Nothing here
asks how the arm's moments were collected: strata and clusters are handled by how estimates are formed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from promptarena.stats.moments import Moments

__all__ = [
    "Contrast",
    "Effect",
    "Estimate",
    "cautious",
    "fieller",
    "margin_contrast",
    "mean_estimate",
    "newcombe_interval",
    "rate_estimate",
    "ratio_estimate",
    "stratified",
]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one arm says of a metric."""

    value: float
    variance: float
    """Of the estimate, not of a unit: its squared standard error."""
    df: float
    """Degrees of freedom of `variance`; infinite where it is known from the model (a rate)."""
    n: int
    """Observed units."""


def mean_estimate(moments: Moments, index: int = 0) -> Estimate:
    """The mean of unit values, with variance s^2 / n.

    Raises:
        ValueError: fewer than two units.
    """
    variance = moments.variance(index) / moments.n
    return Estimate(float(moments.mean[index]), variance, moments.n - 1, moments.n)


def rate_estimate(successes: float, n: int) -> Estimate:
    """The share of units with an event, with the binomial variance p (1 - p) / n.

    Raises:
        ValueError: no units, or more successes than units.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a rate needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    rate = successes / n
    return Estimate(rate, rate * (1 - rate) / n, math.inf, n)


def ratio_estimate(moments: Moments, numerator: int = 0, denominator: int = 1) -> Estimate:
    """Sum of numerators over sum of denominators, by the delta method over units.

    With R = x / y of the unit means, var R = (s_xx - 2 R s_xy + R^2 s_yy) / (n y^2) (Deng, Knoblich and Lu
    2018, "Applying the delta method in metric analytics", eq. 4). With x a unit's sum and y its row
    count, this is the mean over rows with units as clusters.

    Raises:
        ValueError: fewer than two units, or denominators that sum to zero.
    """
    covariance = moments.covariance()
    x, y = float(moments.mean[numerator]), float(moments.mean[denominator])
    if y == 0:
        raise ValueError("a ratio's denominators sum to zero")
    ratio = x / y
    spread = (
        covariance[numerator, numerator]
        - 2 * ratio * covariance[numerator, denominator]
        + ratio**2 * covariance[denominator, denominator]
    )
    return Estimate(ratio, max(float(spread), 0.0) / (moments.n * y**2), moments.n - 1, moments.n)


def stratified(parts: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """One arm's estimate over strata (epochs): sum of w_h e_h, with variance sum of w_h^2 v_h.

    Both arms must use the same weights (each stratum's share of all units), which is what keeps a change of
    allocation between strata from passing for an effect. Degrees of freedom by Satterthwaite (1946), eq. 17.

    Args:
        parts: one estimate a stratum.
        weights: the same length, summing to 1.

    Raises:
        ValueError: lengths differ, or weights do not sum to 1.
    """
    if len(parts) != len(weights) or not math.isclose(sum(weights), 1, rel_tol=1e-9):
        raise ValueError("strata need one weight each, summing to 1")
    pieces = [weight**2 * part.variance for part, weight in zip(parts, weights, strict=True)]
    return Estimate(
        value=math.fsum(weight * part.value for part, weight in zip(parts, weights, strict=True)),
        variance=math.fsum(pieces),
        df=satterthwaite(pieces, [part.df for part in parts]),
        n=sum(part.n for part in parts),
    )


@dataclass(frozen=True, slots=True)
class Effect:
    """A treatment against control: two arms, independent unless a covariance is given."""

    control: Estimate
    treatment: Estimate
    covariance: float = 0.0
    """Of the two estimates; not zero where both were adjusted towards the same covariates' mean."""
    own_df: float | None = None
    """Degrees of freedom of the difference where they are not Welch's of the two estimates."""

    @property
    def difference(self) -> float:
        """treatment - control."""
        return self.treatment.value - self.control.value

    @property
    def variance(self) -> float:
        """Of the difference."""
        return max(self.treatment.variance + self.control.variance - 2 * self.covariance, 0.0)

    @property
    def standard_error(self) -> float:
        """Of the difference."""
        return math.sqrt(self.variance)

    @property
    def df(self) -> float:
        """Welch's degrees of freedom (Welch 1947; Satterthwaite 1946, eq. 17), unless given."""
        if self.own_df is not None:
            return self.own_df
        return satterthwaite(
            [self.treatment.variance, self.control.variance], [self.treatment.df, self.control.df]
        )

    @property
    def z(self) -> float:
        """difference / standard error.

        Raises:
            ValueError: no variance in either arm.
        """
        if self.variance == 0:
            raise ValueError("no variance in either arm: the standard error is not known")
        return self.difference / self.standard_error

    def p_value(self) -> float:
        """Two-sided, of no difference, by Welch's t (normal where the variance is the model's)."""
        return 2 * _lower_tail(-abs(self.z), self.df)

    def interval(self, alpha: float) -> tuple[float, float]:
        """Two-sided 1 - alpha interval of the difference.

        Raises:
            ValueError: no variance in either arm.
        """
        reach = critical(alpha, self.df) * self.standard_error
        if reach == 0:
            raise ValueError("no variance in either arm: an interval is not known")
        return self.difference - reach, self.difference + reach

    def normal_interval(self, alpha: float) -> tuple[float, float]:
        """As `interval`, by the normal's critical value: that of a boundary whose error beyond is alpha."""
        reach = critical(alpha, math.inf) * self.standard_error
        return self.difference - reach, self.difference + reach

    def relative_difference(self) -> float | None:
        """difference / |control|; `None` where control is zero."""
        return None if self.control.value == 0 else self.difference / abs(self.control.value)

    def relative_interval(self, alpha: float) -> tuple[float, float] | None:
        """Fieller's interval of the relative difference; `None` where it is unbounded.

        It is unbounded when control's own interval holds zero: no finite effect can then be excluded.
        """
        sign = 1.0 if self.control.value >= 0 else -1.0
        return fieller(
            self.difference,
            abs(self.control.value),
            self.variance,
            self.control.variance,
            sign * (self.covariance - self.control.variance),
            critical(alpha, self.df),
        )


def fieller(
    numerator: float,
    denominator: float,
    numerator_variance: float,
    denominator_variance: float,
    covariance: float,
    critical_value: float,
) -> tuple[float, float] | None:
    """Fieller's interval of numerator / denominator (Fieller 1954, "Some problems in interval estimation").

    The set of r with (numerator - r denominator)^2 <= c^2 var(numerator - r denominator), a quadratic in r.

    Returns:
        (low, high), or `None` where the set is not a bounded interval.
    """
    square = critical_value**2
    a = denominator**2 - square * denominator_variance
    if a <= 0:
        return None
    b = numerator * denominator - square * covariance
    c = numerator**2 - square * numerator_variance
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a


@dataclass(frozen=True, slots=True)
class Contrast:
    """How far a treatment stays on the good side of a margin; positive is good."""

    value: float
    variance: float
    df: float

    @property
    def z(self) -> float:
        """value / standard error: large where worse than the margin can be ruled out.

        Raises:
            ValueError: no variance.
        """
        if self.variance == 0:
            raise ValueError("no variance in either arm: the standard error is not known")
        return self.value / math.sqrt(self.variance)

    def p_value(self) -> float:
        """One-sided, of being worse than the margin."""
        return _lower_tail(-self.z, self.df)

    def harm_p_value(self) -> float:
        """One-sided, of being no worse than the margin: small is evidence of harm."""
        return _lower_tail(self.z, self.df)


def margin_contrast(effect: Effect, margin: float, *, relative: bool, higher_is_better: bool) -> Contrast:
    """The good-signed difference plus what may be lost: g (T - C) + m, or g (T - C) + m |C| where relative.

    A relative margin is one linear contrast of both arms, not a margin computed from the observed control and
    then taken as known, which is anti-conservative (Hauschke, Kieser, Diletti and Burke 1999).

    Args:
        effect: the two arms.
        margin: in the metric's unit, or a fraction of |control|; zero or more.
        relative: which of the two.
        higher_is_better: g is 1, else -1.

    Raises:
        ValueError: a relative margin of a control that is zero.
    """
    good = 1.0 if higher_is_better else -1.0
    if not relative:
        return Contrast(good * effect.difference + margin, effect.variance, effect.df)
    control, treatment = effect.control, effect.treatment
    if control.value == 0:
        raise ValueError("a relative margin has no meaning where control is zero")
    weight = -good + margin * math.copysign(1.0, control.value)
    pieces = [treatment.variance, weight**2 * control.variance]
    return Contrast(
        good * treatment.value + weight * control.value,
        max(sum(pieces) + 2 * good * weight * effect.covariance, 0.0),
        satterthwaite(pieces, [treatment.df, control.df]) if effect.own_df is None else effect.own_df,
    )


def cautious(effect: Effect) -> Effect:
    """The effect with an arm that has less than half of the other's units at least as variable as the other.

    The variance of few skewed values is small just when their largest are absent, which is when their mean is
    low: the sparse arm then looks surely low.
    """
    control, treatment = effect.control, effect.treatment
    if 2 * treatment.n < control.n:
        return replace(effect, treatment=_at_least_as_variable(treatment, control))
    if 2 * control.n < treatment.n:
        return replace(effect, control=_at_least_as_variable(control, treatment))
    return effect


def _at_least_as_variable(arm: Estimate, other: Estimate) -> Estimate:
    return replace(arm, variance=max(arm.variance, other.variance * other.n / arm.n))


def newcombe_interval(
    successes_treatment: float, n_treatment: int, successes_control: float, n_control: int, alpha: float
) -> tuple[float, float]:
    """Hybrid score interval of a difference of rates, for few events.

    Newcombe (1998), "Interval estimation for the difference between independent proportions", method 10.
    """
    z = float(ndtri(1 - alpha / 2))
    (p_t, low_t, high_t), (p_c, low_c, high_c) = (
        (successes / n, *_wilson(successes / n, n, z))
        for successes, n in ((successes_treatment, n_treatment), (successes_control, n_control))
    )
    difference = p_t - p_c
    return (
        difference - math.hypot(p_t - low_t, high_c - p_c),
        difference + math.hypot(high_t - p_t, p_c - low_c),
    )


def critical(alpha: float, df: float) -> float:
    """The two-sided critical value of Student's t, or of the normal where `df` is infinite."""
    return float(ndtri(1 - alpha / 2) if math.isinf(df) else stdtrit(df, 1 - alpha / 2))


def _wilson(rate: float, n: int, z: float) -> tuple[float, float]:
    centre = rate + z * z / (2 * n)
    reach = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max((centre - reach) / scale, 0.0), min((centre + reach) / scale, 1.0)


def _lower_tail(value: float, df: float) -> float:
    return float(ndtr(value) if math.isinf(df) else stdtr(df, value))


def satterthwaite(variances: Sequence[float], dfs: Sequence[float]) -> float:
    """Degrees of freedom of a sum of independent variances (Satterthwaite 1946, eq. 17)."""
    total = math.fsum(variances)
    scale = math.fsum(v * v / df for v, df in zip(variances, dfs, strict=True))
    # Without any spread the degrees of freedom have nothing to describe; normal is the limit.
    return total * total / scale if scale > 0 and np.isfinite(scale) else math.inf
