"""A judge whose verdicts are on file."""

from __future__ import annotations

from pydantic import model_validator

from promptarena.definitions.cell import Texts
from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.table_source import TableSource

__all__ = ["Judge", "RecordedVerdicts", "VerdictValues"]


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
    values: VerdictValues = VerdictValues()


class Judge(Frozen):
    """Who says which of two outputs is better."""

    recorded: RecordedVerdicts
