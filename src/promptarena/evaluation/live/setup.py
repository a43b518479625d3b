"""What a live run is given: who makes calls, where its files go, who watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from promptarena.definitions.clock import Clock, SystemClock
from promptarena.llm.provider_client import ProviderClient
from promptarena.storage.event_log import EventLog
from promptarena.storage.registry.address import Address

__all__ = ["LiveSetup", "NobodyWatches", "RunCounts", "RunWatch"]


@dataclass(slots=True)
class RunCounts:
    """How far a run is. Calls that were in the cache count as done."""

    cases: int
    """All of them."""
    complete: int = 0
    """Cases with all of their answers and judgments; one of which a call failed is not."""
    calls: int = 0
    """All calls, as far as they are known: those of judges are reckoned from the cases until now."""
    done: int = 0
    """Calls that are over, failed ones included."""
    failed_answers: int = 0
    failed_judgments: int = 0
    empty_answers: int = 0
    refused_answers: int = 0
    """By the model, as far as its provider says so, or stopped by the provider's content filter."""
    cut_answers: int = 0
    """Ended at the limit of tokens."""
    usd: float = 0.0
    """Spent in this run."""

    @property
    def failed(self) -> int:
        """Calls that got no answer after all attempts."""
        return self.failed_answers + self.failed_judgments


class RunWatch(Protocol):
    """Whoever is told how far a run is."""

    def progressed(self, counts: RunCounts) -> None:
        """Another call is done."""


class NobodyWatches:
    """A watch for runs that nobody looks at."""

    def progressed(self, counts: RunCounts) -> None:
        """Nothing is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSetup:
    """For one run."""

    client: ProviderClient
    runs: Path
    """The folder in which the run's own is made."""
    concurrency: int
    """Calls under way at once, at most; how many cases are worked on follows from it."""
    log: EventLog | None = None
    """Where generations and measurements are written; nowhere for a duel without a project."""
    registry: Callable[[], Address] | None = None
    """Says where the configuration of the judge is kept, whose hash the measurements carry."""
    watch: RunWatch = field(default_factory=NobodyWatches)
    clock: Clock = field(default_factory=SystemClock)
    interruptible: bool = True
    """Whether Ctrl-C lets calls under way finish; only in a process's main thread."""
