"""A file of records that a definition reads: which file, which column is the id, which records count."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from promptarena.definitions.cell import Texts
from promptarena.definitions.frozen import Shorthand

__all__ = ["TableSource", "Texts"]


class TableSource(Shorthand):
    """A file of records: JSONL (.jsonl, .ndjson), CSV (.csv, .tsv) or a YAML list (.yaml, .yml) in UTF-8, or
    Parquet (.parquet)."""

    shorthand: ClassVar[str] = "file"
    file: Annotated[str, Field(min_length=1)]
    id: str = "id"
    """The column that holds the case's id."""
    where: dict[str, Texts] = Field(default_factory=dict)
    """Only records whose column holds this text, or one of these."""
