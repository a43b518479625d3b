"""Prompt Arena in an application.

    with Arena.local(".") as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-17"}, {"tier": "free"})
        with arena.call(assignment) as call:
            answer = call.response(client.chat.completions.create(**assignment.chat("Where is my parcel?")))
        arena.measure("resolved", True, conversation="c-17")

One Arena a process, shared by its threads. `AsyncArena` has the same names, to be awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from promptarena.assignment.assigned import Assignment
from promptarena.definitions.clock import Clock
from promptarena.definitions.events import Generation, Measurement
from promptarena.llm.timing import Timing
from promptarena.sdk.call import Call
from promptarena.sdk.core import Core, Health, Observed, Price
from promptarena.sdk.details import CallDetails, MeasurementDetails
from promptarena.sdk.event_queue import QueueLimits
from promptarena.sdk.local import open_local
from promptarena.sdk.request_assignment import RequestAssignment
from promptarena.sdk.shown_list import ShownList

if TYPE_CHECKING:
    from promptarena.definitions.variant import Settings

__all__ = ["Arena"]


class Arena:
    """Assigns units to variants and records what comes of it.

    Nothing here waits for a database or, but for a full queue, for a disk; and once it is open neither of
    them makes it raise: what they do is in `health`. What does raise is a mistake of the calling code, such
    as a feature that does not exist.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @classmethod
    def local(
        cls,
        path: str | Path = ".",
        *,
        clock: Clock | None = None,
        price: Price | None = None,
        limits: QueueLimits | None = None,
        poll_s: float = 1.0,
        maintain: bool = True,
    ) -> Arena:
        """Open the project in a folder (or above it), with its registry and its log.

        Args:
            path: the folder, or its arena.yaml.
            clock: for the times of events; durations are on its monotonic hand.
            price: what a call costs in US dollars, where the answer does not say it.
            limits: of the queue of events.
            poll_s: seconds between looks at the registry; 0 looks when `refresh` is called.
            maintain: seal and compact the log from a thread of this process; turn it off where a process of
                its own does.

        Raises:
            DefinitionError: arena.yaml or metrics.yaml is missing or wrong.
            StorageError: the log cannot be written, or the registry does not answer and nothing is known.
        """
        core = open_local(
            Path(path), clock=clock, price=price, limits=limits, poll_s=poll_s, maintain=maintain
        )
        return cls(core)

    def assign(
        self,
        feature: str,
        units: Mapping[str, str] | None = None,
        attributes: Mapping[str, object] | None = None,
        *,
        request_id: str | None = None,
    ) -> RequestAssignment:
        """Which variant this request's unit has and what it is served; its exposure is queued before that.

        Args:
            feature: its name in arena.yaml.
            units: ids by kind (conversation, user, session); what is not known is left out.
            attributes: of the unit, for eligibility and segments.
            request_id: the application's own key of this request; made if not given.

        Raises:
            UsageError: there is no such feature.
        """
        assignment, exposure = self._core.assign(feature, units, attributes, request_id)
        if exposure is not None:
            self._core.queue.put(exposure)
        return assignment

    def interleave(
        self,
        feature: str,
        rank: Callable[[Settings], Sequence[str]],
        units: Mapping[str, str] | None = None,
        attributes: Mapping[str, object] | None = None,
        *,
        request_id: str | None = None,
    ) -> ShownList:
        """The list to show for this request; of an experiment that interleaves, both rankers' items in one.

        Its exposure, with whose item each is, is queued before this returns. A click is
        `measure("click", True, request=shown, item=...)`.

        Args:
            feature: its name in arena.yaml.
            rank: gives the ids of items, best first, by the settings that it is called with: twice where
                lists are merged, else once. What it raises goes on its way, and no list is logged.
            units: ids by kind; what is not known is left out.
            attributes: of the request, for eligibility, and for what lists have in common (the query).
            request_id: the application's own key of this request; the same one gets the same list.

        Raises:
            UsageError: there is no such feature, or an item is no text.
        """
        assignment = self.assign(feature, units, attributes, request_id=request_id)
        settings = self._core.rankers(assignment)
        shown, exposure = self._core.merge(assignment, {name: rank(each) for name, each in settings.items()})
        if exposure is not None:
            self._core.queue.put(exposure)
        return shown

    def peek(
        self,
        feature: str,
        units: Mapping[str, str] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> Assignment:
        """What `assign` would answer, for somebody who only looks: no exposure.

        Raises:
            UsageError: there is no such feature.
        """
        return self._core.peek(feature, units, attributes)

    def record(
        self,
        response: object,
        assignment: RequestAssignment,
        *,
        timing: Timing | None = None,
        latency_ms: float | None = None,
        error: str | None = None,
        **details: Unpack[CallDetails],
    ) -> Generation:
        """Record a model call that the application made and timed itself; `call` times one.

        Args:
            response: the answer, of the `openai` or `anthropic` package or as a mapping; `None` if there was
                none. What it does not say is not recorded.
            assignment: what the request was served.
            timing: durations; or the `latency_ms` alone.
            error: the name of what went wrong.

        Returns:
            The event, which has been queued.

        Raises:
            EventError: a given value is not what its field holds.
        """
        observed = self._core.observe(response, timing, latency_ms, error)
        return self._record(assignment, observed, details)

    def call(self, assignment: RequestAssignment, **details: Unpack[CallDetails]) -> Call:
        """Time a model call, and its stream, and record it at the end: a context manager, see `Call`."""
        self._core.refuse_other(assignment)
        return Call(self._core.clock, lambda observed: self._record(assignment, observed, details))

    def measure(
        self, name: str, value: float | bool | None = None, **details: Unpack[MeasurementDetails]
    ) -> Measurement:
        """Record a value that was observed of a request, a conversation, a session, a user or another unit.

        Args:
            name: what was observed, such as resolved, rating or refund.
            value: a number, or true or false; or a `label`, or both.

        Returns:
            The event, which has been queued.

        Raises:
            UsageError: not exactly one target, or a key without a time.
            EventError: a value is not what its field holds (NaN, for one).
        """
        event = self._core.measure(name, value, **details)
        self._core.queue.put(event)
        return event

    def refresh(self) -> bool:
        """Look at the registry now; whether it answered."""
        return self._core.live.refresh()

    def flush(self, timeout_s: float = 5.0) -> int:
        """Write what is queued, now; how many events are still waiting (0: all are in the log)."""
        return self._core.queue.flush(timeout_s)

    def health(self) -> Health:
        """How this process stands with its registry and its log."""
        return self._core.health()

    def close(self) -> None:
        """Write what is queued and give everything back; the end of the process does it too."""
        self._core.close()

    def __enter__(self) -> Arena:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, assignment: RequestAssignment, observed: Observed, details: CallDetails) -> Generation:
        generation, events = self._core.record(assignment, observed, **details)
        for event, size in events:
            self._core.queue.put(event, size)
        return generation
