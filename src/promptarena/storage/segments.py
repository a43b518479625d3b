"""What an open segment's JSON lines hold: events, a torn end, lines that are no events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from promptarena.definitions.events import Event
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.manifest import Counts

__all__ = ["SegmentLines", "day_of", "first_of_each", "read_segment", "timeliness"]

_DECODER: Final = msgspec.json.Decoder(Event)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError)


@dataclass(frozen=True, slots=True)
class SegmentLines:
    """Part of a segment, read."""

    events: list[Event]
    """In the order in which they were written."""
    refused: list[bytes]
    """Whole lines that are not events of this schema."""
    torn: bool
    """Whether a line without an end follows: being written just now, or never to be."""
    end: int
    """The byte after the last whole line."""


def read_segment(path: Path, start: int = 0) -> SegmentLines:
    """Read a segment's whole lines.

    Args:
        start: the byte to begin at, an earlier `end`.

    Raises:
        FileNotFoundError: it has been sealed, and its grace has passed.
    """
    with path.open("rb") as file:
        file.seek(start)
        data = file.read()
    length = data.rfind(b"\n") + 1
    events: list[Event] = []
    refused: list[bytes] = []
    try:
        events = [event for event in _DECODER.decode_lines(data[:length]) if event.received_at is not None]
        sound = len(events) == data.count(b"\n")
    except _UNREADABLE:
        sound = False
    if not sound:
        events, refused = _one_by_one(data[:length].split(b"\n")[:-1])
    return SegmentLines(events, refused, length < len(data), start + length)


def first_of_each(events: Iterable[Event]) -> tuple[list[Event], int]:
    """Events without repetitions (the first stays), and how many repetitions there were."""
    seen: dict[str, Event] = {}
    total = 0
    for event in events:
        total += 1
        seen.setdefault(event.event_id, event)
    return list(seen.values()), total - len(seen)


def timeliness(events: Iterable[Event], settings: LogSettings) -> Counts:
    """How many events came long after they happened, or before."""
    late = ahead = 0
    for event in events:
        lag = received(event) - event.ts
        late += lag >= settings.late_after
        ahead += -lag >= settings.ahead_after
    return Counts(late=late, ahead=ahead)


def received(event: Event) -> datetime:
    """When the log accepted this stored event."""
    if event.received_at is None:
        raise ValueError("this event has not been in a log")
    return event.received_at


def day_of(event: Event) -> str:
    """The partition of a stored event: its `received_at` day, ISO, UTC."""
    return received(event).astimezone(UTC).date().isoformat()


def _one_by_one(lines: list[bytes]) -> tuple[list[Event], list[bytes]]:
    events: list[Event] = []
    refused: list[bytes] = []
    for line in lines:
        try:
            event: Event | None = _DECODER.decode(line)
        except _UNREADABLE:
            event = None
        if event is not None and event.received_at is not None:
            events.append(event)
        else:
            refused.append(line)
    return events, refused
