"""Tool calls of an answer, held against those that are expected."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptarena.definitions.check_rules import ExpectedCall

__all__ = ["MadeCall", "calls_match", "read_calls", "read_expected"]


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A call that the model made."""

    name: str | None
    arguments: Any
    """As a mapping where the model wrote what it should have; else what it wrote."""


def read_calls(calls: Sequence[Mapping[str, Any]]) -> list[MadeCall]:
    """Of the forms that providers write: chat completions, OpenAI's responses, Anthropic's messages."""
    return [_read(call) for call in calls]


def _read(call: Mapping[str, Any]) -> MadeCall:
    inner = call.get("function")
    said = inner if isinstance(inner, Mapping) else call
    name = said.get("name")
    written = said.get("arguments", said.get("input", said.get("args")))
    if isinstance(written, str):
        # What is no JSON stays a text, and equals no mapping.
        with contextlib.suppress(ValueError, RecursionError):
            written = json.loads(written) if written.strip() else {}
    return MadeCall(name if isinstance(name, str) else None, {} if written is None else written)


def read_expected(text: str) -> tuple[ExpectedCall, ...] | None:
    """Expected calls out of a column: JSON of a call or a list of them, a name, or names with commas between.

    Returns:
        None where it is none of these.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip().startswith(("[", "{")):
            return None
        return tuple(ExpectedCall(name=name.strip()) for name in text.split(",") if name.strip()) or None
    items = found if isinstance(found, list) else [found]
    calls: list[ExpectedCall] = []
    for item in items:
        made = (
            _read(item) if isinstance(item, dict) else MadeCall(item if isinstance(item, str) else None, {})
        )
        if not made.name or not isinstance(made.arguments, dict):
            return None
        calls.append(ExpectedCall(name=made.name, arguments=made.arguments))
    return tuple(calls)


def calls_match(expected: Sequence[ExpectedCall], made: Sequence[MadeCall], *, exactly: bool) -> bool:
    """Whether every expected call has a call of its own among those made, in any order.

    Args:
        expected: with the arguments that matter; the same call expected twice must have been made twice.
        made: by the answer.
        exactly: nothing else may have been called.
    """
    if len(made) < len(expected) or (exactly and len(made) != len(expected)):
        return False
    taken: dict[int, int] = {}
    return all(_place(number, expected, made, taken, set()) for number in range(len(expected)))


def _place(
    number: int,
    expected: Sequence[ExpectedCall],
    made: Sequence[MadeCall],
    taken: dict[int, int],
    tried: set[int],
) -> bool:
    """Find a call for an expected one, moving others to another of theirs where need be (Kuhn 1955)."""
    for index, call in enumerate(made):
        if index in tried or not _fits(expected[number], call):
            continue
        tried.add(index)
        if index not in taken or _place(taken[index], expected, made, taken, tried):
            taken[index] = number
            return True
    return False


def _fits(expected: ExpectedCall, call: MadeCall) -> bool:
    if call.name != expected.name:
        return False
    if not expected.arguments:
        return True
    if not isinstance(call.arguments, Mapping):
        return False
    absent = object()
    return all(_same(value, call.arguments.get(name, absent)) for name, value in expected.arguments.items())


def _same(one: Any, other: Any) -> bool:
    """As JSON has it: 1 and 1.0 are one number, and neither is `true`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)
