"""A hash of what was declared, the same however it was written.

Values become canonical JSON first: keys sorted, nothing that is `None`, numbers by value (`1`, `1.0` and
`1e0` are one), durations in seconds. Lists keep their order. Then SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel

__all__ = ["canonical_json", "content_hash"]

VERSION: Final = 1
"""Of this canonical form; part of what is hashed."""


def content_hash(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hexadecimal.

    >>> content_hash({"a": 1, "b": None}) == content_hash({"a": 1.0})
    True
    """
    return hashlib.sha256(f"promptarena/{VERSION}\\n{canonical_json(value)}".encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """One text for a value.

    >>> canonical_json({"b": 0.50, "a": [timedelta(days=1), 3.0]})
    '{"a":[86400,3],"b":0.5}'

    Raises:
        ValueError: a number is not finite, or a type has no canonical form.
    """
    return _ENCODER.encode(_plain(value))


_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
"""One for all values: `json.dumps` would make one for each."""


def _plain(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case Enum():
            return _plain(value.value)
        case str():
            return str(value)
        case timedelta():
            return _plain(value.total_seconds())
        case int():
            return int(value)
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical form")
        case float():
            return int(value) if value.is_integer() else float(value)
        case BaseModel():
            return _plain({name: getattr(value, name) for name in type(value).model_fields})
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            raise ValueError(f"{type(value).__name__} has no canonical form")
