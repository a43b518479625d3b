"""The judge's answer: the form that is asked for, and the one object in what comes that is the judge's own.

An object counts only if it repeats the seal of its call. A text that is judged may hold a whole verdict, and
a judge may quote it; neither knows the seal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from promptarena.definitions.judge import ReplyForm
from promptarena.llm.model_client import Completion

__all__ = ["SEAL", "Reply", "UnreadableError", "own_reply", "reply_format", "schema_of"]

SEAL: Final = "seal"
_MOST_CHARACTERS: Final = 400_000
_MOST_TRIES: Final = 200
"""Braces at which an object is looked for; beyond, the answer is no answer."""


class UnreadableError(Exception):
    """Why an answer is unscored, in words that are counted."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The judge's own object."""

    value: dict[str, Any]
    start: int
    """Where it begins within the text of the answer, in characters."""
    end: int


def schema_of(properties: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an answer: its seal, then these properties, all required, in this order.

    It stays within what strict modes take: no lengths, no bounds, no optional fields.
    """
    fields = {SEAL: {"type": "string"}, **properties}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def reply_format(form: ReplyForm, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """What a request holds to have the answer in this form."""
    match form:
        case ReplyForm.JSON_SCHEMA:
            inner = {"name": name.replace("-", "_"), "strict": True, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": inner}}
        case ReplyForm.JSON:
            return {"response_format": {"type": "json_object"}}
        case ReplyForm.TEXT:
            return {}


def own_reply(completion: Completion, seal: str) -> Reply:
    """The one object of an answer that carries the seal of its call.

    Text around it, fences and a reasoning model's thoughts are passed over.

    Raises:
        UnreadableError: there is none, or there are several that differ.
    """
    text = completion.facts.output
    finish = completion.facts.finish_reason
    if not text:
        raise UnreadableError("refused by the judge's provider" if finish in _REFUSED else "empty answer")
    if len(text) > _MOST_CHARACTERS:
        raise UnreadableError("an answer of no judge's length")
    objects = _objects(text, _end_of_thoughts(text))
    own = [found for found in objects if str(found.value.get(SEAL)).strip().lower() == seal]
    if not own:
        if finish in _CUT_OFF:
            raise UnreadableError("cut off before its end (max_tokens)")
        raise UnreadableError("without the seal of its call" if objects else "no JSON object in the answer")
    if any(found.value != own[0].value for found in own):
        raise UnreadableError("several answers that differ")
    return own[-1]


_REFUSED: Final = ("content_filter", "refusal")
_CUT_OFF: Final = ("length", "max_tokens")


def _end_of_thoughts(text: str) -> int:
    """Some endpoints leave a model's thoughts in the text; drafts in them are no answer."""
    if not text.lstrip().startswith("<think>"):
        return 0
    end = text.rfind("</think>")
    return end + len("</think>") if end >= 0 else len(text)


def _objects(text: str, start: int) -> list[Reply]:
    """The JSON objects of a text that are not part of another."""
    decoder = json.JSONDecoder(object_pairs_hook=_no_repeated_keys, parse_constant=_no_constant)
    found: list[Reply] = []
    for _ in range(_MOST_TRIES):
        start = text.find("{", start)
        if start < 0:
            return found
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start += 1
        else:
            found.append(Reply(value, start, end))
            start = end
    return found


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a key is written twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value")
