"""Whether a unit may take part: its attributes against the conditions of a definition.

Attributes come through headers, metadata and JSON, which keep text but not always types; so values are
compared as text: `tier: 1` admits 1, 1.0 and "1", `beta: true` admits true and "true".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptarena.definitions.eligibility import Condition

__all__ = ["Rules", "as_text"]


def as_text(value: object) -> str | None:
    """An attribute's value in one spelling; `None` for what is no scalar, not finite, or not there.

    >>> [as_text(value) for value in ("DE", True, 7, 7.0, 0.25, None, ["DE"])]
    ['DE', 'true', '7', '7', '0.25', None, None]
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return str(int(value)) if value.is_integer() else repr(value)
        case _:
            return None


class Rules:
    """The conditions of one experiment, ready to be asked. All must hold.

    - `in`: the attribute is there and has one of the values.
    - `not`: the attribute is not there, or has none of the values.

    An attribute that is there but is no scalar fails every condition on it: what cannot be read is kept out.
    """

    __slots__ = ("_conditions",)

    def __init__(self, eligibility: Mapping[str, Condition]) -> None:
        self._conditions = tuple(
            (attribute, _texts(condition.one_of), _texts(condition.none_of) or frozenset())
            for attribute, condition in eligibility.items()
        )

    def __bool__(self) -> bool:
        return bool(self._conditions)

    def admit(self, attributes: Mapping[str, object]) -> bool:
        """Whether a unit with these attributes may take part."""
        for attribute, one_of, none_of in self._conditions:
            value = attributes.get(attribute)
            if value is None:
                if one_of is not None:
                    return False
                continue
            text = as_text(value)
            if text is None or text in none_of or (one_of is not None and text not in one_of):
                return False
        return True


def _texts(values: tuple[object, ...] | None) -> frozenset[str] | None:
    if values is None:
        return None
    return frozenset(text for value in values if (text := as_text(value)) is not None)
