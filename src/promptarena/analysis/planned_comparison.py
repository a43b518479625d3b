"""The comparison that a plan is sized for: one treatment against control, with its share of alpha and its
looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.optimize import brentq

from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.metric import Better, MetricKind
from promptarena.stats.futility import Futility as FutilityBound
from promptarena.stats.futility import futility_boundary
from promptarena.stats.group_sequential import Boundary, spending_boundary, supplied_boundary
from promptarena.stats.power import (
    achieved_power,
    detectable_effect,
    price_of_looks,
    shared_power,
    units_needed,
)
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.spread import (
    Spread,
    clustered_factor,
    cuped_factor,
    mean_spread,
    prediction_powered_factor,
    rate_spread,
)
from promptarena.stats.stopping import Stopping, drift_for_power, stopping_probabilities

__all__ = ["PlannedComparison", "planned_comparison"]


@dataclass(frozen=True, slots=True)
class PlannedStopping:
    """Where a trial stops; a bound on futility is obeyed."""

    null: Stopping
    effect: Stopping
    futility_z: tuple[float, ...] | None
    """One a look, towards the good side; `None` without such a bound."""


@dataclass(frozen=True, slots=True)
class PlannedComparison:
    """Of the treatment with the smallest share of units, at alpha over the number of treatments."""

    request: PlanRequest
    shares: tuple[float, float]
    """Of all units: control's and the treatment's."""
    alpha: float
    boundary: Boundary
    futility: SpendingFunction | None = None

    @property
    def distance(self) -> float | None:
        """From the null hypothesis to what is expected: the effect, or the margin with no true difference."""
        if self.request.margin is not None:
            return self.request.absolute(self.request.margin)
        return None if self.request.effect is None else abs(self.request.effect)

    def units(self, distance: float, power: float) -> float:
        """Units in all if looked at once."""
        return units_needed(distance, self._spread(distance), alpha=self.alpha, power=power)

    def inflation(self, power: float) -> float:
        """Price of the looks."""
        return price_of_looks(self.boundary, power, self.alpha, self.futility)

    def power(self, distance: float, units: float) -> float:
        """Of so many units in all, with the looks."""
        spread = self._spread(distance)
        bound = self._futility()
        return achieved_power(
            distance,
            spread,
            units,
            alpha=self.alpha,
            boundary=self.boundary,
            futility_z=bound.z if bound else (),
        )

    def detectable(self, units: float, power: float) -> float | None:
        """The smallest distance that so many units in all can tell, with the looks; `None` if none can be."""
        return detectable_effect(
            self._spread,
            units,
            most=self._most(),
            alpha=self.alpha,
            power=power,
            boundary=self.boundary,
            futility=self.futility,
        )

    def has_room(self, distance: float) -> bool:
        """Whether the metric can be so far from the null hypothesis: a rate ends at 0 and 1."""
        return distance < self._most() * (1 - 1e-9)

    def stopping(self, power: float) -> PlannedStopping:
        """Where the trial stops, without effect and with the one that it finds with this power."""
        bound = self._futility()
        if bound is None:
            drift = drift_for_power(self.boundary, power)
            null, effect = (stopping_probabilities(self.boundary, d) for d in (0.0, drift))
            return PlannedStopping(null, effect, None)
        upper = replace(self.boundary, sides=1)

        def under(drift: float) -> Stopping:
            return stopping_probabilities(upper, drift, futility_z=bound.z)

        # Of given units the power need not be the one for which the bound was planned.
        drift = float(brentq(lambda d: under(d).power - power, -bound.drift, 3 * bound.drift, xtol=1e-9))
        return PlannedStopping(under(0.0), under(drift), bound.z)

    def _futility(self) -> FutilityBound | None:
        """The bound, as it is planned for the power that was asked for, whatever the units."""
        if self.futility is None or len(self.boundary.fractions) == 1:
            return None
        planned = shared_power(self.request.power, self.request.guardrails)
        return futility_boundary(replace(self.boundary, sides=1), planned, self.futility)

    def information(self, units: float, distance: float) -> float:
        """1 / SE^2 of the plain difference at so many units in all.

        At the larger of the variances with and without the effect, so that the planned units reach it either
        way.
        """
        effect = 0.0 if self.request.margin is not None else distance
        return units / max(self._difference(effect).alternative, self._difference(0.0).alternative)

    def _spread(self, distance: float) -> Spread:
        """Of what is tested."""
        if self.request.margin is None:
            return self._difference(distance)
        return mean_spread(self._sd(), self.shares, control_scale=self._control_scale()).times(self._factor())

    def _difference(self, effect: float) -> Spread:
        """Of the difference, if there is an effect of this size."""
        if self.request.kind is MetricKind.RATE:
            treatment = self._rate() + (-effect if self.request.falls else effect)
            return rate_spread(self._rate(), treatment, self.shares).times(self._factor())
        return mean_spread(self._sd(), self.shares).times(self._factor())

    def _factor(self) -> float:
        request = self.request
        factor = cuped_factor(request.correlation) * clustered_factor(request.rows_per_unit, request.icc)
        if request.labelled is None:
            return factor
        # What is left of the labels' variance, told of all units, of which only a share has one.
        powered = prediction_powered_factor(request.judge_correlation, request.labelled)
        return factor * powered / request.labelled

    def _sd(self) -> float:
        if self.request.kind is MetricKind.RATE:
            return math.sqrt(self._rate() * (1 - self._rate()))
        return self.request.sd or math.nan

    def _most(self) -> float:
        if self.request.kind is not MetricKind.RATE or self.request.margin is not None:
            return math.inf
        return self._rate() if self.request.falls else 1 - self._rate()

    def _rate(self) -> float:
        # A request for a rate has a baseline; NaN, if it had none, is refused by every spread.
        return math.nan if self.request.baseline is None else self.request.baseline

    def _control_scale(self) -> float:
        """c of the contrast treatment - c control that tests a relative margin."""
        margin = self.request.margin
        if margin is None or not margin.relative:
            return 1.0
        return 1 - margin.value if self.request.better is Better.HIGHER else 1 + margin.value


def planned_comparison(request: PlanRequest) -> PlannedComparison:
    """The comparison that needs most units."""
    control, *treatments = request.shares
    alpha = request.alpha / len(treatments)
    if request.critical_z is not None:
        boundary = supplied_boundary(request.looks, request.critical_z)
    else:
        spending = SpendingFunction(request.spending.value, request.gamma)
        boundary = spending_boundary(request.looks, spending, alpha)
    rule = request.futility
    futility = None if rule is None else SpendingFunction(rule.spending.value, rule.gamma)
    return PlannedComparison(request, (control, min(treatments)), alpha, boundary, futility)
