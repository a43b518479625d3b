"""A golden dataset as declared: the file, and what its columns are.

dataset: {file: golden/support.jsonl, input: question, context: documents, reference: expected,
          tags: topic, segments: [topic, tier], weight: weight, holdout: golden/sealed.jsonl}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from promptarena.definitions.cell import Texts
from promptarena.definitions.frozen import mistake
from promptarena.definitions.prompt_template import PromptTemplate
from promptarena.definitions.table_source import TableSource

__all__ = ["DatasetSource"]

Column = Annotated[str, Field(min_length=1)]


class DatasetSource(TableSource):
    """The golden dataset; each record is a case."""

    input: Column | None = None
    """The column of the input: a text, or a list of chat messages; every case must have one."""
    template: PromptTemplate | None = None
    """The input as a template over all of the record's columns, in place of `input`."""
    context: Column | None = None
    """The column of the source documents: a text, or a list of texts or of mappings with a `text`."""
    reference: Column | None = None
    """The column of the expected answer; a case may have none."""
    tags: Column | None = None
    """The column of tags: a list, or a text with commas between them."""
    segments: Texts = ()
    """Columns by whose values results are broken down."""
    weight: Column | None = None
    """The column that says how much a case counts, more than 0; 1 where a case says nothing."""
    cluster: Column | None = None
    """The column that says what a case is part of, such as a conversation or a document: cases of one cluster
    depend on each other, and intervals reckon with it. A case without a value stands alone."""
    holdout: Column | None = None
    """A second file with the same columns, which only the gate opens; how often it did is counted."""

    @model_validator(mode="after")
    def _has_one_input(self) -> DatasetSource:
        if self.input is not None and self.template is not None:
            raise mistake(
                "An input is a column (`input`) or made of several (`template`), not both.",
                field="template",
                involving=("input", "template"),
            )
        if self.holdout is not None and self.holdout == self.file:
            raise mistake(
                "The holdout is the dataset itself.",
                field="holdout",
                involving=("file", "holdout"),
                hint="Move some of its cases into a file of their own.",
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are named here, besides the id."""
        about = (self.input, self.context, self.reference, self.tags)
        named = (*about, *self.segments, self.weight, self.cluster)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def sealed(self) -> DatasetSource | None:
        """The holdout as a dataset of its own; None where there is none."""
        if self.holdout is None:
            return None
        return self.model_copy(update={"file": self.holdout, "holdout": None})
