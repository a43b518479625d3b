"""Effects among parts of the units: which are real or harmful, whether they differ, and what mixing hides."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from scipy.special import chdtrc, fdtrc, ndtr

from promptarena.stats.effects import Effect, margin_contrast, satterthwaite, stratified
from promptarena.stats.multiplicity import Method, adjust
from promptarena.stats.rate_contrasts import RateContrast, RateCounts, margin_rate_contrast
from promptarena.stats.rate_score import rate_score

__all__ = [
    "Interaction",
    "MixFinding",
    "SegmentTest",
    "interaction",
    "join",
    "mix_finding",
    "rate_interaction",
    "segment_tests",
]

Key = TypeVar("Key", bound=Hashable)

_LEAST_UNITS: Final = 30
"""Units in an arm below which a segment is shown, not tested: its tail is not normal."""
_MIX_ALPHA: Final = 0.05
"""Below this p-value the arms' shares of the segments differ by more than chance."""


@dataclass(frozen=True, slots=True)
class SegmentTest:
    """What is known of one segment; `None` where it could not be tested (few units, no variance)."""

    effect: Effect
    p_value: float | None
    """Two-sided, of no difference."""
    p_adjusted: float | None
    harm_p_value: float | None
    """One-sided; small is evidence that treatment is worse than the margin here."""
    harm_p_adjusted: float | None


def segment_tests(
    effects: Mapping[Key, Effect],
    margins: Mapping[Key, tuple[float, bool]],
    *,
    higher_is_better: bool,
    rates: Mapping[Key, tuple[RateCounts, Sequence[float]]] | None = None,
    method: Method = "benjamini-hochberg",
    least_units: int = _LEAST_UNITS,
) -> dict[Key, SegmentTest]:
    """Effect and harm in every segment, each adjusted over all that could be tested.

    Pass all segment values of all dimensions and treatments at once: they are one family. What could not be
    tested is not a member, so it does not dilute the rest.

    Args:
        effects: by whatever names a segment (dimension, value, treatment).
        margins: by the same names, how much worse is still acceptable (0 or more) and whether that is a
            fraction of |control|, not in the metric's unit; (0, False) where a name is absent.
        higher_is_better: the metric's good direction.
        rates: by the same names, counts of events by stratum with the strata's weights, where the metric is a
            rate: it is then tested by its score, as everywhere. The observed variance of a rare rate is
            smallest just where its events are absent.
        method: of adjustment (Benjamini and Hochberg 1995 by default).
        least_units: in either arm, to be tested.

    Raises:
        ValueError: an adjustment that is not known.
    """
    counts = rates or {}
    two_sided: dict[Key, float] = {}
    harm: dict[Key, float] = {}
    for key, effect in effects.items():
        if min(effect.control.n, effect.treatment.n) < least_units:
            continue
        margin, relative = margins.get(key, (0.0, False))
        if key in counts:
            z = _score_z(counts[key], 0.0, False, higher_is_better)
            z_margin = _score_z(counts[key], margin, relative, higher_is_better)
            two_sided |= {} if z is None else {key: 2 * float(ndtr(-abs(z)))}
            harm |= {} if z_margin is None else {key: float(ndtr(z_margin))}
            continue
        if effect.variance == 0:
            continue
        two_sided[key] = effect.p_value()
        if relative and effect.control.value == 0:
            continue
        contrast = margin_contrast(effect, margin, relative=relative, higher_is_better=higher_is_better)
        if contrast.variance > 0:
            harm[key] = contrast.harm_p_value()
    p_adjusted, harm_adjusted = _adjusted(two_sided, method), _adjusted(harm, method)
    return {
        key: SegmentTest(
            effect, two_sided.get(key), p_adjusted.get(key), harm.get(key), harm_adjusted.get(key)
        )
        for key, effect in effects.items()
    }


@dataclass(frozen=True, slots=True)
class Interaction:
    """Whether segments' effects differ from one another."""

    statistic: float
    """Cochran's Q: squared distances of the effects from their mean, in units of their variances."""
    df: int
    """Segments - 1."""
    df_error: float
    """Of the variances together; infinite where they are known from the model."""
    p_value: float
    common: float
    """The effect that all would share if there were no interaction (inverse-variance mean)."""

    @property
    def excess(self) -> float:
        """I^2, in [0, 1): the share of the effects' spread beyond noise (Higgins and Thompson 2002)."""
        return max(1 - self.df / self.statistic, 0.0) if self.statistic > 0 else 0.0


