"""A disk for a commit that answers when it is told to, and what is written to it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

from promptarena.definitions.event_lines import decode_events
from promptarena.definitions.events import Generation
from promptarena.storage.group_commit import GroupCommit

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def call(name: str) -> Generation:
    return Generation(ts=NOW, request_id=name, feature="f")


async def wait_for(commit: GroupCommit, name: str) -> None:
    await commit.append_async(call(name), asyncio.get_running_loop())


class Disk:
    """Answers no write before it is told to."""

    def __init__(self, *, answers: bool = False) -> None:
        self.writes: list[bytes] = []
        self.entered, self.answers = threading.Event(), threading.Event()
        if answers:
            self.answers.set()

    def write(self, lines: bytes) -> None:
        self.writes.append(lines)
        self.entered.set()
        self.answers.wait()

    def requests(self) -> list[list[str]]:
        """Of every write."""
        return [
            [event.request_id for event in decode_events(lines) if isinstance(event, Generation)]
            for lines in self.writes
        ]

    def written(self) -> list[str]:
        """All requests, one after the other."""
        return [request for requests in self.requests() for request in requests]
