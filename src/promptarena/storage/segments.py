"""What an open segment's JSON lines hold: events, a torn end, lines that are no events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from promptarena.definitions.events import Event
from promptarena.storage.log_folder import LogSettings
from promptarena.storage.manifest import Counts

__all__ = [
    "Position",
    "SegmentLines",
    "day_of",
    "first_of_each",
    "read_segment",
    "receipt",
    "received",
    "timeliness",
]


class Receipt(msgspec.Struct, frozen=True, tag_field="kind", tag="receipt"):
    """When the lines below it, up to the next one, were received: said once a write, not once an event."""

    at: datetime


_RECEIPT: Final = b'{"kind":"receipt","at":'
_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Event | Receipt)
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError)


class Position(NamedTuple):
    """How far a segment was read."""

    end: int = 0
    """The byte after the last whole line."""
    received_at: datetime | None = None
    """What the last receipt before it says."""


@dataclass(frozen=True, slots=True)
class SegmentLines:
    """Part of a segment, read."""

    events: list[Event]
    """In the order in which they were written, with their `received_at`."""
    refused: list[bytes]
    """Whole lines that are not events of this schema."""
    torn: int
    """Lines that are not whole: the last one, being written just now or never to be, and, once the segment is
    closed, those of which a power cut left NULs, or of whose receipt."""
    position: Position


def receipt(now: datetime) -> bytes:
    """The line that a write begins with."""
    return _RECEIPT + _ENCODER.encode(now) + b"}\n"


_BEGINNING: Final = Position()


def read_segment(path: Path, start: Position = _BEGINNING, *, closed: bool = False) -> SegmentLines:
    """Read a segment's whole lines.

    Args:
        start: where an earlier reading ended.
        closed: nobody appends to it any more. While somebody may, its content ends with the first NUL:
            what stands behind one may be only half there.

    Raises:
        FileNotFoundError: it has been sealed, and its grace has passed.
    """
    with path.open("rb") as file:
        file.seek(start.end)
        data = file.read()
    content = data.rstrip(b"\0") if closed else data.partition(b"\0")[0]
    length = content.rfind(b"\n") + 1
    torn = int(length < len(content))
    whole = content[:length]
    if closed and b"\0" in whole:
        whole, lost = _without_gaps(whole)
        torn += lost
    refused: list[bytes] = []
    try:
        lines: list[Event | Receipt] = _DECODER.decode_lines(whole)
    except _UNREADABLE:
        lines, refused = _one_by_one(whole.split(b"\n")[:-1])
    events: list[Event] = []
    at = start.received_at
    for line in lines:
        if isinstance(line, Receipt):
            at = line.at
        elif at is None:
            refused.append(msgspec.json.encode(line))
        else:
            # It was made a moment ago and nobody else has it.
            msgspec.structs.force_setattr(line, "received_at", at)
            events.append(line)
    return SegmentLines(events, refused, torn, Position(start.end + length, at))


def _without_gaps(whole: bytes) -> tuple[bytes, int]:
    """What can be read of lines of which a power cut left NULs, and how many cannot.

    The receipt of those that follow may be among the lost: they are, up to the next receipt.
    """
    kept: list[bytes] = []
    lost, dated = 0, True
    for line in whole.splitlines(keepends=True):
        dated = b"\0" not in line and (dated or line.startswith(_RECEIPT))
        lost += not dated
        if dated:
            kept.append(line)
    return b"".join(kept), lost


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


def _one_by_one(lines: list[bytes]) -> tuple[list[Event | Receipt], list[bytes]]:
    read: list[Event | Receipt] = []
    refused: list[bytes] = []
    for line in lines:
        try:
            read.append(_DECODER.decode(line))
        except _UNREADABLE:
            refused.append(line)
    return read, refused
