"""What two arms differ by when the weights followed the outcomes, valid whenever one looks.

Under a bandit the pooled mean of an arm is biased: an arm that was unlucky gets less traffic and keeps its
bad luck. And where the weights and the traffic change together, pooled means differ although the arms do not.
Within an epoch, though, units were split by known weights whatever happened before. Each unit weighted by its
propensity has the contrast as its mean, given the past; the sum over epochs is a martingale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from promptarena.stats.anytime import AsymptoticSequence, anytime_p_value
from promptarena.stats.harm import MIN_UNITS
from promptarena.stats.moments import Moments

__all__ = ["AdaptiveContrast", "EpochArms", "adaptive_contrast"]


@dataclass(frozen=True, slots=True, eq=False)
class EpochArms:
    """One epoch's two arms; their weights were fixed before it began."""

    control: Moments
    """Of the metric's values, as the first of the moments."""
    treatment: Moments
    treatment_share: float
    """Treatment's weight over that of the two arms, in (0, 1)."""


@dataclass(frozen=True, slots=True)
class AdaptiveContrast:
    """A contrast of the arms' means; everything in it holds at every look together."""

    value: float
    """on_treatment x mean of treatment + on_control x mean of control."""
    standard_error: float
    low: float
    """Two-sided 1 - alpha interval, as is `high`."""
    high: float
    lower_bound: float
    """One-sided 1 - alpha bound, as is `upper_bound`."""
    upper_bound: float
    p_value: float
    """Always-valid and two-sided, of the contrast `null`."""
    one_sided_p_value: float
    """Always-valid, of a contrast of `null` or less: small is evidence that it is above."""
    units: int
    epochs: int


