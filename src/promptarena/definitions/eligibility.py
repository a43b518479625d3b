"""Who may take part: conditions on a unit's attributes, all of which must hold.

eligibility: {tier: [free, plus], country: DE, cohort: {not: internal}}
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from promptarena.definitions.frozen import Frozen

__all__ = ["Condition", "Scalar"]

Scalar = str | int | float | bool


def _scalars(written: Any) -> Any:
    values = written if isinstance(written, list | tuple) else [written]
    if not values or not all(isinstance(value, str | int | float | bool) for value in values):
        raise ValueError(
            "an attribute is compared with a value or a list of values (text, number, true, false)"
        )
    return tuple(values)


_ONE: Final[dict[str, Any]] = {"type": ["string", "number", "boolean"]}
_SCHEMA: Final[dict[str, Any]] = {"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}
Scalars = Annotated[tuple[Any, ...], BeforeValidator(_scalars)]


class Condition(Frozen):
    """What one attribute must be. A value or a list is short for `in`."""

    one_of: Annotated[Scalars | None, Field(alias="in")] = None
    none_of: Annotated[Scalars | None, Field(alias="not")] = None
    """A unit without the attribute passes."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        return written if isinstance(written, dict | Condition) else {"in": written}

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if self.one_of is None and self.none_of is None:
            raise ValueError("a condition is a value, a list of values, `{in: ...}` or `{not: ...}`")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        mapping = {
            "type": "object",
            "properties": {"in": _SCHEMA, "not": _SCHEMA},
            "minProperties": 1,
            "additionalProperties": False,
        }
        return {"anyOf": [*_SCHEMA["anyOf"], mapping]}
