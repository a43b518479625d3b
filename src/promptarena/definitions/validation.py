"""From a document to a declared type, telling every mistake of the file at once.

`validate(model, document)` is the whole of it; `check` adds rules that go across fields or ask other files:

    def check(duel: Duel, mistakes: Mistakes) -> None:
        if duel.control not in duel.variants:
            mistakes.unknown("variant", duel.control, duel.variants, "control")

    duel = validate(Duel, read_document(path), check)

A file with mistakes in some fields is checked in the rest: what is wrong is told, taken out, and the
remainder is looked at again, `check` included. So `check` may meet lists that lack their wrong items, and
required fields of the top that are `None`; it asks `mistakes.broken(...)` where that matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails

from promptarena.definitions.document import Document, FieldPath
from promptarena.definitions.secret_guard import looks_secret
from promptarena.definitions.suggestion import did_you_mean, listed, nearest
from promptarena.errors import DefinitionError, Location, Problem

__all__ = ["Mistakes", "examine", "validate"]

T = TypeVar("T", bound=BaseModel)

_KIND_WANTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping (`name: value`)",
    "model_type": "a mapping (`name: value`)",
    "model_attributes_type": "a mapping (`name: value`)",
    "list_type": "a list",
    "tuple_type": "a list",
}
_CHOICES: Final = ("enum", "literal_error", "union_tag_invalid")


class Mistakes:
    """The mistakes of one file, gathered."""

    def __init__(self, document: Document, problems: Iterable[Problem] = ()) -> None:
        self.document = document
        """What is left of the file once wrong values are taken out."""
        self._problems = list(problems)

    def add(self, message: str, *at: str | int, key: bool = False, hint: str | None = None) -> None:
        """Note a mistake.

        Args:
            message: what was found and what is accepted, as a sentence.
            at: the path of the value (keys and list indices).
            key: point at the key instead of the value.
            hint: how to mend it.
        """
        self.add_at(self.document.position(at, key=key), message, hint)

    def add_at(self, where: Location, message: str, hint: str | None = None) -> None:
        """Note a mistake of any file."""
        problem = Problem(message, where, hint)
        if problem not in self._problems:
            self._problems.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take over mistakes that were gathered elsewhere."""
        self._problems += [problem for problem in problems if problem not in self._problems]

    def unknown(self, kind: str, name: str, accepted: Iterable[str], *at: str | int) -> None:
        """Note that a name refers to nothing, with what is accepted and the nearest of it."""
        accepted = list(accepted)
        self.add(
            f"There is no {kind} {shown(name)}; known: {listed(accepted)}.",
            *at,
            hint=did_you_mean(name, accepted),
        )

    def broken(self, *at: str | int) -> bool:
        """Whether there is no value: none was written, or it was wrong and told of already."""
        return not self.document.holds(at)

    def damaged(self, *at: str | int) -> bool:
        """Whether that value, or a part of it, was wrong and told of already."""
        return bool(_within(at, self.document.removed))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """In the order of the file."""

        def order(problem: Problem) -> tuple[str, int, int]:
            where = problem.where or Location()
            return str(where.file or ""), where.line or 0, where.column or 0

        return tuple(sorted(self._problems, key=order))

    def raise_any(self) -> None:
        """Raise what was gathered.

        Raises:
            DefinitionError: there is a mistake.
        """
        if self._problems:
            raise DefinitionError(self.problems)


def validate(
    model: type[T],
    document: Document,
    check: Callable[[T, Mistakes], None] | None = None,
) -> T:
    """Turn a document into a declared type.

    Args:
        model: the type, a pydantic model that forbids unknown fields.
        document: the file.
        check: rules across fields; it notes mistakes and returns.

    Raises:
        DefinitionError: with every mistake of the file, in the order of its lines.
    """
    value, mistakes = examine(model, document)
    if check is not None and value is not None:
        check(value, mistakes)
    mistakes.raise_any()
    return model.model_validate(document.data)


def examine(model: type[T], document: Document) -> tuple[T | None, Mistakes]:
    """What can be made of a document, and what is wrong with it.

    Returns:
        The value without its wrong parts (see the module's text), `None` if nothing is left; the mistakes.
    """
    told: list[Problem] = list(document.problems)
    told += _required_at_top(model, document)
    while True:
        try:
            value = _forgiving(model).model_validate(document.data)
        except ValidationError as error:
            faults = [fault for details in error.errors() for fault in _faults(details, document)]
        else:
            return value, Mistakes(document, told)
        # One value that fits no member of a union has one error for each; the first says enough.
        first = {fault.problem.where: fault for fault in reversed(faults)}
        told += [fault.problem for fault in first.values() if not fault.follows_from(document.removed)]
        # The whole, or what is not there, cannot be taken out: then nothing is left to look at.
        removable = {fault.remove for fault in faults if fault.remove and document.holds(fault.remove)}
        if len(removable) < len({fault.remove for fault in faults}):
            return None, Mistakes(document, told)
        for path in sorted(removable, key=_removal_order, reverse=True):
            if document.holds(path):
                document = document.without(path)


