"""What the checks that need more than a text are told: bounds, tools, personal data, tests of code."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from promptarena.definitions.cell import ColumnValue, TextOrColumn, Texts, is_column
from promptarena.definitions.frozen import Frozen, Shorthand, mistake
from promptarena.definitions.names import Text
from promptarena.definitions.project import Redaction
from promptarena.definitions.quantities import Duration, Number, Whole

__all__ = [
    "AmountRule",
    "CodeRule",
    "ExpectedCall",
    "HookRule",
    "LengthRule",
    "LengthUnit",
    "LevenshteinRule",
    "PersonalDataRule",
    "ToolCallRule",
]


class _WithShortForms(Frozen):
    """A rule that may be written in shorter forms, which editors are to accept too."""

    short_forms: ClassVar[tuple[JsonSchemaValue, ...]]
    """As JSON Schemas."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [*cls.short_forms, handler(core_schema)]}


_TEXT: Final[JsonSchemaValue] = {"type": "string"}
_LIST: Final[JsonSchemaValue] = {"type": "array", "minItems": 1}
_COLUMN: Final[JsonSchemaValue] = {
    "type": "object",
    "properties": {"column": _TEXT},
    "required": ["column"],
    "additionalProperties": False,
}


class LengthUnit(StrEnum):
    CHARACTERS = "characters"
    WORDS = "words"
    """What white space separates."""


class LengthRule(_WithShortForms):
    """How long an output may be, both ends included. A plain number is the most characters."""

    short_forms: ClassVar = ({"type": "integer", "minimum": 0},)

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

    def __str__(self) -> str:
        least = f"at least {self.min}" if self.min or self.max is None else ""
        most = f"at most {self.max}" if self.max is not None else ""
        return f"{' and '.join(filter(None, (least, most)))} {self.unit}"


class AmountRule(_WithShortForms):
    """How much a call may take, both ends included. A plain number is the most."""

    short_forms: ClassVar = ({"type": "number", "minimum": 0},)

    min: Annotated[Number, Field(ge=0)] = 0.0
    max: Annotated[Number, Field(ge=0)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        plain = isinstance(written, int | float) and not isinstance(written, bool)
        return {"max": written} if plain else written

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> AmountRule:
        if self.max is None and self.min == 0:
            raise ValueError("a bound needs `min`, `max` or both")
        if self.max is not None and self.max < self.min:
            raise mistake("`max` is below `min`.", field="max", involving=("min", "max"))
        return self

    def __str__(self) -> str:
        least = f"at least {self.min:g}" if self.min or self.max is None else ""
        most = f"at most {self.max:g}" if self.max is not None else ""
        return " and ".join(filter(None, (least, most)))


class LevenshteinRule(Frozen):
    """At most so many characters inserted, deleted or replaced between the output and a text."""

    to: TextOrColumn
    max: Annotated[Whole, Field(ge=0)]

    def __str__(self) -> str:
        return f"at most {self.max} from {_told(self.to)}"


class PersonalDataRule(_WithShortForms):
    """Personal data in the output. `true` looks for every sort, a list for those it names."""

    short_forms: ClassVar = ({"const": True}, {**_LIST, "items": {"enum": [*Redaction]}})

    sorts: Annotated[tuple[Redaction, ...], Field(min_length=1)] = tuple(Redaction)
    allow: tuple[TextOrColumn, ...] = ()
    """What is no leak: these texts, or whatever stands in these columns of the case, such as its question."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        match written:
            case True:
                return {}
            case list():
                return {"sorts": written}
            case _:
                return written

    def __str__(self) -> str:
        return "" if self.sorts == tuple(Redaction) else ", ".join(self.sorts)


class ExpectedCall(Shorthand):
    """One call of a tool. Arguments that are not named may be anything."""

    shorthand: ClassVar[str] = "name"
    name: Text
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolCallRule(_WithShortForms):
    """Which tools the answer must call, in any order: a name, a list of calls, or a column of them."""

    short_forms: ClassVar = (_TEXT, _LIST, {"type": "object", "required": ["name"]})

    calls: tuple[ExpectedCall, ...] | None = None
    column: Annotated[str, Field(min_length=1)] | None = None
    """Where the dataset holds them: as JSON, or as names with commas between."""
    exactly: bool = False
    """No others; an empty list then means none at all."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        match written:
            case str():
                return {"calls": [written]}
            case list():
                return {"calls": written}
            case {"name": _}:
                return {"calls": [written]}
            case {"calls": str() | {"name": _} as call}:
                return {**written, "calls": [call]}
            case _:
                return written

    @model_validator(mode="after")
    def _asks_for_something(self) -> ToolCallRule:
        if (self.calls is None) == (self.column is None):
            raise mistake("Name the `calls`, or the `column` that holds them.")
        if self.calls == () and not self.exactly:
            raise mistake("No call is named; `{calls: [], exactly: true}` asks for none at all.")
        return self

    def __str__(self) -> str:
        if self.calls is None:
            return f"column {self.column}"
        return ", ".join(call.name for call in self.calls) or "none"


class CodeRule(_WithShortForms):
    """The output is code, and the tests pass that run after it."""

    short_forms: ClassVar = (_TEXT, _COLUMN)

    tests: TextOrColumn
    """Code that raises where something is wrong, such as `assert f(2) == 4`."""
    language: Literal["python"] = "python"
    timeout: Duration = timedelta(seconds=10)
    k: Annotated[
        tuple[Annotated[Whole, Field(ge=1)], ...],
        Field(min_length=1, json_schema_extra={"type": ["array", "integer"]}),
    ] = (1,)
    """Of how many answers one must pass, for pass@k; a duel's `repeat` says how many are drawn."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        if isinstance(written, str) or is_column(written):
            return {"tests": written}
        if isinstance(written, dict) and isinstance(written.get("k"), int):
            return {**written, "k": [written["k"]]}
        return written

    def __str__(self) -> str:
        return _told(self.tests)


class HookRule(Shorthand):
    """A Python function that arena.yaml allow-lists under `hooks`.

    It is called with the output and, as a mapping, the named columns of the case; it says True or False, or
    None where it does not apply.
    """

    shorthand: ClassVar[str] = "function"
    function: Text
    """As `module:function`."""
    columns: Texts = ()

    @model_validator(mode="after")
    def _is_a_hook(self) -> HookRule:
        module, colon, function = self.function.partition(":")
        if not (colon and function.isidentifier() and all(map(str.isidentifier, module.split(".")))):
            raise mistake(
                f"{self.function!r} is not a hook: write module:function, such as support_checks:is_polite.",
                field="function",
            )
        return self

    def __str__(self) -> str:
        return self.function


def _told(value: ColumnValue | str) -> str:
    return f"column {value.column}" if isinstance(value, ColumnValue) else value
