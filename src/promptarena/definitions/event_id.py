"""Names of events: a time prefix, then enough randomness that no two are alike (UUID version 7, RFC 9562).

The prefix keeps events of one time together when sorted by name, so a duplicate is looked for among the few
files of its own time and not in the whole log.
"""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

__all__ = ["event_id_for", "is_event_id", "new_event_id", "time_of_event_id"]

_FORM: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def new_event_id(at: datetime | None = None) -> str:
    """A fresh name.

    Args:
        at: the moment of the prefix; the machine's own clock where not given.
    """
    milliseconds = time.time_ns() // 1_000_000 if at is None else _milliseconds(at)
    return _written(milliseconds, os.urandom(10))


def event_id_for(key: str, ts: datetime) -> str:
    """The name of an event that its source already names: the same key and time give the same name.

    An import that is run twice, or a webhook that is delivered twice, then adds nothing the second time.

    >>> event_id_for("order-17/refund", datetime(2026, 1, 31, tzinfo=UTC))
    '019c1159-7000-7b3f-8b01-dc250833d03b'
    """
    return _written(_milliseconds(ts), sha256(key.encode()).digest()[:10])


def is_event_id(text: str) -> bool:
    """Whether this is a name as `new_event_id` makes them: lower case, version 7."""
    return _FORM.fullmatch(text) is not None


def time_of_event_id(event_id: str) -> datetime:
    """The moment of a name's prefix.

    >>> time_of_event_id("019c1159-7000-7b3f-8b01-dc250833d03b").isoformat()
    '2026-01-31T00:00:00+00:00'

    Raises:
        ValueError: this is not such a name.
    """
    if not is_event_id(event_id):
        raise ValueError(f"{event_id!r} is not an event id (a UUID of version 7, in lower case)")
    return _EPOCH + int(event_id[:8] + event_id[9:13], 16) * _MILLISECOND


def _milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970, within their 48 bits (earlier times share the first)."""
    return min(max((at.astimezone(UTC) - _EPOCH) // _MILLISECOND, 0), 2**48 - 1)


def _written(milliseconds: int, noise: bytes) -> str:
    bits = int.from_bytes(noise)
    value = milliseconds << 80 | 0x7 << 76 | (bits >> 68) << 64 | 0b10 << 62 | bits & (2**62 - 1)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
