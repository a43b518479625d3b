"""Less noise from what was known of the units before: CUPED for means and ratios, from moments alone.

A covariate is measured before exposure, so the arms differ in it only by chance. That chance difference,
times the slope of the outcome on the covariate, is taken off the effect (Deng, Xu, Kohavi and Walker 2013,
"Improving the sensitivity of online controlled experiments by utilizing pre-experiment data", section 3.2):

    D = (y_T - y_C) - theta' (x_T - x_C)

whose variance is lower by the share of the outcome that the covariates explain. Outcome and covariates are
means, or ratios, which enter linearised (delta method).

One theta serves both arms: D is then an average effect whatever the slopes of the arms are, every slope
rests on all the data, and nothing is lost against a slope for each arm while the arms are equal in size
(Lin 2013, "Agnostic notes on regression adjustments to experimental data: Reexamining Freedman's critique",
Annals of Applied Statistics 7(1)). It is computed from all units together,
as published. A real effect then leaks into theta and shrinks D by the share of the arms' labels that the
covariates explain, about k / n: nothing, unless the effect is very many standard errors. Where the leak
exceeds a twentieth of D's standard error, theta is computed within arms, which does not leak.

Units without a covariate are kept: a constant in place of the missing value, and a second covariate that
says "missing" (`with_missing_indicator`). That a value is missing was settled before exposure, so the
indicator is as good a covariate as any, and the result does not depend on the constant (Zhao and Ding 2022,
"To adjust or not to adjust?"). Dropping these units (complete cases) would answer for returning units only,
and with fewer of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag

from promptarena.stats.effects import Effect, Estimate, satterthwaite, stratified
from promptarena.stats.moments import Moments

__all__ = ["AdjustedEffect", "Components", "adjusted_effect", "with_missing_indicator"]

Array = NDArray[np.float64]

_UNITS_PER_COVARIATE: Final = 20
"""With fewer, fitted slopes understate the variance by more than a tenth (about 2 k / n)."""
_LEAK: Final = 0.05
"""In standard errors of the difference: how much of an effect may leak into slopes over all units."""


@dataclass(frozen=True, slots=True)
class Components:
    """Which of the moments' components are the outcome and which the covariates.

    Each is a tuple of one index (a mean) or two (a ratio: numerator, denominator).
    """

    outcome: tuple[int, ...] = (0,)
    covariates: tuple[tuple[int, ...], ...] = ((1,),)

    def __post_init__(self) -> None:
        if not self.covariates or any(len(each) not in (1, 2) for each in (self.outcome, *self.covariates)):
            raise ValueError("an outcome and one or more covariates, each of one component or two (a ratio)")


@dataclass(frozen=True, slots=True)
class AdjustedEffect:
    """An effect with the covariates' chance differences taken off."""

    effect: Effect
    """Each arm's estimate is what it would have been with the covariates' mean of both arms together; the
    arms then share that mean, hence the covariance, which relative effects and margins must not forget."""
    unadjusted: Effect
    slopes: tuple[float, ...]
    """Theta, one a covariate, in the outcome's unit per unit of the covariate."""
    slopes_from: Literal["all units", "within arms"]

    @property
    def variance_removed(self) -> float:
        """Share of the difference's variance that the covariates took away; below 0 where they added some."""
        if self.unadjusted.variance == 0:
            return 0.0
        return 1 - self.effect.variance / self.unadjusted.variance


@dataclass(frozen=True, slots=True)
class _Point:
    """One arm's outcome and covariates (k + 1 values: y, then x) and their covariance."""

    value: Array
    covariance: Array
    """Of the values, not of a unit."""
    n: int


def adjusted_effect(
    strata: Sequence[tuple[Moments, Moments]],
    components: Components,
    weights: Sequence[float] | None = None,
) -> AdjustedEffect:
    """The effect of treatment against control, adjusted for covariates.

    The variance is that of the units' residuals arm by arm, theta taken as known; degrees of freedom are
    Satterthwaite's, less one for each covariate. Relative intervals from `AdjustedEffect.effect` are
    Fieller's with the whole covariance of difference and control. (Taking the adjusted arms for independent
    turns 95% into 71%, where the correlation is .98 and the mean doubles.)

    Args:
        strata: (control, treatment), one pair for each stratum (epoch); one pair where there are none.
        components: what the moments' components are.
        weights: of the strata, summing to 1; each stratum's share of units where `None`.

    Raises:
        ValueError: fewer than two units in an arm of a stratum, fewer than 20 units for each covariate, a
            ratio whose denominators sum to zero, no strata, or weights that do not fit.
    """
    if not strata:
        raise ValueError("an effect needs at least one pair of arms")
    total = sum(c.n + t.n for c, t in strata)
    k = len(components.covariates)
    if total < _UNITS_PER_COVARIATE * k:
        raise ValueError(f"{k} covariates need {_UNITS_PER_COVARIATE * k} units, not {total}")
    shares = [(c.n + t.n) / total for c, t in strata] if weights is None else list(weights)
    points = [(_point(c, components), _point(t, components)) for c, t in strata]
    theta_all = _slopes([c + t for c, t in strata], components)
    theta_arms = _slopes([arm for pair in strata for arm in pair], components)
    over_all = _effect(points, shares, theta_all, k)
    within = _effect(points, shares, theta_arms, k)
    leaks = abs(over_all.difference - within.difference) > _LEAK * within.standard_error
    return AdjustedEffect(
        effect=within if leaks else over_all,
        unadjusted=_effect(points, shares, np.zeros(k), 0),
        slopes=tuple(float(slope) for slope in (theta_arms if leaks else theta_all)),
        slopes_from="within arms" if leaks else "all units",
    )


