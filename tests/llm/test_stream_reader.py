"""Chunks: which of them hold content, and what all of them say, in the packages' own types."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import RawMessageStreamEvent
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter
from tests.llm.test_response_facts import RESPONSE

from promptarena.llm.response_facts import ResponseFacts
from promptarena.llm.stream_reader import StreamReader


def _chat(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1772440000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


_USAGE = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
CHAT: list[tuple[dict[str, Any], bool]] = [
    (_chat({"role": "assistant", "content": ""}), False),
    (_chat({"reasoning_content": "Policy 2 ..."}), False),
    (_chat({"content": "Within"}), True),
    (_chat({"content": " 30 days."}), True),
    (_chat({}, "stop"), False),
    (_chat({}) | {"choices": [], "usage": _USAGE}, False),
]
MESSAGE: list[tuple[dict[str, Any], bool]] = [
    (
        {
            "type": "message_start",
            "message": {
                "id": "msg_01",
                "type": "message",
                "role": "assistant",
                "model": "claude-haiku",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 4,
                    "cache_read_input_tokens": 10,
                    "cache_creation_input_tokens": 6,
                    "output_tokens": 1,
                },
            },
        },
        False,
    ),
    ({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, False),
    (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        False,
    ),
    ({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Within"}}, True),
    ({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " 30 days."}}, True),
    (
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "input_json_delta", "partial_json": '{"order"'},
        },
        True,
    ),
    ({"type": "content_block_stop", "index": 0}, False),
    (
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 4, "output_tokens": 9},
        },
        False,
    ),
    ({"type": "message_stop"}, False),
]
RESPONSES: list[tuple[dict[str, Any], bool]] = [
    (
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": RESPONSE | {"status": "in_progress", "output": [], "usage": None},
        },
        False,
    ),
    (
        {
            "type": "response.output_text.delta",
            "sequence_number": 1,
            "item_id": "msg_1",
            "output_index": 0,
            "content_index": 0,
            "delta": "Within 30 days.",
            "logprobs": [],
        },
        True,
    ),
    (
        {
            "type": "response.reasoning_summary_text.delta",
            "sequence_number": 2,
            "item_id": "rs_1",
            "output_index": 0,
            "summary_index": 0,
            "delta": "hm",
        },
        False,
    ),
    ({"type": "response.completed", "sequence_number": 3, "response": RESPONSE}, False),
]
_ADAPTERS: dict[str, TypeAdapter[BaseModel]] = {
    "chat": TypeAdapter(ChatCompletionChunk),
    "message": TypeAdapter(RawMessageStreamEvent),
    "responses": TypeAdapter(ResponseStreamEvent),
}
_STREAMS = {"chat": CHAT, "message": MESSAGE, "responses": RESPONSES}
_SAID = {
    "chat": ResponseFacts(
        response_id="chatcmpl-1",
        model="gpt-4o-mini-2024-07-18",
        system_fingerprint="fp_1",
        finish_reason="stop",
        input_tokens=20,
        output_tokens=9,
        output="Within 30 days.",
    ),
    "message": ResponseFacts(
        response_id="msg_01",
        model="claude-haiku",
        finish_reason="end_turn",
        input_tokens=20,
        output_tokens=9,
        cached_tokens=10,
        output="Within 30 days.",
    ),
}


@pytest.mark.parametrize("as_objects", [True, False])
@pytest.mark.parametrize("form", ["chat", "message", "responses"])
def test_content_is_told_from_the_rest(form: str, as_objects: bool) -> None:
    reader = StreamReader()
    for chunk, content in _STREAMS[form]:
        came: object = _ADAPTERS[form].validate_python(chunk) if as_objects else chunk
        assert reader.read(came) is content, chunk
    facts = reader.facts()
    if form in _SAID:
        assert facts == _SAID[form]
    else:
        assert (facts.response_id, facts.output, facts.input_tokens, facts.content_tokens) == (
            "resp_1",
            "Within 30 days.",
            120,
            25,
        )


def test_tool_calls_and_refusals_are_content() -> None:
    reader = StreamReader()
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "refund", "arguments": ""}}
    assert reader.read(_chat({"tool_calls": [call]}))
    assert reader.read(_chat({"refusal": "I cannot"}))
    assert reader.facts().finish_reason is None
    reader.read(_chat({}, "stop"))
    assert (reader.facts().output, reader.facts().finish_reason) == ("I cannot", "refusal")


def test_a_character_that_a_stream_cuts_in_two_is_whole_again() -> None:
    reader = StreamReader()
    for half in ("Ten \ud83d", "\ude00", " \ud83d"):
        reader.read(_chat({"content": half}))
    assert reader.facts().output == "Ten \U0001f600 \ufffd"


def test_a_stream_that_breaks_off_keeps_what_it_said() -> None:
    reader = StreamReader()
    for chunk, _ in CHAT[:3]:
        reader.read(chunk)
    facts = reader.facts()
    assert (facts.output, facts.finish_reason, facts.output_tokens) == ("Within", None, None)
    assert facts.model == "gpt-4o-mini-2024-07-18"


@pytest.mark.parametrize(
    "chunk", [None, 7, "data: x", {}, {"type": 3}, {"choices": [None, 4]}, {"type": "ping"}]
)
def test_a_chunk_of_no_known_form_says_nothing(chunk: object) -> None:
    reader = StreamReader()
    assert reader.read(chunk) is False
    assert reader.facts() == ResponseFacts()


def test_the_first_of_several_choices_is_the_answer() -> None:
    reader = StreamReader()
    second = {"choices": [{"index": 1, "delta": {"content": "Never."}, "finish_reason": "length"}]}
    assert reader.read(second) is True
    reader.read(_chat({"content": "Within 30 days."}, "stop"))
    assert (reader.facts().output, reader.facts().finish_reason) == ("Within 30 days.", "stop")