def interaction(effects: Sequence[Effect]) -> Interaction:
    """Test that an effect is the same in every segment.

    Q = sum of w_i (D_i - D)^2 with w_i = 1 / var D_i (Cochran 1954), which is the Wald test of the terms of
    segment x treatment. Chi-square would reject too often in small segments, whose variances are estimates;
    Welch's (1951) F for unequal variances accounts for it, and is chi-square in large ones.

    Raises:
        ValueError: fewer than two segments, or one without variance.
    """
    k = len(effects)
    if k < 2 or any(effect.variance == 0 for effect in effects):
        raise ValueError("an interaction needs two segments or more, each with a variance")
    weights = np.array([1 / effect.variance for effect in effects])
    differences = np.array([effect.difference for effect in effects])
    total = float(weights.sum())
    common = float(weights @ differences) / total
    statistic = float(weights @ (differences - common) ** 2)
    spread = math.fsum(
        (1 - weight / total) ** 2 / effect.df for weight, effect in zip(weights, effects, strict=True)
    )
    if spread == 0:
        return Interaction(statistic, k - 1, math.inf, float(chdtrc(k - 1, statistic)), common)
    df_error = (k**2 - 1) / (3 * spread)
    f = statistic / (k - 1) / (1 + 2 * (k - 2) * spread / (k**2 - 1))
    return Interaction(statistic, k - 1, df_error, float(fdtrc(k - 1, df_error, f)), common)


def rate_interaction(counts: Sequence[tuple[RateCounts, Sequence[float]]]) -> Interaction | None:
    """Test that a difference of rates is the same in every segment, with the variances of that null.

    As `interaction`, but each variance is that of the rates which fit best where the difference is the common
    one (Mantel and Haenszel's): the observed variance of a rare rate goes with its estimate, and calls
    effects different where they are not, in 10% of the trials at 90:10 and 1% of events instead of 5%.

    Args:
        counts: one a segment: events by stratum, with the strata's weights.

    Returns:
        `None` of fewer than two segments in which anything happened.
    """
    plain = margin_rate_contrast(0.0, relative=False, higher_is_better=True)
    scores = [(rate_score(each, plain, weights), each, weights) for each, weights in counts]
    told = [(score.value, each, weights) for score, each, weights in scores if score.variance > 0]
    if len(told) < 2:
        return None
    sizes = [1 / (1 / each.n_control.sum() + 1 / each.n_treatment.sum()) for _, each, _ in told]
    common = float(np.dot(sizes, [value for value, _, _ in told]) / np.sum(sizes))
    at_common = RateContrast(on_treatment=1.0, on_control=-1.0, offset=-common)
    variances = np.array([rate_score(each, at_common, weights).variance for _, each, weights in told])
    if not (variances > 0).all():
        return None
    weights = 1 / variances
    differences = np.array([value for value, _, _ in told])
    mean = float(weights @ differences / weights.sum())
    statistic = float(weights @ (differences - mean) ** 2)
    df = len(told) - 1
    return Interaction(statistic, df, math.inf, float(chdtrc(df, statistic)), mean)


@dataclass(frozen=True, slots=True)
class MixFinding:
    """The raw difference beside the difference within segments."""

    raw_control: float
    """Control's overall value, over its own mix of segments."""
    raw_treatment: float
    within: Effect
    """Mantel and Haenszel's (1959) average of the segments' effects, weighted n_T n_C / (n_T + n_C)."""
    standardised: Effect
    """The average effect over the mix of both arms together (post-stratified)."""
    mix_p_value: float
    """Chi-square of segment by arm; small: the arms' mixes differ by more than chance."""
    segments: int
    segments_better: int
    """Segments in which treatment is better."""
    segments_worse: int
    higher_is_better: bool

    @property
    def raw_difference(self) -> float:
        """Treatment - control, each over its own mix."""
        return self.raw_treatment - self.raw_control

    @property
    def is_reversal(self) -> bool:
        """Simpson's reversal: the mixes differ, and the raw difference therefore points the other way."""
        inside = (self.within.difference, self.standardised.difference)
        return self.mix_p_value < _MIX_ALPHA and any(self.raw_difference * each < 0 for each in inside)

    def sentence(
        self,
        value: Callable[[float], str] = "{:.4g}".format,
        difference: Callable[[float], str] = "{:+.4g}".format,
    ) -> str:
        """What was found, in words and numbers, which are written by `value` and `difference`."""
        good = self.raw_difference if self.higher_is_better else -self.raw_difference
        raw = "better" if good > 0 else "worse" if good < 0 else "no different"
        numbers = f"({value(self.raw_treatment)} against {value(self.raw_control)})"
        if not self.is_reversal:
            return (
                f"No Simpson's reversal: treatment is {raw} overall {numbers}, "
                f"and {difference(self.within.difference)} on average within segments."
            )
        # The one that contradicts the raw difference; most often both do.
        inside = self.within if self.raw_difference * self.within.difference < 0 else self.standardised
        how, count = ("better", self.segments_better) if raw == "worse" else ("worse", self.segments_worse)
        which = f"{'each' if count == self.segments else count} of {self.segments} segments"
        return (
            f"Simpson's reversal: treatment is {how} in {which} ({difference(inside.difference)} on "
            f"average), yet {raw} overall {numbers}, because the variants hold different shares of the "
            "segments. Read the effect within segments."
        )


