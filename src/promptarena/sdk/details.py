"""What may be said of a call or of a measurement besides the thing itself; all of it by keyword."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

from promptarena.sdk.recording import Source
from promptarena.sdk.request_assignment import RequestAssignment
from promptarena.sdk.shown_list import ShownList

__all__ = ["CallDetails", "MeasurementDetails"]


class CallDetails(TypedDict, total=False):
    """Of a model call."""

    request_id: str
    """Of this call, where one request made several; the request's own by default."""
    input: Any
    """What was sent, for the content stream (sampled and redacted as arena.yaml says)."""
    context: Any
    """What was retrieved for it, likewise."""
    cost_usd: float
    """What it cost; by default what the answer says, or else the price given to the Arena."""
    turn: int
    """Which turn of the conversation it is."""
    trace_id: str
    retry_count: int
    """Attempts after the first."""


class MeasurementDetails(TypedDict, total=False):
    """Of a measurement. Its target is exactly one of request, conversation, session, user and `target`."""

    request: str | RequestAssignment | ShownList
    """A request's key, or its assignment, or the list that it was shown."""
    conversation: str
    session: str
    user: str
    target: Mapping[str, str]
    """An id of another kind, such as `{"account": "a-9"}`."""
    label: str
    source: Source
    """Who says so: code (the default), a judge, a human, the business."""
    ts: datetime
    """When it was observed; now, by default."""
    key: str
    """The source's own name of this observation; with its `ts` it counts once however often it comes."""
    evaluator: str
    evaluator_hash: str
    rationale: str
    sampling_probability: float
    item: str
    """Of a list that was shown: the item that it is about."""
    position: int
    """Where that item stood, from 0."""
