"""Cells of tables of records: their values as text, and references to them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from promptarena.definitions.frozen import Frozen

__all__ = ["ColumnValue", "Text", "TextOrColumn", "Texts", "as_text", "is_column"]


def as_text(value: Any) -> Any:
    """A scalar as the text that a CSV file would hold, so that `1`, `"1"` and `1.0` name the same thing.

    >>> as_text(1), as_text(" 1 "), as_text(1.0), as_text(True)
    ('1', '1', '1', 'true')
    """
    match value:
        case str():  # first, as most cells are text
            return value.strip()
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        case float():
            return repr(value)
        case _:
            return value


def _as_list(written: Any) -> Any:
    return written if isinstance(written, list | tuple) else (written,)


Text = Annotated[str, BeforeValidator(as_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[str, ...])]
"""One text or a list of them."""


class ColumnValue(Frozen):
    """The value that the dataset holds for the case."""

    column: Annotated[str, Field(min_length=1)]


def is_column(written: Any) -> bool:
    """Whether `{column: NAME}` is written, whatever the name."""
    return isinstance(written, dict) and list(written) == ["column"]


def _text_or_column(written: Any) -> Any:
    """One message where a union would have one for each of its members."""
    if is_column(written) or isinstance(written, str | ColumnValue):
        return written
    if isinstance(written, int | float):
        return as_text(written)
    raise ValueError("write a text, or {column: NAME} for what the dataset holds")


TextOrColumn = Annotated[ColumnValue | str, BeforeValidator(_text_or_column)]
