"""Checks of one output by code: what it must equal, contain, match, validate against, call or not exceed.

    checks:
      - {contains: refund}                              # a text, or {column: NAME} of the dataset
      - {contains-any: [14 days, two weeks], ignore_case: true}
      - {json-schema: file://answer.json}
      - {not-is-refusal: true, when: {topic: billing}}  # only where the case's column says so
      - {latency: 2000}                                 # milliseconds; of the call, where it is known
      - {tool-calls: [{name: find_order, arguments: {id: 7}}]}
      - {python: support_checks:is_polite}              # allow-listed in arena.yaml

`not-` before any name asks for the exact opposite.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import (
    AliasChoices,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from promptarena.definitions.cell import ColumnValue, Text, TextOrColumn, Texts, as_text, is_column
from promptarena.definitions.check_rules import (
    AmountRule,
    CodeRule,
    HookRule,
    LengthRule,
    LevenshteinRule,
    PersonalDataRule,
    ToolCallRule,
)
from promptarena.definitions.frozen import Frozen, mistake

__all__ = ["CheckKind", "ColumnValue", "OutputCheck", "Text", "as_text"]

MAX_PATTERN: Final = 2_000
"""Characters of a regular expression."""
_NOT: Final = "not-"


class CheckKind(StrEnum):
    EQUALS = "equals"
    CONTAINS = "contains"
    CONTAINS_ANY = "contains-any"
    CONTAINS_ALL = "contains-all"
    STARTS_WITH = "starts-with"
    ENDS_WITH = "ends-with"
    REGEX = "regex"
    IS_JSON = "is-json"
    JSON_SCHEMA = "json-schema"
    LENGTH = "length"
    LEVENSHTEIN = "levenshtein"
    IS_REFUSAL = "is-refusal"
    PII_LEAK = "pii-leak"
    LATENCY = "latency"
    TTFT = "ttft"
    COST = "cost"
    FINISH_REASON = "finish-reason"
    TOOL_CALLS = "tool-calls"
    PASSES_TESTS = "passes-tests"
    PYTHON = "python"


_WITH_CASE: Final = (
    CheckKind.EQUALS,
    CheckKind.CONTAINS,
    CheckKind.CONTAINS_ANY,
    CheckKind.CONTAINS_ALL,
    CheckKind.STARTS_WITH,
    CheckKind.ENDS_WITH,
    CheckKind.REGEX,
    CheckKind.LEVENSHTEIN,
)
_FLAGS: Final = (CheckKind.IS_JSON, CheckKind.IS_REFUSAL)


def _kind(kind: CheckKind) -> Any:
    """A field that is written under its kind's name, or with `not-` before it."""
    return Field(default=None, validation_alias=AliasChoices(kind.value, _NOT + kind.value))


