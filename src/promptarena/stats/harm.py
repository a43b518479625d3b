"""Whether a treatment is already shown to be harmful, at whatever time one looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from numpy.typing import ArrayLike
from scipy.optimize import brentq

from promptarena.stats.anytime import AsymptoticSequence, anytime_p_value
from promptarena.stats.effects import Effect, cautious, margin_contrast
from promptarena.stats.rate_betting import betting_log_e_value
from promptarena.stats.rate_contrasts import RateContrast, RateCounts, margin_rate_contrast
from promptarena.stats.rate_mixture import mixture_log_e_value

__all__ = ["MIN_UNITS", "Harm", "effect_harm", "rate_difference_bounds", "rate_harm"]

MIN_UNITS: Final = 100
"""Units a variant before which an estimate is not taken to be normal."""
_HALVINGS: Final = 60
_ROOT_ERROR: Final = 2e-13


@dataclass(frozen=True)
class Harm:
    """Evidence that the treatment is worse than its margin; all of it holds at every look together."""

    log_e_value: float
    """Natural logarithm of the evidence; shown at log(1 / alpha)."""
    p_value: float
    """Always-valid p-value of being no worse than the margin."""
    shown: bool
    """p_value <= alpha."""
    bound: Callable[[], float] = field(repr=False, compare=False)
    """Computes `upper`; of rates it is a search, which most who ask whether there is harm need not pay."""

    @cached_property
    def upper(self) -> float:
        """With confidence 1 - alpha the good-signed effect plus margin is at most this; harm below zero."""
        return self.bound()


def rate_harm(
    successes_control: ArrayLike,
    n_control: ArrayLike,
    successes_treatment: ArrayLike,
    n_treatment: ArrayLike,
    *,
    alpha: float,
    margin: float = 0.0,
    relative: bool = False,
    higher_is_better: bool = True,
    treatment_share: ArrayLike | None = None,
) -> Harm:
    """Harm on a rate, from cumulative counts; exact at any time and from the first unit.

    Valid for independent units with an outcome of 0 or 1. With `treatment_share` (the declared weights) the
    rates may drift as they like; without it they must not change within a stratum. Looking all the time,
    80% power at alpha .01 takes about 2.3 times the units of one look with it, and 3.8 times without. See
    `betting_log_e_value` and `mixture_log_e_value`.

    >>> rate_harm(600, 1000, 500, 1000, alpha=0.01, treatment_share=0.5).shown
    True
    >>> rate_harm(600, 1000, 500, 1000, alpha=0.01, treatment_share=0.5, margin=0.05).shown
    False

    Args:
        successes_control: units with an event; a number, or one a stratum (epoch).
        n_control: all units, likewise.
        successes_treatment: likewise.
        n_treatment: likewise.
        alpha: this metric's and treatment's part of the error, over all looks, in (0, .5).
        margin: how much worse is still acceptable, zero or more.
        relative: the margin is a fraction of control's rate.
        higher_is_better: the metric's direction.
        treatment_share: treatment's weight over that of the two arms, a number or one a stratum; `None`:
            unknown.

    Raises:
        ValueError: counts or shares that do not fit, an alpha outside (0, .5), a negative margin.
    """
    counts = RateCounts.of(successes_control, n_control, successes_treatment, n_treatment)
    contrast = margin_rate_contrast(margin, relative=relative, higher_is_better=higher_is_better)
    log_e_value = _log_e_value(counts, contrast, treatment_share)
    _check_alpha(alpha)
    evidence = log_e_value(0.0)
    p_value = anytime_p_value(evidence)
    return Harm(evidence, p_value, p_value <= alpha, lambda: _upper_bound(log_e_value, contrast, alpha))


def effect_harm(
    effect: Effect,
    *,
    alpha: float,
    n_opt: float,
    margin: float = 0.0,
    relative: bool = False,
    higher_is_better: bool = True,
) -> Harm:
    """Harm on a mean, a ratio or anything else whose estimate is nearly normal.

    Valid from `MIN_UNITS` units a variant for independent units with a finite variance, asymptotically
    (`AsymptoticSequence`). Not for rates: use `rate_harm`, which is exact.

    An arm with less than half of the other's units is given at least the other's variance of a unit. Its own
    is small just when its skewed values happen to lack their largest, which is when its mean is low: with
    lognormal values (sigma 1.5), a tenth of the units treated and alpha .01, harm was seen in 7.7% of A/A
    trials that had none, and in fewer than .2% with this rule.

    >>> from promptarena.stats.effects import Estimate
    >>> control, treatment = Estimate(5.0, 0.005, 399, 400), Estimate(4.5, 0.005, 399, 400)
    >>> harm = effect_harm(Effect(control, treatment), alpha=0.01, n_opt=2000)
    >>> harm.shown, round(harm.upper, 3)
    (True, -0.157)

    Args:
        effect: the two arms; a ratio's variances by the delta method.
        alpha: this metric's and treatment's part of the error, over all looks, in (0, .5).
        n_opt: units of both variants at which the sequence is tightest, fixed before the data: for example
            a quarter of the planned ones.
        margin: how much worse is still acceptable, zero or more, as for `margin_contrast`.
        relative: the margin is a fraction of |control|.
        higher_is_better: the metric's direction.

    Raises:
        ValueError: fewer than `MIN_UNITS` units a variant, no variance in either arm, an alpha outside
            (0, .5), or a relative margin of a control that is zero.
    """
    n_control, n_treatment = effect.control.n, effect.treatment.n
    if min(n_control, n_treatment) < MIN_UNITS:
        raise ValueError(
            f"an asymptotic sequence needs {MIN_UNITS} units a variant, not {min(n_control, n_treatment)}"
        )
    contrast = margin_contrast(cautious(effect), margin, relative=relative, higher_is_better=higher_is_better)
    sequence, n = AsymptoticSequence(n_opt, alpha), n_control + n_treatment
    upper = sequence.upper_bound(contrast.value, math.sqrt(contrast.variance), n)
    evidence = sequence.one_sided_log_e_value(-contrast.z, n)
    p_value = anytime_p_value(evidence)
    return Harm(evidence, p_value, p_value <= alpha, lambda: upper)


def rate_difference_bounds(
    successes_control: ArrayLike,
    n_control: ArrayLike,
    successes_treatment: ArrayLike,
    n_treatment: ArrayLike,
    *,
    alpha: float,
    side: Literal["both", "lower", "upper"] = "both",
    treatment_share: ArrayLike | None = None,
) -> tuple[float, float]:
    """Bounds of p_t - p_c that hold at every look together, from cumulative counts.

    >>> low, high = rate_difference_bounds(600, 1000, 500, 1000, alpha=0.05, treatment_share=0.5)
    >>> round(low, 3), round(high, 3)
    (-0.185, -0.014)

    Args:
        successes_control, n_control, successes_treatment, n_treatment, treatment_share: as `rate_harm`.
        alpha: over all looks, in (0, .5); halved between the sides where `side` is `both`.
        side: which bounds; the other one is -1 or 1.

    Raises:
        ValueError: as `rate_harm`, or another side.
    """
    if side not in ("both", "lower", "upper"):
        raise ValueError(f"a side is both, lower or upper, not {side!r}")
    _check_alpha(alpha)
    counts = RateCounts.of(successes_control, n_control, successes_treatment, n_treatment)
    each = alpha / 2 if side == "both" else alpha
    low, high = -1.0, 1.0
    if side != "upper":
        fall = RateContrast(on_treatment=-1.0, on_control=1.0, offset=0.0)
        low = -_upper_bound(_log_e_value(counts, fall, treatment_share), fall, each)
    if side != "lower":
        rise = RateContrast(on_treatment=1.0, on_control=-1.0, offset=0.0)
        high = _upper_bound(_log_e_value(counts, rise, treatment_share), rise, each)
    return low, high


def _log_e_value(
    counts: RateCounts, contrast: RateContrast, treatment_share: ArrayLike | None
) -> Callable[[float], float]:
    """The evidence that the contrast is below a bound, as a function of the bound; it never falls."""
    if treatment_share is None:
        return lambda bound: mixture_log_e_value(counts, contrast, bound)
    return lambda bound: betting_log_e_value(counts, treatment_share, contrast, bound)


def _upper_bound(log_e_value: Callable[[float], float], contrast: RateContrast, alpha: float) -> float:
    """The least bound that the evidence reaches; the greatest possible contrast where it reaches none.

    Halving until evidence is finite at both ends, where the faster search may begin.
    """
    target = math.log(1 / alpha)
    low, high, excess_low, excess_high = contrast.lowest, contrast.highest, -math.inf, math.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        excess = log_e_value(middle) - target
        low, excess_low = (middle, excess) if excess < 0 else (low, excess_low)
        high, excess_high = (middle, excess) if excess >= 0 else (high, excess_high)
        if math.isfinite(excess_low) and math.isfinite(excess_high):
            root = float(brentq(lambda bound: log_e_value(bound) - target, low, high, xtol=1e-13))
            return root if log_e_value(root) >= target else root + _ROOT_ERROR
    return high


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha must lie strictly between 0 and 0.5, not {alpha}")
