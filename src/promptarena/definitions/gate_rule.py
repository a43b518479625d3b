"""What treatments must show before they may meet users, and what a case counts for whose orders disagree.

A duel and the offline stage of an experiment write it alike:

    gate: {win_rate: {above: 0.5}, axes: {accuracy: {margin: 0.1}}, checks: {all: {margin: 2%}}, alpha: 0.025}
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.quantities import Margin, Number, Share

__all__ = ["AxisRule", "CheckRule", "ConflictRule", "GateRule", "WinRateRule"]


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

    above: Annotated[Share, Field(lt=1)] = 0.5
    """0.5 asks for better (superiority), a little less for not much worse (non-inferiority)."""


class CheckRule(Frozen):
    """What a treatment's pass rate must show; one of the three."""

    margin: Margin | None = None
    """At most this much below the control's, by paired difference (non-inferiority); a plain number is of the
    rate itself (0.1: 10 points), with `%` it is of the control's rate."""
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
        if self.margin is not None and self.margin.value >= 1:
            points, wanted = self.margin.value, self.margin.value / 100
            hint = "Without % a margin is of the rate itself: 0.1 is 10 points."
            if not self.margin.relative and points < 100:
                hint = (
                    f"Write {wanted:g} for {points:g} points, or {points:g}% for that part of the control's."
                )
            raise mistake(
                f"A margin of {self.margin} allows every pass rate there is, from 0 to 1.",
                field="margin",
                involving=("margin",),
                hint=hint,
            )
        return self


class AxisRule(Frozen):
    """What a treatment's mean score on an axis of the rubric must show; one of the three."""

    margin: Margin | None = None
    """At most this much below the control's, by paired difference (non-inferiority); in levels of the scale,
    or with `%` in per cent of the control's mean."""
    above: Annotated[Number, Field(ge=0)] | None = None
    """More than this above the control's, by paired difference in levels (superiority)."""
    min: Number | None = None
    """More than this, whatever the control's."""

    @model_validator(mode="after")
    def _asks_for_one_thing(self) -> AxisRule:
        if sum(value is not None for value in (self.margin, self.above, self.min)) != 1:
            raise mistake(
                "An axis' rule is one of `margin`, `above` and `min`.", involving=("margin", "above", "min")
            )
        if self.margin is not None and self.margin.relative and self.margin.value >= 1:
            raise mistake(
                f"A margin of {self.margin} allows every score there is; it is less than 100%.",
                field="margin",
                involving=("margin",),
                hint="Without % a margin is in levels of the scale.",
            )
        return self


class GateRule(Frozen):
    """What every treatment must show on the golden dataset before it may meet users."""

    win_rate: WinRateRule | None = None
    axes: dict[str, AxisRule] = Field(default_factory=dict)
    """By axis of the rubric; `all` is for those without a rule of their own."""
    checks: dict[str, CheckRule] = Field(default_factory=dict)
    """By check name; `all` is for those without a rule of their own."""
    alpha: Annotated[Number, Field(gt=0, lt=0.5)] = 0.025
    """One-sided: how often, at most, a treatment exactly at a threshold passes it. Intervals are reported at
    1 - 2 alpha."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> GateRule:
        if self.win_rate is None and not self.axes and not self.checks:
            raise mistake("A gate asks for at least one of `win_rate`, `axes` and `checks`.")
        return self
