"""An Arena over the project's own registry and log."""

from __future__ import annotations

from pathlib import Path

from promptarena.definitions.clock import Clock
from promptarena.sdk.core import Core, Price
from promptarena.sdk.event_queue import EventQueue, QueueLimits
from promptarena.sdk.live_configuration import LiveConfiguration
from promptarena.wiring import open_project

__all__ = ["open_local"]


def open_local(
    path: Path,
    *,
    clock: Clock | None,
    price: Price | None,
    limits: QueueLimits | None,
    poll_s: float,
    maintain: bool,
) -> Core:
    """Open what `Arena.local` and `AsyncArena.local` share; the arguments are theirs.

    Raises:
        DefinitionError: arena.yaml or metrics.yaml is missing or wrong.
        StorageError: the log cannot be written, or the registry does not answer and nothing is known.
    """
    parts = open_project(path, clock=clock, maintain=maintain)
    try:
        live = LiveConfiguration(parts.source, parts.clock, pins=parts.pins, poll_s=poll_s)
    except BaseException:
        parts.close()
        raise
    # Events are made by our own code and checked when they are made.
    queue = EventQueue(lambda events: parts.log.append(events, "process", checked=True), limits)
    return Core(
        live,
        queue,
        parts.clock,
        keeps_content=parts.content.samples,
        price=price,
        upkeep=lambda: str(error) if (error := parts.log.background_error) else None,
        release=parts.close,
    )
