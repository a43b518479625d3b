"""The base of every declared type: immutable, strict about unknown fields."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

__all__ = ["Frozen", "Shorthand", "mistake"]


def mistake(
    message: str,
    *,
    field: str | None = None,
    involving: tuple[str, ...] = (),
    hint: str | None = None,
    whole: bool = False,
) -> PydanticCustomError:
    """An error for a validator to raise where several fields of one type do not fit together.

    Args:
        message: what was found and what is accepted.
        field: the field to point at; the whole value where `None`.
        involving: the fields that were compared; if one of them was itself wrong, this mistake is not told.
            Where none are named: any field of the value.
        hint: how to mend it.
        whole: the value is of no use without the field; else the rest of it is looked at too.
    """
    context = {"message": message, "field": field, "involving": involving, "hint": hint, "whole": whole}
    return PydanticCustomError("mistake", "{message}", context)


class Frozen(BaseModel):
    """An immutable value; unknown fields are an error, never ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, use_attribute_docstrings=True
    )

    @classmethod
    def written_names(cls) -> tuple[str, ...]:
        """The fields as users write them."""
        return tuple(info.alias or name for name, info in cls.model_fields.items())

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_fields(cls, written: Any) -> Any:
        # pydantic's own error does not say what would have been accepted.
        if isinstance(written, dict):
            accepted = cls.written_names()
            if unknown := [key for key in written if key not in accepted]:
                raise PydanticCustomError(
                    "unknown_fields",
                    "unknown fields {unknown}; accepted: {accepted}",
                    {"unknown": unknown, "accepted": accepted},
                )
        return written


class Shorthand(Frozen):
    """A value that may be written as one word: `latency_p95` for `{metric: latency_p95}`."""

    shorthand: ClassVar[str]
    """The field that the word is for."""

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, written: Any) -> Any:
        return {cls.shorthand: written} if isinstance(written, str) else written

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(core_schema)]}
