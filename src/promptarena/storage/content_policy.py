"""Which content is kept, in what form and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import msgspec

from promptarena.definitions.events import Content
from promptarena.definitions.suggestion import listed
from promptarena.storage.redaction import REDACTIONS, redacted

__all__ = ["ContentPolicy"]


@dataclass(frozen=True, slots=True)
class ContentPolicy:
    """The project's `content` settings. By default nothing is kept."""

    sample: float = 0.0
    """Share of requests whose content is kept, 0 to 1; of one request, all or nothing, on every node."""
    retention: timedelta | None = timedelta(days=30)
    """Whole `received_at` days older than this are deleted; `None` keeps them until somebody erases them."""
    redact: frozenset[str] = frozenset(REDACTIONS)
    """What is taken out, of `REDACTIONS`; by default all that can be."""

    def __post_init__(self) -> None:
        if not 0 <= self.sample <= 1:
            raise ValueError(
                f"the share of requests whose content is kept is {self.sample}, not within 0 to 1"
            )
        if unknown := self.redact - set(REDACTIONS):
            raise ValueError(f"cannot redact {listed(sorted(unknown))}; what can be: {listed(REDACTIONS)}")

    def samples(self, request_id: str) -> bool:
        """Whether the content of this request is kept."""
        number = int.from_bytes(sha256(b"content\0" + request_id.encode()).digest()[:8])
        return number < self.sample * 2**64

    def admit(self, content: Content) -> Content | None:
        """What of it is written, if anything is."""
        if not self.samples(content.request_id):
            return None
        if not self.redact:
            return content
        return msgspec.structs.replace(
            content,
            input=redacted(content.input, self.redact),
            output=redacted(content.output, self.redact),
            context=redacted(content.context, self.redact),
            tool_calls=redacted(content.tool_calls, self.redact),
        )
