"""An allocation that follows the outcomes: who gets more traffic is decided by a rule fixed beforehand.

    allocation: {bandit: thompson, update: 1h, min_share: 5%, burn_in: 200}

Every weight that it ever gives is an epoch's propensity, known before the epoch begins.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, model_validator

from promptarena.definitions.frozen import Shorthand, mistake
from promptarena.definitions.metric import MetricKind
from promptarena.definitions.names import Name
from promptarena.definitions.quantities import Duration, Share, Whole

__all__ = ["FOLLOWED", "Bandit", "BanditRule"]

FOLLOWED: Final = (MetricKind.RATE, MetricKind.COUNT, MetricKind.SUM, MetricKind.MEAN)
"""Kinds of metric that are one number a unit, which is what a bandit and its estimates follow."""
_LEADER: Final = 0.5


def _some_time(said: timedelta) -> timedelta:
    if said <= timedelta(0):
        raise ValueError("a time of no length is none")
    return said


class BanditRule(StrEnum):
    """How weights follow from what is believed of the variants."""

    THOMPSON = "thompson"
    """A variant's weight is the probability that it is the best."""
    TOP_TWO = "top-two"
    """The best is drawn with probability `leader`, else the best of the others: it finds the best one sooner
    and earns less meanwhile."""


class Bandit(Shorthand):
    """How the weights of the variants follow the outcomes."""

    shorthand: ClassVar[str] = "bandit"

    bandit: BanditRule
    reward: Name | None = None
    """The metric that the weights follow; the primary where nothing is said."""
    delay: Annotated[Duration, AfterValidator(_some_time)] | None = None
    """How long after its first exposure a unit's reward is taken, the same for all; the metric's window where
    nothing is said. A shorter one learns sooner, from less of what happens."""
    update: Annotated[Duration, AfterValidator(_some_time)] = timedelta(hours=1)
    """The weights move at most so often."""
    min_share: Annotated[Share, Field(gt=0)] = 0.05
    """Every variant keeps at least this weight: without it nothing could be learnt of one any more."""
    burn_in: Annotated[Whole, Field(ge=1)] = 200
    """Weights are equal until every variant has so many units with a reward."""
    leader: Annotated[Share, Field(gt=0, lt=1)] | None = None
    """Of `top-two`: the probability of the one that is drawn as best; a half where nothing is said."""

    @model_validator(mode="after")
    def _leader_fits_rule(self) -> Bandit:
        if self.leader is not None and self.bandit is BanditRule.THOMPSON:
            raise mistake(
                "`leader` belongs to `bandit: top-two`.", field="leader", involving=("bandit", "leader")
            )
        return self

    @property
    def top_two(self) -> float | None:
        """The leader's probability; `None` of plain Thompson sampling."""
        return (self.leader or _LEADER) if self.bandit is BanditRule.TOP_TWO else None
