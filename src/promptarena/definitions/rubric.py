"""A rubric: the axes that single answers are scored on, each with levels that words anchor.

    rubric:
      accuracy:
        question: Does the answer say what the policy says?
        levels:
          1: It contradicts the policy, or invents one.
          3: It follows the policy but leaves out a condition that matters here.
          5: It follows the policy, with every condition that matters here.

Scores are whole numbers from the lowest level to the highest; `scale` widens that. Levels between those that
have words are for answers between them.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, model_validator

from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.names import Name, Text
from promptarena.definitions.quantities import Whole

__all__ = ["MOST_LEVELS", "Rubric", "RubricAxis"]

MOST_LEVELS: Final = 101
"""Of one scale; more than a model can tell apart."""


class RubricAxis(Frozen):
    """One thing to score, and what its scores mean."""

    question: Text
    """What the judge is to ask itself of the answer; text, or `file://` and a path."""
    levels: Annotated[dict[int, Text], Field(min_length=2)]
    """By score, what an answer of that score is like: at least the two ends."""
    scale: tuple[Whole, Whole] | None = None
    """The lowest and the highest score; those of `levels` where not said."""

    @model_validator(mode="after")
    def _scale_holds_the_levels(self) -> RubricAxis:
        if self.scale is not None and self.scale[0] >= self.scale[1]:
            raise mistake("A scale is [lowest, highest].", field="scale", involving=("scale",))
        outside = [level for level in self.levels if not self.low <= level <= self.high]
        if outside:
            raise mistake(
                f"The level {outside[0]} is outside of the scale {self.low} to {self.high}.",
                field="levels",
                involving=("levels", "scale"),
            )
        if self.high - self.low >= MOST_LEVELS:
            raise mistake(
                f"A scale has at most {MOST_LEVELS} scores; this one has {self.high - self.low + 1:,}.",
                field="levels" if self.scale is None else "scale",
                involving=("levels", "scale"),
                hint="Models tell few levels apart: 1, 3 and 5 with words are a good rubric.",
            )
        return self

    @property
    def low(self) -> int:
        return self.scale[0] if self.scale else min(self.levels)

    @property
    def high(self) -> int:
        return self.scale[1] if self.scale else max(self.levels)


Rubric = Annotated[dict[Name, RubricAxis], Field(min_length=1)]
"""Axes by name; one call scores an answer on all of them."""
