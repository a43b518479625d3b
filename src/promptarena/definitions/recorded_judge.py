"""A judge whose verdicts and scores are on file.

    judge: {recorded: verdicts.csv, scores: scores.csv}

Verdicts compare two answers: columns id, first, second, verdict. Scores are of single answers on the axes of
a rubric: columns id, variant, axis, score. Both may have the columns repeat (which of several answers of the
same variant) and rationale (the judge's reason), under these or other names.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, model_validator

from promptarena.definitions.cell import Texts
from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.quantities import Number
from promptarena.definitions.table_source import TableSource

__all__ = ["Judge", "RecordedScores", "RecordedVerdicts", "VerdictValues"]


class VerdictValues(Frozen):
    """Which texts in the verdict column mean what. A variant's name always means that variant."""

    first: Texts = ("first", "a", "1")
    second: Texts = ("second", "b", "2")
    tie: Texts = ("tie", "draw", "equal")

    @model_validator(mode="after")
    def _no_text_means_two_things(self) -> VerdictValues:
        names = ("first", "second", "tie")
        written = [text.casefold() for name in names for text in set(getattr(self, name))]
        if len(set(written)) != len(written):
            raise mistake("The same text stands for two verdicts.", involving=names)
        return self


class RecordedVerdicts(TableSource):
    """Pairwise verdicts on file: one record for each case and display order."""

    first: str = "first"
    """The column that names the variant shown first."""
    second: str = "second"
    """The column that names the variant shown second."""
    verdict: str = "verdict"
    """The column of the verdict."""
    repeat: str = "repeat"
    """The column that says which of several answers of the same variants was judged; it may be absent."""
    rationale: str = "rationale"
    """The column of the judge's reason; it may be absent."""
    values: VerdictValues = VerdictValues()


def _ascending(written: tuple[float, float]) -> tuple[float, float]:
    if not written[0] < written[1]:
        raise ValueError(f"a scale is [lowest, highest], and {written[0]:g} is not below {written[1]:g}")
    return written


class RecordedScores(TableSource):
    """Scores of single answers on file: one record for each case, variant and axis."""

    variant: str = "variant"
    """The column that names the variant whose answer was scored."""
    axis: str = "axis"
    """The column that names the axis of the rubric."""
    score: str = "score"
    """The column of the score; what is empty is unscored, never 0."""
    repeat: str = "repeat"
    """The column that says which of several answers of the variant was scored; it may be absent."""
    rationale: str = "rationale"
    """The column of the judge's reason; it may be absent."""
    scale: Annotated[tuple[Number, Number], AfterValidator(_ascending)] = (1.0, 5.0)
    """The lowest and the highest score that there can be."""


class Judge(Frozen):
    """What was said of the answers: which of two is better (`recorded`), how good each is (`scores`), or
    both."""

    recorded: RecordedVerdicts | None = None
    scores: RecordedScores | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Judge:
        if self.recorded is None and self.scores is None:
            raise mistake("A judge has `recorded` verdicts, `scores` or both.")
        return self