def mix_finding(
    effects: Sequence[Effect],
    *,
    higher_is_better: bool,
    weights: Sequence[tuple[float, float]] | None = None,
) -> MixFinding:
    """Look for Simpson's reversal: segments say one thing, their sum the other.

    For rates, `within` is Mantel and Haenszel's risk difference with the variance of Greenland and Robins
    (1985).

    Args:
        effects: one a segment; segments are disjoint.
        higher_is_better: the metric's good direction.
        weights: (control, treatment) weights with which segments make up each arm's overall value: sums of
            the denominator for a ratio, numbers of values for a quantile; units where `None`.

    Raises:
        ValueError: fewer than two segments, a segment with an arm of no weight, or weights that do not fit.
    """
    units = np.array([(effect.control.n, effect.treatment.n) for effect in effects], dtype=np.float64)
    shares = units if weights is None else np.array(weights, dtype=np.float64)
    if len(effects) < 2 or shares.shape != units.shape or not (shares > 0).all() or not (units > 0).all():
        raise ValueError("a mix needs two segments or more, with weights above 0 in both arms of each")
    values = np.array([(effect.control.value, effect.treatment.value) for effect in effects])
    raw_control, raw_treatment = (shares * values).sum(axis=0) / shares.sum(axis=0)
    expected = np.outer(units.sum(axis=1), units.sum(axis=0)) / units.sum()
    chi_square = float(((units - expected) ** 2 / expected).sum())
    signs = [effect.difference if higher_is_better else -effect.difference for effect in effects]
    return MixFinding(
        raw_control=float(raw_control),
        raw_treatment=float(raw_treatment),
        within=join(effects, shares.prod(axis=1) / shares.sum(axis=1)),
        standardised=join(effects, shares.sum(axis=1)),
        mix_p_value=float(chdtrc(len(effects) - 1, chi_square)),
        segments=len(effects),
        segments_better=sum(sign > 0 for sign in signs),
        segments_worse=sum(sign < 0 for sign in signs),
        higher_is_better=higher_is_better,
    )


def join(effects: Sequence[Effect], weights: Sequence[float] | np.ndarray) -> Effect:
    """The weighted mean of effects on disjoint units.

    Args:
        effects: one a segment.
        weights: the same length, zero or more, in any scale.
    """
    share = (np.asarray(weights, dtype=np.float64) / np.sum(weights)).tolist()
    given = any(effect.own_df is not None for effect in effects)
    pieces = [weight**2 * effect.variance for weight, effect in zip(share, effects, strict=True)]
    return Effect(
        control=stratified([effect.control for effect in effects], share),
        treatment=stratified([effect.treatment for effect in effects], share),
        covariance=math.fsum(w**2 * effect.covariance for w, effect in zip(share, effects, strict=True)),
        own_df=satterthwaite(pieces, [effect.df for effect in effects]) if given else None,
    )


def _score_z(
    counted: tuple[RateCounts, Sequence[float]], margin: float, relative: bool, higher_is_better: bool
) -> float | None:
    """Towards the good side of the margin."""
    contrast = margin_rate_contrast(margin, relative=relative, higher_is_better=higher_is_better)
    return rate_score(counted[0], contrast, counted[1]).even_z


def _adjusted(p_values: Mapping[Key, float], method: Method) -> dict[Key, float]:
    adjusted = adjust(list(p_values.values()), method)
    return {key: float(p) for key, p in zip(p_values, adjusted, strict=True)}
