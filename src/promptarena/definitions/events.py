"""The three facts that everything is computed from, and the content that may accompany them.

An exposure says that a unit met a variant, a generation is one model call, a measurement is a value observed
afterwards. Offline runs and live traffic write the same ones. `received_at` is stamped by the log and by
nobody else; a value given there is replaced.

Durations are milliseconds, money is US dollars. TTFT is to the first content token, not to the first byte;
TPOT is (last - first content token) / (tokens - 1); ITL are the gaps between content chunks.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from promptarena.definitions.event_id import new_event_id

__all__ = ["EVENT_TYPES", "Content", "Event", "Exposure", "Generation", "Kind", "Measurement"]

Kind: TypeAlias = Literal["exposure", "generation", "measurement", "content"]

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=512)]
"""An identifier or a name: never empty, since an empty one would make strangers one unit."""
Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A moment with its zone; on the wire RFC 3339, such as 2026-01-31T12:00:00Z."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Amount: TypeAlias = Annotated[float, Meta(ge=0)]
Probability: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
Scalar: TypeAlias = str | int | float | bool


class _Fact(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="kind",
    gc=False,
):
    """What every event has."""

    ts: Instant
    """When it happened, by the clock of whoever says so."""
    event_id: Name = msgspec.field(default_factory=new_event_id)
    """A UUID of version 7; the same event sent again under the same name counts once."""
    received_at: Instant | None = None
    """When the log accepted it."""


class Exposure(_Fact, frozen=True, kw_only=True, tag="exposure"):
    """This unit met this variant."""

    experiment: Name
    definition_hash: Name
    stage: Name
    epoch: Count
    """Which reign of an allocation, counted from 0 within the experiment."""
    variant: Name
    propensity: Probability
    """The probability with which this unit was given this variant."""
    unit_kind: Name
    unit_id: Name
    attributes: dict[str, Scalar] = {}
    """What was known of the unit, as it was then."""
    segments: dict[str, str] = {}
    """Values of the experiment's segments, as they were then."""
    request_id: Name | None = None
    slots: dict[str, str] | None = None
    """Item to variant in the order shown; interleaving only."""
    rankings: dict[str, list[str]] | None = None
    """Variant to the top of its ranking, from which the list was merged; interleaving only. Without it nobody
    could tell what the coin might have done."""


class Generation(_Fact, frozen=True, kw_only=True, tag="generation"):
    """One model call."""

    request_id: Name
    """Our own key of the call."""
    feature: Name
    role: Literal["served", "shadow", "offline"] = "served"
    response_id: Name | None = None
    """The provider's name of the answer: an alias, since providers repeat them."""
    trace_id: Name | None = None
    user_id: Name | None = None
    session_id: Name | None = None
    conversation_id: Name | None = None
    turn: Count | None = None
    experiment: Name | None = None
    """The experiment, variant and configuration that were served."""
    variant: Name | None = None
    config_hash: Name | None = None
    reason: str | None = None
    """Why another variant or configuration was served than the assigned one."""
    run_id: Name | None = None
    dataset_hash: Name | None = None
    case_id: Name | None = None
    repeat: Count | None = None
    provider: Name | None = None
    model_asked: str | None = None
    model_answered: str | None = None
    system_fingerprint: str | None = None
    params: dict[str, Any] | None = None
    stream: bool | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    cost_usd: Amount | None = None
    ttft_ms: Amount | None = None
    tpot_ms: Amount | None = None
    itl_p95_ms: Amount | None = None
    latency_ms: Amount | None = None
    warm: bool | None = None
    """Whether the connection to the provider was already open."""
    finish_reason: str | None = None
    error: str | None = None
    blocked_by: str | None = None
    retry_count: Count = 0


class Measurement(_Fact, frozen=True, kw_only=True, tag="measurement"):
    """A value observed of a request, a conversation, a session, a user or another unit."""

    name: Name
    target_kind: Name
    target: Name
    source: Literal["code", "judge", "human", "business"]
    value: float | bool | None = None
    label: str | None = None
    against: Name | None = None
    """The other response of a duel."""
    position: Count | None = None
    """Where the target stood among what was shown."""
    item: Name | None = None
    evaluator: Name | None = None
    evaluator_hash: Name | None = None
    """Of the judge's whole configuration."""
    rationale: str | None = None
    sampling_probability: Probability | None = None


class Content(_Fact, frozen=True, kw_only=True, tag="content"):
    """What was said in one call: sampled, redacted before it is written, and kept for its own time.

    The unit ids are here so that a person's content can be found and erased.
    """

    request_id: Name
    input: Any = None
    output: Any = None
    context: Any = None
    """What was retrieved for the call."""
    tool_calls: Any = None
    user_id: Name | None = None
    session_id: Name | None = None
    conversation_id: Name | None = None


Event: TypeAlias = Exposure | Generation | Measurement | Content

EVENT_TYPES: Final[dict[Kind, type[Event]]] = {
    "exposure": Exposure,
    "generation": Generation,
    "measurement": Measurement,
    "content": Content,
}
