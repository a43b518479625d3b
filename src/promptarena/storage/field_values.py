"""A cell's value as an event's field: text that means a number, a moment or JSON becomes what it means.

What means nothing of the kind stays as it is, so that the events' own schema says what it should have been.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

__all__ = ["Reader", "part_reader", "readers_of"]

Reader: TypeAlias = Callable[[Any], Any]
"""A value as it should be, or as it was."""

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TRUTHS: Final = {"true": True, "false": False}
_BITS: Final = {"1": True, "0": False}
_LARGEST_WHOLE_FLOAT: Final = 2.0**53
_EPOCH_SECONDS: Final = (1e8, 1e11)
"""1973 to 5138: what lies outside is no number of seconds, rather one of milliseconds."""
_TEXTS_OF: Final = ("segments", "slots")


def readers_of(declared: type[msgspec.Struct], zone: tzinfo | None) -> dict[str, Reader]:
    """A reader for each field of a kind of event.

    Args:
        zone: of moments that do not say theirs; without one they are refused by the schema.
    """
    info = msgspec.inspect.type_info(declared)
    assert isinstance(info, msgspec.inspect.StructType)
    return {field.name: _reader(field.type, zone) for field in info.fields}


def part_reader(field: str) -> Reader:
    """A reader for one entry of a field that is a mapping, such as `segments`."""
    return _text if field in _TEXTS_OF else _plain


def _reader(declared: msgspec.inspect.Type, zone: tzinfo | None) -> Reader:
    parts = declared.types if isinstance(declared, msgspec.inspect.UnionType) else (declared,)
    types = {type(part) for part in parts}
    if msgspec.inspect.DateTimeType in types:
        return partial(_moment, zone)
    if msgspec.inspect.FloatType in types:
        return _number_or_truth if msgspec.inspect.BoolType in types else _number
    for kind, reader in _READERS.items():
        if kind in types:
            return reader
    return _plain


def _plain(value: Any) -> Any:
    """What any JSON may hold. NaN becomes text, which the schema refuses where a number is due."""
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _text(value: Any) -> Any:
    """A whole number or a UUID may be an id; one with a point is not: its digits are no longer known."""
    if isinstance(value, int | UUID) and not isinstance(value, bool):
        return str(value)
    return _plain(value)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        return _plain(float(value)) if _NUMBER.fullmatch(value.strip()) else value
    return _plain(value)


def _number_or_truth(value: Any) -> Any:
    if isinstance(value, str) and value.strip().lower() in _TRUTHS:
        return _TRUTHS[value.strip().lower()]
    return _number(value)


def _whole(value: Any) -> Any:
    """A whole number, also where a table has made it one with a point."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,20}", value.strip()):
        return int(value)
    number = _number(value)
    if isinstance(number, float) and number.is_integer() and abs(number) < _LARGEST_WHOLE_FLOAT:
        return int(number)
    return number


def _truth(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    return {**_TRUTHS, **_BITS}.get(text, value)


def _moment(zone: tzinfo | None, value: Any) -> Any:
    """ISO 8601, or seconds since 1970."""
    if isinstance(value, str):
        value = _written_moment(value.strip())
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        first, end = _EPOCH_SECONDS
        return datetime.fromtimestamp(float(value), UTC) if first <= value < end else _plain(value)
    if isinstance(value, datetime) and value.tzinfo is None and zone is not None:
        return value.replace(tzinfo=zone)
    return value


def _written_moment(text: str) -> Any:
    if _NUMBER.fullmatch(text):
        return float(text)
    # A day alone is no moment, and to take it for midnight would be a guess.
    if len(text) > len("2026-01-31"):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    return text


def _mapping(value: Any) -> Any:
    """A mapping, from JSON text or from a table's pairs; entries without a value are none."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = msgspec.json.decode(value)
        except msgspec.MsgspecError:
            return value
    if isinstance(value, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        value = dict(value)
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items() if entry is not None}
    return value


_READERS: Final[dict[type[msgspec.inspect.Type], Reader]] = {
    msgspec.inspect.IntType: _whole,
    msgspec.inspect.BoolType: _truth,
    msgspec.inspect.DictType: _mapping,
    msgspec.inspect.StrType: _text,
    msgspec.inspect.LiteralType: _text,
}
