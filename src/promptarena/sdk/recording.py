"""Events out of what the application has: an assignment, an answer, a value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from promptarena.assignment.eligibility import as_text
from promptarena.definitions.event_id import event_id_for, new_event_id
from promptarena.definitions.event_lines import encode_events
from promptarena.definitions.events import Content, Event, Generation, Measurement
from promptarena.errors import UsageError
from promptarena.llm.chat_request import sampling_parameters
from promptarena.llm.reading import text
from promptarena.llm.response_facts import ResponseFacts
from promptarena.llm.timing import Timing
from promptarena.sdk.request_assignment import RequestAssignment

__all__ = ["Source", "content_of", "error_name", "generation", "measurement", "size_of"]

Source: TypeAlias = Literal["code", "judge", "human", "business"]

_UNIT_FIELDS: Final = {"user": "user_id", "session": "session_id", "conversation": "conversation_id"}
_TARGETS: Final = ("request", "conversation", "session", "user")


def generation(
    assignment: RequestAssignment,
    facts: ResponseFacts,
    *,
    ts: datetime,
    timing: Timing | None,
    stream: bool | None = None,
    error: str | None = None,
    cost_usd: float | None = None,
    request_id: str | None = None,
    turn: int | None = None,
    trace_id: str | None = None,
    retry_count: int = 0,
) -> Generation:
    """The event of one model call that was served.

    Args:
        ts: the moment of the request.
        cost_usd: what it cost; what the answer itself says where not given.
        request_id: where one request made several calls, the key of this one.
    """
    assigned, settings = assignment.assigned, assignment.settings
    return Generation(
        ts=ts,
        event_id=new_event_id(ts),
        request_id=request_id or assignment.request_id,
        feature=assignment.feature,
        response_id=facts.response_id,
        trace_id=trace_id,
        turn=turn,
        experiment=assignment.experiment if assignment.served is not None else None,
        variant=assignment.served,
        config_hash=assignment.config_hash,
        reason=assigned.deviation,
        provider=settings.provider,
        model_asked=settings.model,
        model_answered=facts.model,
        system_fingerprint=facts.system_fingerprint,
        params=sampling_parameters(settings) or None,
        stream=stream,
        input_tokens=facts.input_tokens,
        output_tokens=facts.output_tokens,
        cached_tokens=facts.cached_tokens,
        reasoning_tokens=facts.reasoning_tokens,
        cost_usd=facts.cost_usd if cost_usd is None else cost_usd,
        latency_ms=timing.latency_ms if timing else None,
        ttft_ms=timing.ttft_ms if timing else None,
        tpot_ms=timing.tpot_ms if timing else None,
        itl_p95_ms=timing.itl_p95_ms if timing else None,
        finish_reason=facts.finish_reason,
        error=error,
        retry_count=retry_count,
        **_unit_ids(assignment),
    )


def content_of(
    assignment: RequestAssignment,
    facts: ResponseFacts,
    *,
    ts: datetime,
    input: Any = None,
    context: Any = None,
    request_id: str | None = None,
) -> Content:
    """What was said in this call; the log samples and redacts it before it is written."""
    return Content(
        ts=ts,
        event_id=new_event_id(ts),
        request_id=request_id or assignment.request_id,
        input=input,
        output=facts.output,
        context=context,
        tool_calls=list(facts.tool_calls) or None,
        **_unit_ids(assignment),
    )


def measurement(
    name: str,
    value: float | bool | None,
    targets: Mapping[str, object],
    *,
    ts: datetime,
    key: str | None = None,
    source: Source = "code",
    details: Mapping[str, Any],
) -> Measurement:
    """The event of a value observed of one thing.

    Args:
        targets: exactly one id by its kind.
        key: the source's own name of this observation; with the same `ts` it counts once however often it is
            sent.
        details: further fields of a measurement.

    Raises:
        UsageError: no target, or several.
        EventError: a field holds what it must not.
    """
    said = {kind: written for kind, target in targets.items() if (written := as_text(target))}
    if len(said) != 1:
        found = ", ".join(sorted(said)) or "none"
        raise UsageError(
            f"A measurement has one target; found {found}.",
            hint=f"Name one of {', '.join(_TARGETS)}, or `target={{KIND: ID}}` for another kind.",
        )
    ((kind, target),) = said.items()
    event = Measurement(
        ts=ts,
        event_id=new_event_id(ts) if key is None else event_id_for(f"{name}/{kind}/{target}/{key}", ts),
        name=name,
        target_kind=kind,
        target=target,
        source=source,
        value=value,
        **details,
    )
    encode_events((event,))
    return event


def size_of(event: Event) -> int:
    """Bytes of an event as it will be written.

    Raises:
        EventError: a field holds what it must not.
    """
    return len(encode_events((event,)))


def error_name(error: BaseException) -> str:
    """What a failed call is logged with: the error's class and, if it has one, the status; no message, since
    that may quote what the user said.

    >>> error_name(TimeoutError("order 1182 of Ann"))
    'TimeoutError'
    """
    status = getattr(error, "status_code", None)
    name = type(error).__name__
    return f"{name} {status}" if isinstance(status, int) else name


def _unit_ids(assignment: RequestAssignment) -> dict[str, Any]:
    """Of the kinds that a generation has fields for; an id that no event can hold is no id."""
    given = {kind: as_text(unit) for kind, unit in assignment.units.items()}
    if assignment.unit_kind:
        given[assignment.unit_kind] = assignment.unit_id
    return {field: text(given, kind) for kind, field in _UNIT_FIELDS.items()}
