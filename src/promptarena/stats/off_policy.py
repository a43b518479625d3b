"""What another policy would have earned, from the log of the one that ran and the chances it gave.

A policy chooses one of several actions for each round (a prompt for a request, an item for a slot). Rounds
weighted by how much more often the other policy would have chosen what was chosen stand for that policy's own
rounds. Such estimates replace no experiment: they say which policies are worth one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptarena.stats.effects import Effect, Estimate, critical
from promptarena.stats.moments import Moments
from promptarena.stats.proportions import cluster_codes

__all__ = ["LoggedRounds", "OffPolicyEstimate", "WeightCheck"]

Vector = NDArray[np.float64]

# Columns of a unit's sums: rounds, weight, reward, weight x reward, baseline, weight x predicted reward.
_ROUNDS, _WEIGHT, _REWARD, _WEIGHTED, _BASELINE, _PREDICTED = range(6)

_LEAST_SHARE: Final = 0.1
_LEAST_ROUNDS: Final = 100.0
_LARGEST_SHARE: Final = 0.01
_WEIGHT_Z: Final = 4.0
_NOTHING: Final = "all weights are zero: the other policy would have chosen nothing that was chosen"


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """The mean reward a round that the other policy would have had, by one method."""

    method: str
    value: float
    """In the reward's unit."""
    standard_error: float
    """By the delta method over units; without the error of the reward model, which is taken as given."""
    df: float
    """Units less one."""
    warning: str | None
    """What `LoggedRounds.check_weights` has to say; it must be shown beside the value."""

    def interval(self, alpha: float) -> tuple[float, float]:
        """Two-sided 1 - alpha interval; not to be trusted where there is a warning.

        Raises:
            ValueError: no spread among the units.
        """
        if self.standard_error == 0:
            raise ValueError("no spread among the units: an interval is not known")
        reach = critical(alpha, self.df) * self.standard_error
        return self.value - reach, self.value + reach


@dataclass(frozen=True, slots=True)
class WeightCheck:
    """Whether the weights leave enough of the log to stand on."""

    rounds: int
    effective_rounds: float
    """(sum of w)^2 / sum of w^2 (Kish 1965): how many rounds of the other policy's own would tell as much."""
    largest_share: float
    """The largest weight over the sum of all."""
    mean_weight: float
    """1 but for chance, where every action of the other policy could be chosen and propensities are right."""
    warning: str | None
    """What is wrong, in words; `None` where nothing is."""


