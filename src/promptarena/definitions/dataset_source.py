"""A golden dataset as declared."""

from __future__ import annotations

from promptarena.definitions.table_source import TableSource

__all__ = ["DatasetSource"]


class DatasetSource(TableSource):
    """The golden dataset; each record is a case."""

    input: str | None = None
    """The column of the input; where it is named, every case must have one."""
