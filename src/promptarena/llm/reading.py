"""Values out of a provider's answer, which is a mapping or an object, of a form that may change any day.

Whatever is not there, or is not what it should be, is `None`: an answer that reached a user is never turned
into an error by those who only write down what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["amount", "count", "is_writable", "items", "readable", "text", "value"]

_LONGEST_NAME: Final = 512


def value(holder: object, *path: str) -> Any:
    """What stands at the end of a path of keys or attributes.

    >>> value({"usage": {"input_tokens": 7}}, "usage", "input_tokens"), value(None, "usage")
    (7, None)
    """
    found: Any = holder
    for name in path:
        try:
            # Parsed JSON is told first: asking an abstract class costs ten times as much.
            plain = type(found) is dict or isinstance(found, Mapping)
            found = found.get(name) if plain else getattr(found, name, None)
        except Exception:  # an object of somebody else's whose attributes raise
            return None
        if found is None:
            return None
    return found


def items(holder: object, *path: str) -> list[Any]:
    """What stands there if it is a list; else nothing."""
    found = value(holder, *path)
    return list(found) if isinstance(found, list | tuple) else []


def text(holder: object, *path: str) -> str | None:
    """What stands there if it is a name or a short text that an event can hold."""
    found = value(holder, *path)
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_NAME:
        return None
    return found if is_writable(found) else None


def is_writable(found: str) -> bool:
    """Whether UTF-8 has this text; halves of surrogate pairs come from answers cut in the wrong place."""
    return found.isascii() or not any("\ud800" <= character <= "\udfff" for character in found)


def readable(found: str) -> str:
    """The text as UTF-8 can have it: a half of a surrogate pair without its other is U+FFFD.

    >>> readable("ten \\ud83d days"), readable("\\ud83d\\ude00") == "\\U0001f600"
    ('ten \ufffd days', True)
    """
    if is_writable(found):
        return found
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def count(holder: object, *path: str) -> int | None:
    """What stands there if it is a whole number from 0."""
    found = value(holder, *path)
    if isinstance(found, bool) or not isinstance(found, int | float) or found != found // 1:
        return None
    return int(found) if 0 <= found < 2**63 else None


def amount(holder: object, *path: str) -> float | None:
    """What stands there if it is a finite number from 0."""
    found = value(holder, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if 0 <= found < float("inf") else None
