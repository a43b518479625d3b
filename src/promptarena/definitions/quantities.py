"""Small written quantities: margins (`300`, `10%`), shares (`10%`, `.1`) and durations (`24h`, `7d`)."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from promptarena.definitions.frozen import Frozen

__all__ = ["Duration", "Margin", "Number", "Share", "Whole", "parse_duration", "parse_share"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[smhdw])")
_PERCENT: Final = re.compile(r"(?P<number>[+-]?\d*\.?\d+)\s*%")
_PERCENT_SCHEMA: Final = r"^\s*\+?\d*\.?\d+\s*%\s*$"
_DURATION_SCHEMA: Final = r"^\s*\d+(\.\d+)?\s*[smhdw]\s*$"


def _hundredth(number: str) -> float:
    """Exact, so that 0.1% and 0.001 are one number."""
    return float(Decimal(number) / 100)


class Margin(Frozen):
    """How much worse is still acceptable. A plain number is in the metric's own unit; `%` is relative.

    >>> Margin.model_validate("10%")
    Margin(value=0.1, relative=True)
    >>> Margin.model_validate(300)
    Margin(value=300.0, relative=False)
    """

    value: float
    """In the metric's unit, or a fraction of |control| when `relative`; never negative."""
    relative: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read(cls, written: Any) -> Any:
        if isinstance(written, str) and (match := _PERCENT.fullmatch(written.strip())):
            return {"value": _hundredth(match["number"]), "relative": True}
        if isinstance(written, int | float) and not isinstance(written, bool):
            return {"value": float(written), "relative": False}
        if isinstance(written, str):
            raise ValueError(f"{written!r} is not a margin: write 300 (in the metric's unit) or 10%")
        return written

    @model_validator(mode="after")
    def _not_negative(self) -> Margin:
        if not 0 <= self.value < float("inf"):
            raise ValueError("a margin is a finite number of zero or more")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "description": "A number in the metric's own unit, or a percentage of the control's value.",
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": _PERCENT_SCHEMA},
                handler(core_schema),
            ],
        }

    def __str__(self) -> str:
        return f"{self.value:.4g}" if not self.relative else f"{self.value * 100:.4g}%"


def parse_share(written: object) -> float:
    """Read a share of traffic.

    >>> parse_share("10%"), parse_share(0.5)
    (0.1, 0.5)
    """
    if isinstance(written, str) and (match := _PERCENT.fullmatch(written.strip())):
        share = _hundredth(match["number"])
    elif isinstance(written, int | float) and not isinstance(written, bool):
        share = float(written)
    else:
        raise ValueError(f"{written!r} is not a share: write 10% or 0.1")
    if not 0 <= share <= 1:
        raise ValueError(f"{written!r} is not a share: it must lie between 0% and 100%")
    return share


def parse_duration(written: object) -> timedelta:
    """Read a duration.

    >>> parse_duration("24h") == parse_duration("1d")
    True
    """
    if isinstance(written, timedelta):
        return written
    if isinstance(written, str) and (match := _DURATION.fullmatch(written.strip())):
        try:
            return timedelta(**{_UNITS[match["unit"]]: float(match["number"])})
        except OverflowError:
            raise ValueError(f"{written!r} is longer than any duration can be") from None
    raise ValueError(f"{written!r} is not a duration: write a number and a unit, such as 30s, 5m, 24h, 7d")


def _written(duration: timedelta) -> str:
    """As `parse_duration` reads it: in digits, however long."""
    return f"{Decimal(str(duration.total_seconds())).normalize():f}s"


Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A finite number; neither text nor true and false."""
Whole = Annotated[int, Field(strict=True)]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "description": "A share, such as 10% or 0.1.",
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": _PERCENT_SCHEMA},
            ],
        }
    ),
]
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(_written, return_type=str),
    WithJsonSchema(
        {
            "description": "A duration, such as 30s, 5m, 24h, 7d.",
            "type": "string",
            "pattern": _DURATION_SCHEMA,
        }
    ),
]
