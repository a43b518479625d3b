"""From what is known of the rewards to the weights of the next epoch: a rule without a clock or a log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from promptarena.analysis.beliefs import belief
from promptarena.analysis.rewards import Rewards
from promptarena.definitions.bandit import Bandit
from promptarena.definitions.metric import Better, Metric
from promptarena.stats.bandits import ThompsonSampling
from promptarena.stats.moments import Moments

__all__ = ["ArmReward", "NextAllocation", "next_allocation"]

_DIGITS: Final = 4
_LEAST_MOVE: Final = 0.01
"""A change of every weight by less begins no epoch: it would move hardly anybody and thin out the strata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReward:
    """What is known of one variant."""

    units: int
    """With a reward."""
    mean: float | None
    """Of their rewards, over all epochs: what the bandit believes, and no estimate of an effect. `None`
    without any."""
    probability_best: float | None
    """`None` while some variant has too few units for a belief."""
    before: float
    """Its weight now."""
    weight: float
    """Its weight by the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextAllocation:
    """What the rule says."""

    reward: str
    """Name of the metric."""
    arms: dict[str, ArmReward]
    """By variant, control first."""
    burning_in: bool
    """Weights are equal, because a variant has fewer units than the burn-in asks for."""
    moves: bool
    """Whether some weight changes by enough to begin an epoch."""

    @property
    def weights(self) -> dict[str, float]:
        """By variant, summing to 1."""
        return {name: arm.weight for name, arm in self.arms.items()}


def next_allocation(
    bandit: Bandit, metric: Metric, rewards: Rewards, present: Mapping[str, float]
) -> NextAllocation:
    """The weights of the next epoch.

    Rates are believed in by Beta(1, 1), everything else by the normal model with the reference prior. A
    belief rests on all epochs of its variant together: where rewards drift while weights move, it is a worse
    guide to the best variant; the size of an effect never rests on it, but is estimated within epochs.

    Args:
        bandit: the rule.
        metric: the reward's.
        rewards: what is known.
        present: weights now, by variant in the order of the definition.
    """
    sums = {name: _total(rewards, name) for name in present}
    rule = ThompsonSampling(bandit.min_share, bandit.burn_in, bandit.top_two)
    found = rule.allocation(
        [belief(metric, moments) for moments in sums.values()],
        higher_is_better=metric.better is Better.HIGHER,
    )
    weights = _readable([float(weight) for weight in found.weights])
    chances = [None] * len(weights) if found.probability_best is None else map(float, found.probability_best)
    arms = {
        name: ArmReward(
            units=moments.n,
            mean=float(moments.mean[0]) if moments.n else None,
            probability_best=chance,
            before=present[name],
            weight=weight,
        )
        for (name, moments), weight, chance in zip(sums.items(), weights, chances, strict=True)
    }
    return NextAllocation(
        reward=metric.name,
        arms=arms,
        burning_in=found.burning_in,
        moves=any(abs(arm.weight - arm.before) >= _LEAST_MOVE for arm in arms.values()),
    )


def _total(rewards: Rewards, variant: str) -> Moments:
    return sum((moments for (name, _), moments in rewards.items() if name == variant), Moments.empty(1))


def _readable(weights: list[float]) -> list[float]:
    """Weights of four digits that sum to 1; the largest takes what rounding leaves."""
    rounded = [round(weight, _DIGITS) for weight in weights]
    largest = rounded.index(max(rounded))
    rounded[largest] = round(rounded[largest] + 1 - sum(rounded), _DIGITS)
    return rounded