def adaptive_contrast(
    epochs: Sequence[EpochArms],
    *,
    alpha: float,
    n_opt: float,
    on_treatment: float = 1.0,
    on_control: float = -1.0,
    null: float = 0.0,
    weights: Literal["precision", "units"] = "precision",
) -> AdaptiveContrast:
    """A contrast of two arms under a bandit, with an always-valid interval.

    In epoch e with treatment share w, arm A (1 if treated) and value Y, each unit of the two arms gives
    Z = a_t m_t + a_c m_c + a_t A (Y - m_t) / w + a_c (1 - A) (Y - m_c) / (1 - w), where m_t and m_c are the
    arms' means in earlier epochs. Whatever the m, the mean of Z given the past is the contrast. In the first
    epoch, which should be a burn-in, the arms' own means take the place of m. The estimate is the mean of
    the epochs' mean Z, weighted by h_e n_e; its variance is the sum of h_e^2 n_e s_e^2 over the square of
    all weights. Its interval is `AsymptoticSequence` on the clock of that sum, so coverage is asymptotic,
    from `MIN_UNITS` units of each arm.

    Only units whose window has closed may be given, in the order of their exposure. For rates
    `rate_difference_bounds` with the shares by epoch is exact, from the first unit on, and mostly wider.

    >>> first = EpochArms(
    ...     Moments.from_values([0, 1] * 100), Moments.from_values([0, 1, 1, 1] * 50), treatment_share=0.5
    ... )
    >>> second = EpochArms(
    ...     Moments.from_values([0, 1] * 20), Moments.from_values([0, 1, 1, 1] * 90), treatment_share=0.9
    ... )
    >>> found = adaptive_contrast([first, second], alpha=0.05, n_opt=1000)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.25, 0.125, 0.375)

    Args:
        epochs: in the order of time.
        alpha: over all looks, in (0, .5), of the two-sided interval and of each one-sided bound.
        n_opt: units of both arms, at the first epoch's weights, at which the sequence is to be tightest.
        on_treatment: a_t; with a_c = 0, treatment's own mean.
        on_control: a_c; -1 + m and a_t = 1 is a relative margin m of a positive control.
        null: the contrast that the p-values are of.
        weights: `precision`: h = w (1 - w), which is best where the contrast is the same in all epochs;
            `units`: h = 1, the contrast averaged over the units that came.

    Raises:
        ValueError: no epochs, fewer than `MIN_UNITS` units of an arm or two in the first epoch, no spread, a
            share outside (0, 1), both coefficients zero, or other weights.

    Source: Kato, Ishihara, Honda and Narita (2020), "Efficient adaptive experimental design for average
        treatment effect estimation", arXiv:2002.05308, for the estimate; Waudby-Smith, Arbour, Sinha,
        Kennedy and Ramdas (2024), arXiv:2103.06476, on martingales whose variance changes (their Lindeberg
        type), for the sequence; Bibaut et al. (2021), arXiv:2106.00418, on weights that are known beforehand.
    """
    if weights not in ("precision", "units"):
        raise ValueError(f"weights are precision or units, not {weights!r}")
    if on_treatment == on_control == 0:
        raise ValueError("a contrast needs a coefficient that is not zero")
    if not epochs or not all(0 < epoch.treatment_share < 1 for epoch in epochs):
        raise ValueError("there is at least one epoch, and treatment shares lie strictly between 0 and 1")
    total, variance, size, planned = 0.0, 0.0, 0.0, 0.0
    control, treatment = Moments.empty(1), Moments.empty(1)
    for number, epoch in enumerate(epochs):
        share = epoch.treatment_share
        n = epoch.control.n + epoch.treatment.n
        scale = share * (1 - share) if weights == "precision" else 1.0
        if number == 0:
            mean, spread = _first(epoch, on_treatment, on_control)
            planned = scale**2 * spread * n_opt / n
        else:
            centres = float(control.mean[0]), float(treatment.mean[0])
            mean, spread = _later(epoch, centres, on_treatment, on_control)
        total += scale * n * mean
        variance += scale**2 * spread
        size += scale * n
        control, treatment = control + epoch.control.select(0), treatment + epoch.treatment.select(0)
    if min(control.n, treatment.n) < MIN_UNITS:
        raise ValueError(f"an asymptotic sequence needs {MIN_UNITS} units of each arm")
    value, error = total / size, math.sqrt(variance) / size
    sequence = AsymptoticSequence(planned, alpha)
    low, high = sequence.interval(value, error, variance)
    z = (value - null) / error
    return AdaptiveContrast(
        value=value,
        standard_error=error,
        low=low,
        high=high,
        lower_bound=sequence.lower_bound(value, error, variance),
        upper_bound=sequence.upper_bound(value, error, variance),
        p_value=anytime_p_value(sequence.log_e_value(z, variance)),
        one_sided_p_value=anytime_p_value(sequence.one_sided_log_e_value(z, variance)),
        units=control.n + treatment.n,
        epochs=len(epochs),
    )


def _first(epoch: EpochArms, on_treatment: float, on_control: float) -> tuple[float, float]:
    """Mean of Z with the arms' own means as centres, and the variance of its sum."""
    control, treatment = epoch.control, epoch.treatment
    n = control.n + treatment.n
    mean = on_treatment * float(treatment.mean[0]) + on_control * float(control.mean[0])
    spread = on_treatment**2 * treatment.variance() / treatment.n
    spread += on_control**2 * control.variance() / control.n
    if spread == 0:
        raise ValueError("no spread in the first epoch: the standard error is not known")
    return mean, n * n * spread


def _later(
    epoch: EpochArms, centres: tuple[float, float], on_treatment: float, on_control: float
) -> tuple[float, float]:
    """Mean of Z, and the variance of its sum: n times the variance of a unit's Z."""
    n = epoch.control.n + epoch.treatment.n
    if n == 0:
        return 0.0, 0.0
    moved, squares = 0.0, 0.0
    arms = (
        (epoch.control, on_control / (1 - epoch.treatment_share), centres[0]),
        (epoch.treatment, on_treatment / epoch.treatment_share, centres[1]),
    )
    for arm, weight, centre in arms:
        gap = float(arm.mean[0]) - centre if arm.n else 0.0
        moved += weight * arm.n * gap
        squares += weight**2 * (float(arm.comoments[0, 0]) + arm.n * gap * gap)
    # About the mean of Z so far, known before: an epoch of one unit then has a variance too.
    return on_control * centres[0] + on_treatment * centres[1] + moved / n, squares