def with_missing_indicator(observed: Moments, missing: Moments, filler: ArrayLike) -> Moments:
    """Join units with and without covariates: what is missing is filled, and marked by one more component.

    Args:
        observed: outcome and covariate components, of units that have all covariates.
        missing: outcome components only, of units that have none.
        filler: shape (covariate components,), what stands in for the missing values. Any numbers near the
            covariates' means (so that no digits are lost), but the same in both arms and every stratum.

    Returns:
        The moments of all units: outcome, covariates, and as a covariate of its own 1 where they were
        missing, else 0.

    Raises:
        ValueError: outcome and filler together are not as long as the observed components.
    """
    stand_in = np.asarray(filler, dtype=np.float64)
    if len(missing.mean) + len(stand_in) != len(observed.mean):
        raise ValueError("units without covariates have the outcome's components, and one filler a covariate")
    return _widened(observed, np.zeros(1)) + _widened(missing, np.append(stand_in, 1.0))


def _widened(moments: Moments, constants: Array) -> Moments:
    """The same units with components that are constant among them."""
    mean = np.append(moments.mean, constants)
    comoments = np.zeros((len(mean), len(mean)))
    comoments[: len(moments.mean), : len(moments.mean)] = moments.comoments
    return Moments(moments.n, mean, comoments)


def _linear_map(mean: Array, components: Components) -> tuple[Array, Array]:
    """Outcome and covariates at these means, shape (k + 1,), and their derivatives, (k + 1, components)."""
    parts = (components.outcome, *components.covariates)
    values = np.empty(len(parts))
    jacobian = np.zeros((len(parts), len(mean)))
    for row, part in enumerate(parts):
        values[row] = mean[part[0]]
        jacobian[row, part[0]] = 1.0
        if len(part) == 2:
            denominator = mean[part[1]]
            if denominator == 0:
                raise ValueError("a ratio's denominators sum to zero")
            values[row] /= denominator
            jacobian[row] /= denominator
            jacobian[row, part[1]] -= values[row] / denominator
    return values, jacobian


def _point(moments: Moments, components: Components) -> _Point:
    values, jacobian = _linear_map(moments.mean, components)
    return _Point(values, jacobian @ (moments.covariance() / moments.n) @ jacobian.T, moments.n)


def _slopes(groups: Sequence[Moments], components: Components) -> Array:
    """Least squares of the linearised outcome on the linearised covariates, within groups; shape (k,)."""
    together = Moments.total(groups, len(groups[0].mean))
    _, jacobian = _linear_map(together.mean, components)
    squares = jacobian @ np.sum([group.comoments for group in groups], axis=0) @ jacobian.T
    # What is left of a constant after rounding is not a variance to divide by.
    noise = together.n * (1e-12 * (np.abs(jacobian) @ np.abs(together.mean))[1:]) ** 2
    variances = np.diagonal(squares)[1:]
    scale = np.where(variances > noise, np.sqrt(np.maximum(variances, noise)), np.inf)
    # Collinear covariates share a slope (least norm), so one given twice changes nothing.
    correlations = squares[1:, 1:] / np.outer(scale, scale)
    slopes = np.linalg.pinv(correlations, rcond=1e-9, hermitian=True) @ (squares[1:, 0] / scale) / scale
    return np.asarray(slopes, dtype=np.float64)


def _effect(
    points: Sequence[tuple[_Point, _Point]], shares: Sequence[float], slopes: Array, lost: int
) -> Effect:
    """Both arms adjusted to their common covariate mean, stratum by stratum."""
    n = sum(c.n + t.n for c, t in points)
    kept = 1 - lost / (n - 2 * len(points))
    own, common = np.append(1.0, -slopes), np.append(0.0, slopes)
    covariance = 0.0
    controls: list[Estimate] = []
    treatments: list[Estimate] = []
    residuals: list[float] = []
    dfs: list[float] = []
    for (control, treatment), share in zip(points, shares, strict=True):
        # The common mean is the arms' means weighted by units, so each adjusted estimate leans on both arms.
        lean_c, lean_t = (common * (point.n / (control.n + treatment.n)) for point in (control, treatment))
        rows = np.array([np.append(own + lean_c, lean_t), np.append(lean_c, own + lean_t)])
        values = rows @ np.append(control.value, treatment.value)
        joint = rows @ block_diag(control.covariance, treatment.covariance) @ rows.T
        for point, arm, index in ((control, controls, 0), (treatment, treatments, 1)):
            arm.append(Estimate(float(values[index]), float(joint[index, index]), point.n - 1, point.n))
            residuals.append(share**2 * float(own @ point.covariance @ own))
            dfs.append((point.n - 1) * kept)
        covariance += share**2 * float(joint[0, 1])
    return Effect(
        control=stratified(controls, shares),
        treatment=stratified(treatments, shares),
        covariance=covariance,
        own_df=satterthwaite(residuals, dfs),
    )
