"""Kinds of names that users give and refer to."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

__all__ = ["FactName", "Name", "Text"]

_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_FACT: Final = r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$"


def _name(written: str) -> str:
    if not re.fullmatch(_NAME, written):
        raise ValueError(
            "a name has letters, digits, `-`, `_` and `.`, begins with a letter or digit, "
            "and is at most 100 long"
        )
    return written


def _fact(written: str) -> str:
    if not re.fullmatch(_FACT, written):
        raise ValueError(
            "a measurement or field has letters, digits, `-`, `_` and `.`, and begins with a letter or `_`"
        )
    return written


def _text(written: str) -> str:
    if not written.strip():
        raise ValueError("expected some text; found none")
    return written


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": _NAME})]
"""Of an experiment, variant, feature, provider, metric or attribute."""
FactName = Annotated[str, AfterValidator(_fact), WithJsonSchema({"type": "string", "pattern": _FACT})]
"""Of a measurement, a field of a generation, or a table's column."""
Text = Annotated[str, AfterValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
"""Any text but none."""
