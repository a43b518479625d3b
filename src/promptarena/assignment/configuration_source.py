"""Where a node's configuration comes from: a port, so that nodes need not know a registry."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from promptarena.assignment.configuration import Configuration

__all__ = ["ConfigurationSource", "KnownConfiguration"]


class KnownConfiguration(NamedTuple):
    """A configuration, and how far it can be relied on."""

    configuration: Configuration
    problem: str | None = None
    """Why it may be out of date; `None`: it has just been confirmed."""


class ConfigurationSource(Protocol):
    """Where configurations come from. Called by one thread at a time."""

    def look(self) -> KnownConfiguration:
        """The present configuration, the same object while nothing has changed; else the last known one.

        Raises:
            ArenaError: nothing is known, now or from before.
        """

    def close(self) -> None:
        """Give back what it holds."""
