"""Events as JSON lines and back, and everything that is wrong with those that are refused.

The quick way is one call into msgspec for a whole batch; only what it refuses is looked at field by field, to
tell every mistake at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

import msgspec

from promptarena.definitions.event_id import is_event_id
from promptarena.definitions.events import EVENT_TYPES, Event, Measurement
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import DataError, Location, Problem

__all__ = [
    "MAX_EVENT_BYTES",
    "Entry",
    "EventError",
    "decode_events",
    "decode_line",
    "encode_entries",
    "encode_events",
    "encoded",
]

Entry: TypeAlias = Event | msgspec.Raw
"""What is to be written: an event, or the lines of several as they are."""

MAX_EVENT_BYTES: Final = 8 * 2**20
"""The longest line that is taken; a longer one is refused before it is written."""

_ENCODER: Final = msgspec.json.Encoder()
_ENCODE_LINES: Final = _ENCODER.encode_lines
_DECODER: Final = msgspec.json.Decoder(Event)
_RAW_DECODER: Final = msgspec.json.Decoder()
_NUL: Final = 0
"""A byte that no JSON holds and with which readers of the log take its content to end."""


class EventError(DataError):
    """Events that break the schema; none of the batch they came with is accepted."""


def encode_events(events: Sequence[Event], *, checked: bool = False) -> bytes:
    """One JSON line an event, each ended by a newline.

    Args:
        checked: the events come from `decode_events` or from code whose types were checked, so their fields
            are not checked again. That halves the cost.

    Raises:
        EventError: a field holds what it must not, or an event is longer than `MAX_EVENT_BYTES`.
    """
    try:
        lines = _ENCODE_LINES(events)
        if checked:
            sound = _NUL not in lines
        else:
            sound = _DECODER.decode_lines(lines) == list(events) and not any(map(_rules, events))
    except Exception:  # msgspec's, or whatever a value's own code raises, such as a tzinfo's
        sound, lines = False, b""
    if not sound:
        lines = _examined(events)
    if len(lines) > MAX_EVENT_BYTES:
        _refuse_long(lines, events)
    return lines


def encoded(lines: bytes) -> Entry:
    """What `encode_events` made, to be written among events that are yet to be encoded."""
    return msgspec.Raw(lines[:-1])


def encode_entries(entries: Sequence[Entry]) -> tuple[bytes, dict[int, EventError]]:
    """The lines of all that can be written, and by its position what is wrong with an event that cannot be.

    Events are taken to be `checked`. One call for many costs two thirds of one call for each.
    """
    try:
        lines = _ENCODE_LINES(entries)
        if len(lines) <= MAX_EVENT_BYTES and _NUL not in lines:
            return lines, {}
    except Exception:  # as above; found out one by one
        pass
    parts: list[bytes] = []
    refused: dict[int, EventError] = {}
    for at, one in enumerate(entries):
        if isinstance(one, msgspec.Raw):
            parts.append(_ENCODE_LINES((one,)))
            continue
        try:
            parts.append(encode_events((one,), checked=True))
        except EventError as error:
            refused[at] = error
        except Exception as error:  # code that fails now and then
            refused[at] = EventError([Problem(f"this cannot be written as JSON: {type(error).__name__}")])
    return b"".join(parts), refused


def _examined(events: Sequence[Event]) -> bytes:
    """The lines after all: a tuple that would come back as a list is a harmless difference."""
    problems = [found for at, event in enumerate(events) for found in _located(_problems(event), at, events)]
    if not problems:
        lines = _ENCODE_LINES(events)
        if lines.count(b"\n") != len(events):  # from JSON that somebody laid out and passed on as it was
            problems = [Problem("an event has a line break outside of its texts")]
    if problems:
        raise EventError(problems)
    return lines


def decode_line(line: bytes) -> Event:
    """One event as the log wrote it.

    Raises:
        EventError: it is not an event of this schema.
    """
    try:
        event: Event = _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EventError(_raw_problems(line) or [Problem(_plain(error))]) from None
    return event


def decode_events(body: bytes) -> list[Event]:
    """Events as a client sends them: JSON lines, or one JSON array.

    `received_at` is dropped if a client sent it; a missing `event_id` is given.

    Raises:
        EventError: with every mistake of every event. Nothing of the body is accepted then.
    """
    array = body.lstrip()[:1] == b"["
    try:
        events = _ARRAY_DECODER.decode(body) if array else _DECODER.decode_lines(body)
        if not any(map(_rules, events)):
            return [_unstamped(event) for event in events]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        pass
    problems = list(_body_problems(body, array))
    raise EventError(problems or [Problem("the body is neither JSON lines nor a JSON array")])


_ARRAY_DECODER: Final = msgspec.json.Decoder(list[Event])


def _unstamped(event: Event) -> Event:
    return event if event.received_at is None else msgspec.structs.replace(event, received_at=None)


def _rules(event: Event) -> list[Problem]:
    """What the types cannot say."""
    problems = []
    if not is_event_id(event.event_id):
        problems.append(
            Problem(
                f"{event.event_id!r} is not an event id",
                Location(field="event_id"),
                "Leave it out, send a UUID of version 7 in lower case, or derive one from your own key.",
            )
        )
    try:
        event.ts.astimezone(UTC)
    except OverflowError:
        problems.append(Problem(f"{event.ts.isoformat()} is not a moment in UTC", Location(field="ts")))
    if isinstance(event, Measurement) and event.value is None and event.label is None:
        problems.append(
            Problem("a measurement needs a value or a label", Location(field="value"), "Unknown is not sent.")
        )
    return problems


def _problems(event: Event) -> list[Problem]:
    """Everything wrong with an event that was built in Python."""
    kinds = {declared: kind for kind, declared in EVENT_TYPES.items()}
    if type(event) not in kinds:
        return [Problem(f"{type(event).__name__} is not an event: one of {listed(kinds.values())} is")]
    values = {field.name: getattr(event, field.name) for field in msgspec.structs.fields(event)}
    problems = _field_problems(type(event), values)
    for name, value in values.items():
        problems.extend(_unwritable(value, name))
    return problems or _rules(event)


def _unwritable(value: Any, field: str) -> Iterator[Problem]:
    where = Location(field=field)
    try:
        _RAW_DECODER.decode(_ENCODER.encode(value))
    except msgspec.DecodeError as error:
        yield Problem(f"this was passed on as JSON and is none: {_plain(error)}", where)
    except UnicodeEncodeError:
        yield Problem("the text holds half of a surrogate pair, which UTF-8 cannot say", where)
    except Exception as error:
        yield Problem(f"this cannot be written as JSON: {error}", where)
    else:
        if any(not math.isfinite(number) for number in _floats(value)):
            yield Problem("NaN and infinity are not values", where, "Leave the field out if it is unknown.")


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict):
        yield from (number for item in value.values() for number in _floats(item))
    elif isinstance(value, list | tuple):
        yield from (number for item in value for number in _floats(item))


def _field_problems(declared: type[Event], values: dict[str, Any]) -> list[Problem]:
    fields = {field.name: field for field in msgspec.structs.fields(declared)}
    problems = [
        Problem(
            "unknown field",
            Location(field=name),
            did_you_mean(name, fields) or f"Accepted: {listed(fields, most=len(fields))}.",
        )
        for name in values
        if name not in fields
    ]
    for name, field in fields.items():
        if name in values:
            try:
                msgspec.convert(values[name], field.type)
            except msgspec.ValidationError as error:
                hint = _among(values[name], field.type)
                problems.append(Problem(_plain(error), Location(field=name), hint))
        elif field.required:
            problems.append(Problem("a required field is missing", Location(field=name)))
    return problems


def _among(value: Any, declared: Any) -> str | None:
    """What a field of few values takes."""
    if get_origin(declared) is not Literal:
        return None
    accepted = get_args(declared)
    return did_you_mean(str(value), accepted) or f"Accepted: {listed(accepted)}."


def _raw_problems(line: bytes) -> list[Problem]:
    try:
        raw = _RAW_DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return [Problem(f"not JSON: {_plain(error)}")]
    return _object_problems(raw)


def _object_problems(raw: Any) -> list[Problem]:
    if not isinstance(raw, dict):
        return [Problem(f"an event is a JSON object, not {raw!r:.60}")]
    values = dict(raw)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in EVENT_TYPES:
        found = "the event has no kind" if kind is None else f"{kind!r:.60} is not a kind of event"
        return [Problem(found, Location(field="kind"), f"Accepted: {listed(EVENT_TYPES)}.")]
    declared = EVENT_TYPES[kind]
    return _field_problems(declared, values) or _rules(msgspec.convert(raw, declared))


def _body_problems(body: bytes, array: bool) -> Iterator[Problem]:
    if array:
        try:
            items = _RAW_DECODER.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            yield Problem(f"not JSON: {_plain(error)}")
            return
        for at, raw in enumerate(items):
            yield from _located(_object_problems(raw), at, items)
        return
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            for problem in _raw_problems(line):
                field = problem.where.field if problem.where else None
                yield Problem(problem.message, Location(line=number, field=field), problem.hint)


def _located(problems: list[Problem], at: int, events: Sequence[Any]) -> Iterator[Problem]:
    """The same, saying which of several events it is (counted from 0, as in JSON paths)."""
    for problem in problems:
        parts = [f"[{at}]"] if len(events) > 1 else []
        if problem.where and problem.where.field:
            parts.append(problem.where.field)
        where = Location(field=".".join(parts)) if parts else None
        yield Problem(problem.message, where, problem.hint)


def _plain(error: Exception) -> str:
    """msgspec's words without its path to the value, which is told as the place."""
    words = str(error).split(" - at `")[0]
    return words[:1].lower() + words[1:]


def _refuse_long(lines: bytes, events: Sequence[Event]) -> None:
    problems = [
        found
        for at, line in enumerate(lines.split(b"\n"))
        if len(line) > MAX_EVENT_BYTES
        for found in _located(
            [Problem(f"the event is {len(line):,} bytes long, more than {MAX_EVENT_BYTES:,}")], at, events
        )
    ]
    if problems:
        raise EventError(problems)
