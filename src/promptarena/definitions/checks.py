"""Checks of one output by code: what it must equal, contain, match, validate against, or not exceed."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from promptarena.definitions.frozen import Frozen, mistake

__all__ = ["CheckKind", "ColumnValue", "LengthRule", "LengthUnit", "OutputCheck", "Text", "as_text"]

MAX_PATTERN: Final = 2_000
"""Characters of a regular expression."""


def as_text(value: Any) -> Any:
    """A scalar as the text that a CSV file would hold, so that `1`, `"1"` and `1.0` name the same thing.

    >>> as_text(1), as_text(" 1 "), as_text(1.0), as_text(True)
    ('1', '1', '1', 'true')
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        case float():
            return repr(value)
        case str():
            return value.strip()
        case _:
            return value


Text = Annotated[str, BeforeValidator(as_text)]


class CheckKind(StrEnum):
    EQUALS = "equals"
    CONTAINS = "contains"
    REGEX = "regex"
    JSON_SCHEMA = "json-schema"
    LENGTH = "length"


class LengthUnit(StrEnum):
    CHARACTERS = "characters"
    WORDS = "words"
    """What white space separates."""


class ColumnValue(Frozen):
    """The value that the dataset holds for the case."""

    column: Annotated[str, Field(min_length=1)]


class LengthRule(Frozen):
    """How long an output may be, both ends included. A plain number is the most characters."""

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=0)] | None = None
    unit: LengthUnit = LengthUnit.CHARACTERS

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        return {"max": written} if isinstance(written, int) and not isinstance(written, bool) else written

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> LengthRule:
        if self.max is None and self.min == 0:
            raise ValueError("`length` needs `min`, `max` or both")
        if self.max is not None and self.max < self.min:
            raise mistake("`max` is below `min`.", field="max", involving=("min", "max"))
        return self


class OutputCheck(Frozen):
    """One check, written under its own name or with `not-` before it: `{not-contains: refund}`."""

    name: Annotated[str, Field(min_length=1)] | None = None
    """What reports and the gate call it; made from the check where absent."""
    ignore_case: bool = False
    """For equals, contains and regex."""
    equals: ColumnValue | str | None = None
    """The output, less white space at its ends, is exactly this."""
    not_equals: Annotated[ColumnValue | str | None, Field(alias="not-equals")] = None
    contains: ColumnValue | str | tuple[str, ...] | None = None
    """The output holds this text; of a list, each."""
    not_contains: Annotated[ColumnValue | str | tuple[str, ...] | None, Field(alias="not-contains")] = None
    """The output does not hold this text; of a list, none."""
    regex: str | None = None
    """Python's `re.search` finds it in the output."""
    not_regex: Annotated[str | None, Field(alias="not-regex")] = None
    json_schema: Annotated[dict[str, Any] | bool | str | None, Field(alias="json-schema")] = None
    """The output is JSON and valid against this schema, or the one in a `file://` named relative to this
    definition. `true` asks for JSON only."""
    not_json_schema: Annotated[dict[str, Any] | bool | str | None, Field(alias="not-json-schema")] = None
    length: LengthRule | None = None
    not_length: Annotated[LengthRule | None, Field(alias="not-length")] = None

    @field_validator("regex", "not_regex")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        if len(pattern) > MAX_PATTERN:
            raise ValueError(
                f"a pattern has at most {MAX_PATTERN:,} characters; this one has {len(pattern):,}"
            )
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{pattern[:60]!r} is not a regular expression: {error}") from None
        return pattern

    @field_validator("equals", "not_equals", "contains", "not_contains", mode="before")
    @classmethod
    def _is_text_or_column(cls, written: Any, info: ValidationInfo) -> Any:
        several = "contains" in str(info.field_name)
        texts = written if several and isinstance(written, list) else [written]
        if isinstance(written, dict) and list(written) == ["column"]:
            return written
        if not all(isinstance(text, str | int | float) for text in texts):
            accepted = "a text, a list of texts" if several else "a text"
            raise ValueError(f"write {accepted}, or {{column: NAME}} for what the dataset holds")
        if several and "" in (texts or [""]):
            raise ValueError("every text contains the empty text; write what is looked for")
        plain = [text if isinstance(text, str) else as_text(text) for text in texts]
        return plain if isinstance(written, list) else plain[0]

    @field_validator("regex", "not_regex", mode="before")
    @classmethod
    def _is_text(cls, written: Any) -> Any:
        return written if isinstance(written, str) else as_text(written)

    @field_validator("json_schema", "not_json_schema", mode="before")
    @classmethod
    def _is_a_schema_or_file(cls, value: Any) -> Any:
        if not (value is True or isinstance(value, dict) or str(value).startswith("file://")):
            raise ValueError("a JSON Schema is a mapping, `true` (any JSON), or `file://schema.json`")
        return value

    @model_validator(mode="after")
    def _is_one_check(self) -> OutputCheck:
        written = self._written()
        if len(written) != 1:
            found = " and ".join(f"`{name}`" for name in written) or "none"
            accepted = ", ".join(f"`{kind}`" for kind in CheckKind)
            raise ValueError(f"a check is one of {accepted}, each also with `not-` before it; found {found}")
        if self.ignore_case and self.kind in (CheckKind.JSON_SCHEMA, CheckKind.LENGTH):
            raise mistake(f"`ignore_case` means nothing to `{self.kind}`.", field="ignore_case")
        return self

    @property
    def kind(self) -> CheckKind:
        return CheckKind(self._written()[0].removeprefix("not-"))

    @property
    def negated(self) -> bool:
        return self._written()[0].startswith("not-")

    @property
    def value(self) -> Any:
        """What is written beside the check's name."""
        field = self._written()[0].replace("-", "_")
        return getattr(self, field)

    @property
    def title(self) -> str:
        """Its name, or one made of what it says.

        >>> OutputCheck.model_validate({"not-contains": ["sorry", "as an AI"]}).title
        'not-contains sorry, as an AI'
        """
        if self.name:
            return self.name
        match self.value:
            case ColumnValue() as reference:
                said = f"column {reference.column}"
            case LengthRule() as rule:
                least = f"at least {rule.min}" if rule.min or rule.max is None else ""
                most = f"at most {rule.max}" if rule.max is not None else ""
                said = f"{' and '.join(filter(None, (least, most)))} {rule.unit}"
            case tuple() as texts:
                said = ", ".join(texts)
            case str() as text:
                said = text.removeprefix("file://")
            case _:
                said = ""
        said = said if len(said) <= 40 else said[:37] + "..."
        return f"{self._written()[0]} {said}".strip()

    def _written(self) -> tuple[str, ...]:
        names = (f"{negation}{kind}" for kind in CheckKind for negation in ("", "not-"))
        return tuple(name for name in names if getattr(self, name.replace("-", "_")) is not None)
