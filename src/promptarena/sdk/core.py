"""What the synchronous and the asynchronous Arena share: everything but the waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from promptarena.assignment.assigned import Assignment, loggable
from promptarena.assignment.merging import merge, merged_exposure
from promptarena.definitions.clock import Clock
from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.events import Event, Exposure, Generation, Measurement
from promptarena.errors import UsageError
from promptarena.llm.response_facts import ResponseFacts, read_response
from promptarena.llm.timing import Timing
from promptarena.sdk.event_queue import EventQueue, QueueState
from promptarena.sdk.live_configuration import ConfigurationState, LiveConfiguration
from promptarena.sdk.recording import Source, content_of, generation, measurement, size_of
from promptarena.sdk.request_assignment import RequestAssignment
from promptarena.sdk.shown_list import ShownList

if TYPE_CHECKING:
    from promptarena.definitions.variant import Settings

__all__ = ["ALONE", "NOTHING", "Core", "Health", "Observed", "Price"]

Price: TypeAlias = Callable[[ResponseFacts], float | None]
ALONE: Final = "alone"
"""The name of the one ranking of a request whose list is not merged."""
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Health:
    """How this process stands with its registry and its log."""

    configuration: ConfigurationState
    events: QueueState
    upkeep: str | None = None
    """Why sealing or compaction failed in its last round, where this process does it."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong now, in words; empty where nothing is."""
        dropped = ", ".join(f"{times} {kind}" for kind, times in sorted(self.events.dropped.items()))
        lost = dropped and f"Events dropped: {dropped}."
        told = (self.configuration.problem, self.events.problem, lost, self.upkeep)
        return tuple(problem for problem in told if problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One model call as it was seen, whole or streamed."""

    facts: ResponseFacts
    ts: datetime
    """The moment of the request."""
    timing: Timing | None = None
    stream: bool | None = None
    error: str | None = None


class Core:
    """Assigns, and makes events.

    Args:
        keeps_content: whether the content of a request, by its id, is to be handed to the log.
        price: what a call costs in US dollars, where the answer does not say it; `None`: not known.
        upkeep: why the log could not be sealed or compacted, if it could not.
        release: gives back the log.
    """

    def __init__(
        self,
        live: LiveConfiguration,
        queue: EventQueue,
        clock: Clock,
        *,
        keeps_content: Callable[[str], bool],
        price: Price | None = None,
        upkeep: Callable[[], str | None],
        release: Callable[[], None],
    ) -> None:
        self.live = live
        self.queue = queue
        self.clock = clock
        self._keeps_content = keeps_content
        self._price = price
        self._upkeep = upkeep
        self._release = release

    def assign(
        self,
        feature: str,
        units: Mapping[str, str] | None,
        attributes: Mapping[str, object] | None,
        request_id: str | None,
    ) -> tuple[RequestAssignment, Exposure | None]:
        """The assignment of a request, and the exposure to queue before it is used."""
        now = self.clock.now()
        key = request_id or new_event_id(now)
        given, known = _units(units, key), attributes or NOTHING
        assigned = self.live.router.assign(feature, given, known)
        return RequestAssignment(assigned, key, now, given, known), assigned.exposure(now, known, key)

    def rankers(self, assignment: RequestAssignment) -> dict[str, Settings]:
        """The settings to rank by: two where lists are merged."""
        if (merging := assignment.assigned.placement.merging) is not None:
            return dict(merging.settings)
        return {ALONE: assignment.settings}

    def merge(
        self, assignment: RequestAssignment, rankings: Mapping[str, Sequence[str]]
    ) -> tuple[ShownList, Exposure | None]:
        """The list of a request, and the exposure to queue before it is shown."""
        placement, unit_id = assignment.assigned
        if placement.merging is None or unit_id is None:
            return ShownList(tuple(rankings[ALONE]), assignment, None), None
        merged = merge(placement, unit_id, rankings)
        known = loggable(assignment.attributes)
        exposure = merged_exposure(placement, unit_id, merged, assignment.at, known, assignment.request_id)
        return ShownList(tuple(merged.slots), assignment, dict(merged.slots)), exposure

    def peek(
        self, feature: str, units: Mapping[str, str] | None, attributes: Mapping[str, object] | None
    ) -> Assignment:
        """What `assign` would answer; nothing comes of it."""
        return self.live.router.peek(feature, _units(units, None), attributes or NOTHING)

    def observe(
        self, response: object, timing: Timing | None, latency_ms: float | None, error: str | None
    ) -> Observed:
        """A call as an application tells of it, ended just now."""
        if timing is None and latency_ms is not None:
            timing = Timing(latency_ms=latency_ms)
        ts = self.clock.now()
        if timing is not None:
            ts -= timedelta(milliseconds=timing.latency_ms)
        facts = ResponseFacts() if response is None else read_response(response)
        return Observed(facts=facts, ts=ts, timing=timing, error=error)

    def refuse_other(self, assignment: object) -> None:
        """A call is recorded of a request, whose exposure is in the log: of what `assign` returned."""
        if not isinstance(assignment, RequestAssignment):
            raise UsageError(
                f"A call is recorded of what `assign` returned; found {assignment!r:.60}.",
                hint="`peek` is for who only looks.",
            )

    def record(
        self,
        assignment: RequestAssignment,
        observed: Observed,
        *,
        input: Any = None,
        context: Any = None,
        request_id: str | None = None,
        cost_usd: float | None = None,
        turn: int | None = None,
        trace_id: str | None = None,
        retry_count: int = 0,
    ) -> tuple[Generation, list[tuple[Event, int]]]:
        """The generation of a model call, and what is to be queued, each with its size."""
        self.refuse_other(assignment)
        # A calendar that was set back, or that is accelerated, must not put an answer before its exposure.
        ts = max(observed.ts, assignment.at)
        if cost_usd is None and observed.facts.cost_usd is None and self._price is not None:
            cost_usd = self._price(observed.facts)
        event = generation(
            assignment,
            observed.facts,
            ts=ts,
            timing=observed.timing,
            stream=observed.stream,
            error=observed.error,
            cost_usd=cost_usd,
            request_id=request_id,
            turn=turn,
            trace_id=trace_id,
            retry_count=retry_count,
        )
        events: list[Event] = [event]
        if self._keeps_content(event.request_id):
            events.append(
                content_of(
                    assignment,
                    observed.facts,
                    ts=ts,
                    input=input,
                    context=context,
                    request_id=request_id,
                )
            )
        return event, [(one, size_of(one)) for one in events]

    def measure(
        self,
        name: str,
        value: float | bool | None,
        *,
        request: str | RequestAssignment | ShownList | None = None,
        conversation: str | None = None,
        session: str | None = None,
        user: str | None = None,
        target: Mapping[str, str] | None = None,
        ts: datetime | None = None,
        key: str | None = None,
        source: Source = "code",
        label: str | None = None,
        evaluator: str | None = None,
        evaluator_hash: str | None = None,
        rationale: str | None = None,
        sampling_probability: float | None = None,
        item: str | None = None,
        position: int | None = None,
    ) -> Measurement:
        """The event of a value observed."""
        if key is not None and ts is None:
            raise UsageError(
                "A `key` names an observation together with its time: give its `ts` too.",
                hint="Sent again with both the same, it counts once.",
            )
        if ts is not None and not isinstance(ts, datetime):
            raise UsageError(f"`ts` is a datetime with its zone; found {ts!r:.60}.")
        return measurement(
            name,
            value,
            {
                "request": request if request is None or isinstance(request, str) else request.request_id,
                "conversation": conversation,
                "session": session,
                "user": user,
                **(target or {}),
            },
            ts=ts or self.clock.now(),
            key=key,
            source=source,
            details={
                "label": label,
                "evaluator": evaluator,
                "evaluator_hash": evaluator_hash,
                "rationale": rationale,
                "sampling_probability": sampling_probability,
                "item": item,
                "position": position,
            },
        )

    def health(self) -> Health:
        """How this process stands."""
        return Health(self.live.state(), self.queue.state(), self._upkeep())

    def close(self) -> None:
        """Write what waits and give everything back."""
        self.queue.close()
        self.live.close()
        self._release()


def _units(units: Mapping[str, str] | None, request_id: str | None) -> Mapping[str, str]:
    """Ids by kind; a request is a unit of its own."""
    if units is not None and not isinstance(units, Mapping):
        raise UsageError(
            f"Units are ids by their kind, such as {{'conversation': 'c-17'}}; found {units!r:.60}."
        )
    given = dict(units or {})
    if request_id is not None:
        given.setdefault("request", request_id)
    return given