def _required_at_top(model: type[BaseModel], document: Document) -> list[Problem]:
    accepted = [info.alias or name for name, info in model.model_fields.items()]
    misspelt = {nearest(name, accepted) for name in document.data if name not in accepted}
    return [
        _missing(document, (name,))
        for name, info in zip(accepted, model.model_fields.values(), strict=True)
        if info.is_required() and name not in document.data and name not in misspelt
    ]


def shown(value: object) -> str:
    """A value in a message: short, and never a secret.

    >>> shown("abc"), shown(None), shown([1]), shown("sk-0123456789abcdefghij")
    ("'abc'", 'nothing', 'a list', 'a secret')
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case str() if looks_secret(value):
            return "a secret"
        case str() if len(value) > 60:
            return repr(value[:57] + "...")
        case _:
            return repr(value)


@dataclass(frozen=True)
class _Fault:
    problem: Problem
    remove: FieldPath
    """What to take out before looking again; the top where nothing can be saved."""
    involving: tuple[FieldPath, ...] | None = None
    """The fields that were compared; `None`: all that the value holds."""

    def follows_from(self, removed: frozenset[FieldPath]) -> bool:
        """Whether it comes of a value that was told of and taken out."""
        if self.involving is not None:
            return not removed.isdisjoint(self.involving)
        return bool(_within(self.remove, removed))


def _within(at: FieldPath, paths: Iterable[FieldPath]) -> list[FieldPath]:
    return [path for path in paths if path[: len(at)] == at]


def _faults(error: ErrorDetails, document: Document) -> list[_Fault]:
    at, absent, key = _resolve(error["loc"], document)
    context = error.get("ctx", {})
    kind = error["type"]
    if kind in ("missing", "union_tag_not_found"):
        name = absent or str(context.get("discriminator")).strip("'()")
        told = [path for path in document.removed if path[:-1] == at and nearest(str(path[-1]), [name])]
        return [_Fault(_missing(document, (*at, name)), at, ((*at, name), *told))]
    if kind == "unknown_fields":
        return [_unknown_field(document, (*at, name), context["accepted"]) for name in context["unknown"]]
    if kind == "mistake":
        pointed = (*at, context["field"]) if context["field"] else at
        problem = Problem(context["message"], document.position(pointed), context["hint"])
        remove = at if context["whole"] or not document.holds(pointed) else pointed
        compared = [(*at, name) for name in context["involving"]]
        return [_Fault(problem, remove, tuple(compared or _within(at, document.removed)))]
    found = error["input"]
    if kind in _CHOICES:
        return [_wrong_choice(kind, context, found, at, document)]
    return [_Fault(Problem(_words(kind, context, found, error["msg"]), document.position(at, key=key)), at)]


def _wrong_choice(
    kind: str, context: Mapping[str, Any], found: Any, at: FieldPath, document: Document
) -> _Fault:
    accepted = re.findall(r"'([^']*)'", str(context.get("expected") or context.get("expected_tags")))
    pointed = at
    if kind == "union_tag_invalid":
        tag = context["tag"]
        pointed = next(((*at, name) for name, item in found.items() if item == tag), at)
        found = tag
    message = f"Found {shown(found)}; accepted: {listed(accepted)}."
    hint = did_you_mean(found, accepted) if isinstance(found, str) else None
    return _Fault(Problem(message, document.position(pointed), hint), at)


def _resolve(loc: tuple[str | int, ...], document: Document) -> tuple[FieldPath, str | None, bool]:
    """The value that an error is about; a name that it lacks; whether the error is about its key.

    Pydantic puts names of union members and the like between the keys; they are not in the document.
    """
    at: FieldPath = ()
    absent: str | None = None
    for part in loc:
        if document.holds((*at, part)):
            at = (*at, part)
        else:
            absent = str(part)
    return at, absent, bool(loc) and loc[-1] == "[key]"


def _missing(document: Document, path: FieldPath) -> Problem:
    return Problem(f"`{path[-1]}` is missing.", document.position(path))


def _unknown_field(document: Document, path: FieldPath, accepted: Iterable[str]) -> _Fault:
    name = str(path[-1])
    message = f"Unknown field {shown(name)}; accepted: {listed(accepted, most=30)}."
    return _Fault(Problem(message, document.position(path, key=True), did_you_mean(name, accepted)), path)


def _words(kind: str, context: Mapping[str, Any], found: object, fallback: str) -> str:
    if kind in _KIND_WANTED:
        return f"Expected {_KIND_WANTED[kind]}; found {shown(found)}."
    if kind == "value_error":
        text = str(context["error"])
        return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
    bounds = {
        "greater_than": ("more than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in bounds:
        words, name = bounds[kind]
        return f"Expected a number of {words} {context[name]:g}; found {shown(found)}."
    if kind == "too_short":
        return f"Expected at least {context['min_length']}; found {context['actual_length']}."
    return f"{fallback}; found {shown(found)}."


def _removal_order(path: FieldPath) -> list[tuple[bool, str | int]]:
    """Reversed, it takes later list items first and inner values before outer, so that paths stay true."""
    return [(isinstance(part, int), part) for part in path]


@cache
def _forgiving(model: type[T]) -> type[T]:
    """The same type, whose required fields may be absent: they were told of already."""
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        if info.is_required():
            fields[name] = (info.annotation, copy(info))
            fields[name][1].default = None
    return create_model(model.__name__, __base__=model, __module__=model.__module__, **fields)