@dataclass(frozen=True, slots=True, eq=False)
class LoggedRounds:
    """What a log says of another policy: addable, and enough for every estimator here.

    >>> log = LoggedRounds.of([1, 0, 1, 0], logged=[0.5, 0.5, 0.25, 0.5], evaluated=[0.8, 0.2, 0.2, 0.8])
    >>> round(log.ips().value, 4), round(log.snips().value, 4)
    (0.6, 0.5455)
    """

    moments: Moments
    """Of each unit's sums of six columns; a unit is a round unless clusters were given."""
    squared_weights: float
    """Sum of w^2 over rounds."""
    largest_weight: float
    modelled: bool
    """Whether a reward model's predictions were given."""

    @classmethod
    def of(
        cls,
        rewards: ArrayLike,
        *,
        logged: ArrayLike,
        evaluated: ArrayLike,
        predicted: ArrayLike | None = None,
        baseline: ArrayLike | None = None,
        clusters: ArrayLike | None = None,
    ) -> LoggedRounds:
        """From arrays of shape (n,), one element a round.

        Args:
            rewards: what was observed, in any unit.
            logged: probability, in (0, 1], with which the policy that ran chose the action it chose.
            evaluated: probability, in [0, 1], with which the other policy would have chosen that action.
            predicted: a model's reward of the chosen action, fitted on other rounds (cross-fitted).
            baseline: the model's mean reward under the other policy: the sum over actions of its
                probability times the predicted reward. Given with `predicted`, or neither.
            clusters: what rounds have in common (a user, a page of several slots); `None`: nothing.

        Raises:
            ValueError: no rounds, shapes that differ, values that are not finite, probabilities outside
                their range, or only one of `predicted` and `baseline`.
        """
        reward = _column(rewards, None)
        n = len(reward)
        chance, other = _column(logged, n), _column(evaluated, n)
        if not ((chance > 0) & (chance <= 1)).all():
            raise ValueError("a logged probability is above 0 and at most 1: what was chosen could be chosen")
        if not ((other >= 0) & (other <= 1)).all():
            raise ValueError("an evaluated probability is between 0 and 1")
        if (predicted is None) != (baseline is None):
            raise ValueError("a reward model gives both predicted and baseline, or neither")
        modelled = predicted is not None and baseline is not None
        guess = _column(predicted, n) if predicted is not None else np.zeros(n)
        base = _column(baseline, n) if baseline is not None else np.zeros(n)
        weight = other / chance
        columns = np.column_stack([np.ones(n), weight, reward, weight * reward, base, weight * guess])
        if clusters is not None:
            codes = cluster_codes(clusters, n)
            columns = np.column_stack([np.bincount(codes, weights=column) for column in columns.T])
        return cls(Moments.from_values(columns), float(weight @ weight), float(weight.max()), modelled)

    def __add__(self, other: LoggedRounds) -> LoggedRounds:
        """Both logs; no cluster may be in both.

        Raises:
            ValueError: only one of them has a reward model.
        """
        if self.modelled != other.modelled:
            raise ValueError("logs with and without a reward model do not add")
        return LoggedRounds(
            self.moments + other.moments,
            self.squared_weights + other.squared_weights,
            max(self.largest_weight, other.largest_weight),
            self.modelled,
        )

    def logged_policy(self) -> OffPolicyEstimate:
        """Mean reward of the policy that ran."""
        return self._estimate("logged")

    def ips(self) -> OffPolicyEstimate:
        """Inverse propensity score: mean of w r. Unbiased where propensities are right.

        Source: Horvitz and Thompson (1952), JASA 47(260).

        Raises:
            ValueError: fewer than two units; so too the others.
        """
        return self._estimate("ips")

    def snips(self) -> OffPolicyEstimate:
        """Self-normalised: sum of w r / sum of w. Indifferent to a shift of all rewards; bias of order 1/n.

        Source: Swaminathan and Joachims (2015), "The self-normalized estimator for counterfactual learning".

        Raises:
            ValueError: the other policy would have chosen nothing that was chosen.
        """
        return self._estimate("snips")

    def dm(self) -> OffPolicyEstimate:
        """Direct method: mean of the baseline. As good as the reward model, whose error it does not show.

        Raises:
            ValueError: no reward model; so too `dr` and `sndr`.
        """
        return self._estimate("dm")

    def dr(self) -> OffPolicyEstimate:
        """Doubly robust: mean of baseline + w (r - predicted). Right if propensities or the model are.

        Source: Dudik, Langford and Li (2011), "Doubly robust policy evaluation and learning",
            arXiv:1103.4601, their estimator DR.
        """
        return self._estimate("dr")

    def sndr(self) -> OffPolicyEstimate:
        """Self-normalised doubly robust: mean of baseline + sum of w (r - predicted) / sum of w.

        Source: Thomas and Brunskill (2016), "Data-efficient off-policy policy evaluation", weighted
            doubly robust, for one step.
        """
        return self._estimate("sndr")

    def effect(self, method: str) -> Effect:
        """The other policy against the one that ran, on the same rounds, so with their covariance.

        Args:
            method: ips, snips, dm, dr or sndr.

        Raises:
            ValueError: another method, or as that method.
        """
        if method not in ("ips", "snips", "dm", "dr", "sndr"):
            raise ValueError(f"a method is ips, snips, dm, dr or sndr, not {method!r}")
        treatment, gradient = self._value_and_gradient(method)
        control, own = self._value_and_gradient("logged")
        return Effect(
            self._arm(control, own),
            self._arm(treatment, gradient),
            covariance=float(own @ self._mean_covariance() @ gradient),
            own_df=self.moments.n - 1,
        )

    def check_weights(self) -> WeightCheck:
        """Whether the weights explode, or show that propensities are wrong.

        It warns where the effective rounds are fewer than 100 or than a tenth of all, where one round alone
        has more than 1% of all weight, and where the mean weight is more than 4 standard errors from 1.

        >>> log = LoggedRounds.of([1, 0, 0, 1], logged=[0.01, 0.9, 0.9, 0.9], evaluated=[0.9, 0.1, 0.1, 0.1])
        >>> print(log.check_weights().warning)
        THE WEIGHTS EXPLODE: 4 rounds tell as much as 1.0 of the policy's own (25.2%), and one of them alone
        has 99.6% of all weight. The estimate rests on hardly anything: do not act on it without an
        experiment.

        Raises:
            ValueError: fewer than two units, or all weights are zero.
        """
        mean_weight, gradient = self._ratio(_WEIGHT, _ROUNDS)
        if mean_weight == 0:
            raise ValueError(_NOTHING)
        rounds = round(float(self.moments.mean[_ROUNDS]) * self.moments.n)
        total = mean_weight * rounds
        effective = total**2 / self.squared_weights
        largest = self.largest_weight / total
        complaints = []
        if effective < max(_LEAST_ROUNDS, _LEAST_SHARE * rounds) or largest > _LARGEST_SHARE:
            complaints.append(
                f"THE WEIGHTS EXPLODE: {rounds:,} rounds tell as much as {effective:,.1f} of the policy's "
                f"own ({effective / rounds:.1%}), and one of them alone has {largest:.1%} of all weight. The "
                "estimate rests on hardly anything: do not act on it without an experiment."
            )
        error = math.sqrt(self._arm(mean_weight, gradient).variance)
        if abs(mean_weight - 1) > _WEIGHT_Z * error + 1e-9:
            complaints.append(
                f"THE MEAN WEIGHT IS {mean_weight:.3f} INSTEAD OF 1, further away than chance explains: "
                "logged propensities are wrong, or the policy that ran never did what the other one does."
            )
        return WeightCheck(rounds, effective, largest, mean_weight, " ".join(complaints) or None)

    def _value_and_gradient(self, method: str) -> tuple[float, Vector]:
        if method == "logged":
            return self._ratio(_REWARD, _ROUNDS)
        if method == "ips":
            return self._ratio(_WEIGHTED, _ROUNDS)
        if method == "snips":
            return self._ratio(_WEIGHTED, _WEIGHT)
        if not self.modelled:
            raise ValueError("this estimator needs a reward model: give predicted and baseline")
        value, gradient = self._ratio(_BASELINE, _ROUNDS)
        if method == "dm":
            return value, gradient
        over = _ROUNDS if method == "dr" else _WEIGHT
        (earned, by_earned), (guessed, by_guessed) = (
            self._ratio(_WEIGHTED, over),
            self._ratio(_PREDICTED, over),
        )
        return value + earned - guessed, gradient + by_earned - by_guessed

    def _ratio(self, column: int, over: int) -> tuple[float, Vector]:
        """A ratio of two columns' means, and its gradient in the six means."""
        mean = self.moments.mean
        if mean[over] == 0:
            raise ValueError(_NOTHING)
        value = float(mean[column] / mean[over])
        gradient = np.zeros(len(mean))
        gradient[column] += 1 / mean[over]
        gradient[over] -= value / mean[over]
        return value, gradient

    def _estimate(self, method: str) -> OffPolicyEstimate:
        arm = self._arm(*self._value_and_gradient(method))
        warning = None if method in ("logged", "dm") else self.check_weights().warning
        return OffPolicyEstimate(method, arm.value, math.sqrt(arm.variance), arm.df, warning)

    def _arm(self, value: float, gradient: Vector) -> Estimate:
        variance = max(float(gradient @ self._mean_covariance() @ gradient), 0.0)
        return Estimate(value, variance, self.moments.n - 1, self.moments.n)

    def _mean_covariance(self) -> Vector:
        return self.moments.covariance() / self.moments.n


def _column(values: ArrayLike, n: int | None) -> Vector:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or len(column) == 0 or (n is not None and len(column) != n):
        raise ValueError("rounds are arrays of one dimension and length, with at least one element")
    if not np.isfinite(column).all():
        raise ValueError("values of a round are finite")
    return column
