"""What a duel asks of its treatments, and what a case counts for whose two display orders disagree."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.quantities import Share

__all__ = ["CheckRule", "ConflictRule", "GateRule", "WinRateRule"]


class ConflictRule(StrEnum):
    """What a case counts for whose two display orders disagree."""

    TIE = "tie"
    """A tie: a win needs both orders (the cautious rule of MT-Bench)."""
    AVERAGE = "average"
    """The mean of its two scores: a win and a tie are 3/4. The win rate is then a mean of quarters."""
    DROP = "drop"
    """Nothing: the case is left out of the win rate and the ranking."""


class WinRateRule(Frozen):
    """The win rate over the control that a treatment must show."""

    above: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """0.5 asks for better (superiority), a little less for not much worse (non-inferiority)."""


class CheckRule(Frozen):
    """What a treatment's pass rate must show; one of the three."""

    margin: Share | None = None
    """At most this much below the control's, by paired difference (non-inferiority)."""
    above: Annotated[float, Field(ge=0, lt=1)] | None = None
    """More than this above the control's, by paired difference (superiority)."""
    min: Share | None = None
    """More than this, whatever the control does."""

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> CheckRule:
        if sum(value is not None for value in (self.margin, self.above, self.min)) != 1:
            raise mistake(
                "A check's rule is one of `margin`, `above` and `min`.", involving=("margin", "above", "min")
            )
        return self


class GateRule(Frozen):
    """What every treatment must show before it may meet users."""

    win_rate: WinRateRule | None = None
    checks: dict[str, CheckRule] = Field(default_factory=dict)
    """By check name; `all` is for those without a rule of their own."""
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.025
    """One-sided: how often, at most, a treatment exactly at a threshold passes it. Intervals are reported at
    1 - 2 alpha."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> GateRule:
        if self.win_rate is None and not self.checks:
            raise mistake("A gate asks for `win_rate`, `checks` or both.", involving=("win_rate", "checks"))
        return self
