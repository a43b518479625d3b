"""A report as strict JSON: field for field what the dataclasses hold, at full precision."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from numbers import Integral, Real
from typing import Any

__all__ = ["to_json", "to_plain"]


def to_json(report: Any, *, indent: int | None = 2) -> str:
    """A report (`Readout`, `Plan`, `DuelReadout` or any other dataclass) as JSON text.

    Keys are in the order of the fields; floats are the shortest text that reads back as the same number; "not
    known" is `null`. The text is ASCII, other letters escaped, so that no terminal or pipe can spoil it.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot say and a report must not hold.
        TypeError: a value that is not plain data.
    """
    return json.dumps(to_plain(report), indent=indent, allow_nan=False)


def to_plain(value: Any, path: str = "report") -> Any:
    """Dataclasses to dicts, enums to their values, tuples to lists, all the way down.

    Raises:
        ValueError: a number is NaN or infinite; the message has its path.
        TypeError: a value that is not plain data, or a key that is not text.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name), f"{path}.{f.name}") for f in fields(value)}
    if isinstance(value, Enum):
        return to_plain(value.value, path)
    if isinstance(value, Mapping):
        return {_key(key, path): to_plain(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, f"{path}[{position}]") for position, item in enumerate(value)]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _finite(float(value), path)
    raise TypeError(f"{path} is a {type(value).__name__}, which is not plain data")


def _key(key: Any, path: str) -> str:
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"{path} has the key {key!r}, which is not text")
    return key


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{path} is {value}: a report holds finite numbers, or `None` for what is not known")
    return value