class OutputCheck(Frozen):
    """One check, written under its own name or with `not-` before it: `{not-contains: refund}`."""

    name: Annotated[str, Field(min_length=1)] | None = None
    """What reports and the gate call it; made from the check where absent."""
    ignore_case: bool = False
    """For checks that compare texts."""
    when: dict[str, Texts] = Field(default_factory=dict)
    """Only cases whose column holds this text, or one of these; a list there holds each of its items."""
    negated: bool = False
    """Whether it was written with `not-`."""
    equals: TextOrColumn | None = _kind(CheckKind.EQUALS)
    """The output, less white space at its ends, is exactly this."""
    contains: TextOrColumn | None = _kind(CheckKind.CONTAINS)
    """The output holds this text."""
    contains_any: ColumnValue | tuple[str, ...] | None = _kind(CheckKind.CONTAINS_ANY)
    """The output holds at least one of these texts; in a column: a list, or a text with commas."""
    contains_all: ColumnValue | tuple[str, ...] | None = _kind(CheckKind.CONTAINS_ALL)
    """The output holds every one of these texts."""
    starts_with: TextOrColumn | None = _kind(CheckKind.STARTS_WITH)
    """The output, less white space before it, begins so."""
    ends_with: TextOrColumn | None = _kind(CheckKind.ENDS_WITH)
    """The output, less white space after it, ends so."""
    regex: str | None = _kind(CheckKind.REGEX)
    """Python's `re.search` finds it in the output."""
    is_json: bool | None = _kind(CheckKind.IS_JSON)
    """The output is JSON."""
    json_schema: dict[str, Any] | bool | str | None = _kind(CheckKind.JSON_SCHEMA)
    """The output is JSON and valid against this schema, or the one in a `file://` named relative to this
    definition. `true` asks for JSON only."""
    length: LengthRule | None = _kind(CheckKind.LENGTH)
    levenshtein: LevenshteinRule | None = _kind(CheckKind.LEVENSHTEIN)
    is_refusal: bool | None = _kind(CheckKind.IS_REFUSAL)
    """The output declines to answer, by its wording (English) or by how the provider says that it ended."""
    pii_leak: PersonalDataRule | None = _kind(CheckKind.PII_LEAK)
    """The output holds personal data."""
    latency: AmountRule | None = _kind(CheckKind.LATENCY)
    """Milliseconds from the request to the last byte."""
    ttft: AmountRule | None = _kind(CheckKind.TTFT)
    """Milliseconds from the request to the first content token; known of streamed calls."""
    cost: AmountRule | None = _kind(CheckKind.COST)
    """US dollars of the call."""
    finish_reason: Texts | None = _kind(CheckKind.FINISH_REASON)
    """The call ended for this reason, or one of these, in the provider's own word: `stop`, `length`, ..."""
    tool_calls: ToolCallRule | None = _kind(CheckKind.TOOL_CALLS)
    passes_tests: CodeRule | None = _kind(CheckKind.PASSES_TESTS)
    python: HookRule | None = _kind(CheckKind.PYTHON)

    @classmethod
    def written_names(cls) -> tuple[str, ...]:
        kinds = [kind.value for kind in CheckKind]
        return ("name", "ignore_case", "when", *kinds, *(_NOT + kind for kind in kinds))

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_fields(cls, written: Any) -> Any:
        """And note which of the two ways a check is written in."""
        if not isinstance(written, dict):
            return written
        accepted = cls.written_names()
        if unknown := [key for key in written if key not in accepted]:
            # Half of what is accepted is the other half with `not-`.
            told = tuple(name for name in accepted if not name.startswith(_NOT))
            raise PydanticCustomError(
                "unknown_fields",
                "unknown fields {unknown}; accepted: {accepted}",
                {"unknown": unknown, "accepted": told},
            )
        kinds = [key for key in written if key.removeprefix(_NOT) in set(CheckKind)]
        if len(kinds) != 1:
            found = " and ".join(f"`{name}`" for name in kinds) or "none"
            known = ", ".join(f"`{kind}`" for kind in CheckKind)
            raise ValueError(f"a check is one of {known}, each also with `not-` before it; found {found}")
        [kind] = kinds
        if written[kind] is None:
            raise ValueError(f"`{kind}` says nothing")
        return {**written, "negated": kind.startswith(_NOT)}

    @field_validator("regex")
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

    @field_validator("equals", "contains", "starts_with", "ends_with", mode="before")
    @classmethod
    def _is_one_text(cls, written: Any, info: ValidationInfo) -> Any:
        if isinstance(written, list) and info.field_name == "contains":
            raise ValueError("write `contains-all` (every one of them) or `contains-any` (at least one)")
        if written == "" and info.field_name != "equals":
            raise ValueError("every text holds the empty text; write what is looked for")
        return written

    @field_validator("contains_any", "contains_all", mode="before")
    @classmethod
    def _are_texts_or_column(cls, written: Any) -> Any:
        if is_column(written):
            return written
        if not (
            isinstance(written, list) and written and all(isinstance(x, str | int | float) for x in written)
        ):
            raise ValueError("write a list of texts, or {column: NAME} for what the dataset holds")
        if "" in written:
            raise ValueError("every text holds the empty text; write what is looked for")
        return [text if isinstance(text, str) else as_text(text) for text in written]

    @field_validator("regex", mode="before")
    @classmethod
    def _is_text(cls, written: Any) -> Any:
        return written if isinstance(written, str) else as_text(written)

    @field_validator("json_schema", mode="before")
    @classmethod
    def _is_a_schema_or_file(cls, value: Any) -> Any:
        if not (value is True or isinstance(value, dict) or str(value).startswith("file://")):
            raise ValueError("a JSON Schema is a mapping, `true` (any JSON), or `file://schema.json`")
        return value

    @field_validator("is_json", "is_refusal", mode="before")
    @classmethod
    def _is_true(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not True:
            name = str(info.field_name).replace("_", "-")
            raise ValueError(f"write `{name}: true`, or `not-{name}: true` for the opposite")
        return value

    @model_validator(mode="after")
    def _options_fit(self) -> OutputCheck:
        if self.ignore_case and self.kind not in _WITH_CASE:
            raise mistake(f"`ignore_case` means nothing to `{self.kind}`.", field="ignore_case")
        return self

    @property
    def kind(self) -> CheckKind:
        return next(kind for kind in CheckKind if getattr(self, _field(kind)) is not None)

    @property
    def value(self) -> Any:
        """What is written beside the check's name."""
        return getattr(self, _field(self.kind))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the dataset that it looks at."""
        match self.value:
            case ColumnValue() as reference:
                values: tuple[Any, ...] = (reference,)
            case LevenshteinRule() as rule:
                values = (rule.to,)
            case PersonalDataRule() as rule:
                values = rule.allow
            case ToolCallRule(column=str() as name):
                values = (ColumnValue(column=name),)
            case CodeRule() as rule:
                values = (rule.tests,)
            case HookRule() as rule:
                values = tuple(ColumnValue(column=name) for name in rule.columns)
            case _:
                values = ()
        named = (value.column for value in values if isinstance(value, ColumnValue))
        return tuple(dict.fromkeys((*self.when, *named)))

    @property
    def title(self) -> str:
        """Its name, or one made of what it says.

        >>> OutputCheck.model_validate({"not-contains-any": ["sorry", "as an AI"]}).title
        'not-contains-any sorry, as an AI'
        """
        if self.name:
            return self.name
        match self.value:
            case ColumnValue() as reference:
                said = f"column {reference.column}"
            case tuple() as texts:
                said = ", ".join(texts)
            case bool() | dict():
                said = ""
            case str() as text:
                said = text.removeprefix("file://")
            case rule:
                said = str(rule)
        said = said if len(said) <= 40 else said[:37] + "..."
        where = "; ".join(f"{name} {', '.join(texts)}" for name, texts in self.when.items())
        where = f" where {where if len(where) <= 40 else where[:37] + '...'}" if where else ""
        return f"{_NOT if self.negated else ''}{self.kind} {said}".strip() + where

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        written = handler(core_schema)
        properties = handler.resolve_ref_schema(written)["properties"]
        del properties["negated"]
        for kind in CheckKind:
            properties[_NOT + kind] = {**properties[kind], "title": f"Not {kind}"}
        return written


def _field(kind: CheckKind) -> str:
    return kind.replace("-", "_")
