"""Thompson sampling by published weights: how much of the traffic each variant gets in the next epoch.

Classic Thompson sampling draws once a request, which makes the propensities unknown. Here the probability of
being drawn is computed exactly and becomes the epoch's allocation, so that the weights are the propensities
and what was learnt can be estimated afterwards without bias (`adaptive_contrast`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from promptarena.stats.posteriors import Posterior, probability_best

__all__ = ["BanditAllocation", "ThompsonSampling", "with_least_share"]

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BanditAllocation:
    """The next epoch's weights, which are its propensities."""

    weights: Vector
    """Shape (arms,), summing to 1, each at least the least share."""
    probability_best: Vector | None
    """Shape (arms,), summing to 1; `None` during burn-in without beliefs of every arm."""
    burning_in: bool
    """Weights are still equal, because an arm has too few observed units."""


@dataclass(frozen=True, slots=True)
class ThompsonSampling:
    """A rule fixed before the data.

    Two arms after 200 units each, 60 and 76 successes; the better one gets most of the next batch, and no arm
    less than a tenth of it:

    >>> from promptarena.stats.posteriors import BetaPosterior
    >>> rule = ThompsonSampling(least_share=0.1, burn_in=100)
    >>> arms = [BetaPosterior.prior().updated(60, 200), BetaPosterior.prior().updated(76, 200)]
    >>> epoch = rule.allocation(arms)
    >>> [round(float(p), 4) for p in epoch.probability_best], [round(float(w), 4) for w in epoch.weights]
    ([0.046, 0.954], [0.1, 0.9])

    Outcomes of that batch arrive, 5 of 20 and 70 of 180:

    >>> arms = [arms[0].updated(5, 20), arms[1].updated(70, 180)]
    >>> [round(float(p), 4) for p in rule.allocation(arms).probability_best]
    [0.0141, 0.9859]

    Raises:
        ValueError: a least share or top-two share outside [0, 1), or a negative burn-in.

    Source: Thompson (1933), Biometrika 25; Russo (2020), "Simple Bayesian algorithms for best-arm
        identification", Operations Research 68(6), for top-two.
    """

    least_share: float = 0.05
    """Every arm's weight is at least this: without it, nothing can be learnt of an arm any more."""
    burn_in: int = 100
    """Weights are equal until every arm has this many observed units."""
    top_two: float | None = None
    """Probability of taking the arm that is drawn as best; else the best of a new draw that differs. 1/2
    finds the best arm sooner and earns less meanwhile. `None`: plain Thompson sampling."""

    def __post_init__(self) -> None:
        if not 0 <= self.least_share < 1:
            raise ValueError(f"a least share is in [0, 1), not {self.least_share}")
        if self.burn_in < 0:
            raise ValueError(f"a burn-in is of zero or more units, not {self.burn_in}")
        if self.top_two is not None and not 0 < self.top_two < 1:
            raise ValueError(f"the share of the top arm is in (0, 1), not {self.top_two}")

    def allocation(
        self, arms: Sequence[Posterior | None], *, higher_is_better: bool = True
    ) -> BanditAllocation:
        """The next epoch's weights from what is known now.

        Args:
            arms: a belief each, from units whose window has closed; `None` where there are too few units
                for one.
            higher_is_better: the metric's direction.

        Raises:
            ValueError: fewer than two arms, a least share that they cannot all have, no belief of an arm
                although there is no burn-in, or as `probability_best`.
        """
        if len(arms) < 2 or self.least_share * len(arms) > 1 + 1e-12:
            raise ValueError(f"{len(arms)} arms cannot share with at least {self.least_share} each")
        known = [arm for arm in arms if arm is not None]
        complete = len(known) == len(arms)
        best = probability_best(known, higher_is_better=higher_is_better) if complete else None
        if best is None and self.burn_in == 0:
            raise ValueError("without a burn-in every arm needs a belief")
        if best is None or min(arm.units for arm in known) < self.burn_in:
            return BanditAllocation(np.full(len(arms), 1 / len(arms)), best, burning_in=True)
        drawn = best if self.top_two is None else _top_two(best, self.top_two)
        return BanditAllocation(with_least_share(drawn, self.least_share), best, burning_in=False)


def with_least_share(weights: ArrayLike, least: float) -> Vector:
    """Raise weights below `least` to it and shrink the others by one factor, so that the sum is 1.

    >>> [round(float(w), 6) for w in with_least_share([0.02, 0.08, 0.9], 0.05)]
    [0.05, 0.077551, 0.872449]

    Raises:
        ValueError: negative weights, weights that sum to zero, or a share that not all can have.
    """
    given = np.asarray(weights, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & np.isfinite(given)).all() or given.sum() == 0:
        raise ValueError("weights are finite, zero or more, and not all zero")
    if not 0 <= least * len(given) <= 1 + 1e-12:
        raise ValueError(f"{len(given)} arms cannot have at least {least} each")
    shares: Vector = given / given.sum()
    raised = np.zeros(len(given), dtype=bool)
    # Shrinking the others may push one of them below: at most one more round for each arm.
    for _ in range(len(given)):
        below = ~raised & (shares < least)
        if not below.any():
            break
        raised |= below
        free = max(1 - least * int(raised.sum()), 0.0)
        rest = float(given[~raised].sum())
        shares = np.where(raised, least, given * (free / rest) if rest > 0 else 0.0)
    result: Vector = shares / shares.sum()
    return result


def _top_two(best: Vector, share: float) -> Vector:
    """share a_i + (1 - share) times the sum over j != i of a_j a_i / (1 - a_j), a being P(best)."""
    arms = len(best)
    second = np.zeros(arms)
    for first in range(arms):
        others = np.delete(best, first)
        rest = float(others.sum())
        # Where the first is certain to double precision nothing tells the others apart.
        split = others / rest if rest > 0 else np.full(arms - 1, 1 / (arms - 1))
        second += best[first] * np.insert(split, first, 0.0)
    return share * best + (1 - share) * second
