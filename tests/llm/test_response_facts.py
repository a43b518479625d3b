"""What answers say of themselves is read alike from the packages' own objects and from their JSON."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

from promptarena.llm.response_facts import ResponseFacts, read_response

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1772440000,
    "model": "gpt-4o-mini-2024-07-18",
    "system_fingerprint": "fp_44709d6fcb",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Within 30 days.", "refusal": None},
            "logprobs": None,
        }
    ],
    "usage": {
        "prompt_tokens": 120,
        "completion_tokens": 45,
        "total_tokens": 165,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 20},
    },
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1772440000.0,
    "model": "gpt-4o-mini",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Within 30 days.", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "refund", "arguments": "{}"},
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 120,
        "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
        "output_tokens": 45,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 165,
    },
}
MESSAGE: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku",
    "content": [
        {"type": "thinking", "thinking": "Returns policy 2 ...", "signature": "x"},
        {"type": "text", "text": "Within 30 days."},
        {"type": "tool_use", "id": "tu_1", "name": "refund", "input": {"order": 1182}},
    ],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 40,
        "cache_read_input_tokens": 64,
        "cache_creation_input_tokens": 16,
        "output_tokens": 45,
        "output_tokens_details": {"thinking_tokens": 20},
    },
}


@pytest.mark.parametrize(
    ("written", "declared", "name", "finish", "fingerprint", "calls"),
    [
        (CHAT, ChatCompletion, "chatcmpl-1", "stop", "fp_44709d6fcb", 0),
        (RESPONSE, Response, "resp_1", "completed", None, 1),
        (MESSAGE, Message, "msg_01", "end_turn", None, 1),
    ],
)
def test_counts_mean_the_same_in_every_form(
    written: dict[str, Any],
    declared: type[BaseModel],
    name: str,
    finish: str,
    fingerprint: str | None,
    calls: int,
) -> None:
    from_object, from_mapping = read_response(declared.model_validate(written)), read_response(written)
    for facts in (from_object, from_mapping):
        assert (facts.response_id, facts.finish_reason, facts.system_fingerprint) == (
            name,
            finish,
            fingerprint,
        )
        assert (facts.input_tokens, facts.output_tokens) == (120, 45)
        assert (facts.cached_tokens, facts.reasoning_tokens) == (64, 20)
        assert facts.content_tokens == 25
        assert facts.output == "Within 30 days."
        assert facts.model == written["model"]
        assert len(facts.tool_calls) == calls
    assert [call["name"] for call in from_object.tool_calls] == ["refund"] * calls


def test_an_answer_that_was_cut_short_says_why() -> None:
    cut = RESPONSE | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert read_response(cut).finish_reason == "max_output_tokens"


def test_a_refusal_in_a_field_of_its_own_is_what_the_user_sees() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    refused = read_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    assert (refused.output, refused.finish_reason) == ("I cannot help with that.", "refusal")


def test_half_a_character_takes_nothing_else_of_an_answer_away() -> None:
    message = {"role": "assistant", "content": "Ten \ud83d days \ud83d\ude00"}
    assert read_response({"choices": [{"message": message}]}).output == "Ten \ufffd days \U0001f600"


def test_a_cost_that_is_said_is_read() -> None:
    priced = CHAT | {"usage": CHAT["usage"] | {"cost": 0.00042}}
    assert read_response(priced).cost_usd == 0.00042
    assert read_response(CHAT).cost_usd is None


def test_what_is_not_said_is_unknown_and_never_zero() -> None:
    facts = read_response({"id": "x", "choices": []})
    assert facts == ResponseFacts(response_id="x")
    assert facts.content_tokens is None


class _Hostile:
    @property
    def usage(self) -> object:
        raise RuntimeError("not loaded")

    id = "ok"


def test_an_object_whose_attributes_raise_is_read_as_far_as_it_goes() -> None:
    assert read_response(_Hostile()) == ResponseFacts(response_id="ok")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*CHAT, *MESSAGE, "message"]), inner)
    ),
    max_leaves=15,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*CHAT, *MESSAGE, "output"], _JSON)))
def test_no_answer_makes_reading_fail_or_gives_a_number_that_is_none(answer: dict[str, Any]) -> None:
    facts = read_response(answer)
    for number in (facts.input_tokens, facts.output_tokens, facts.cached_tokens, facts.reasoning_tokens):
        assert number is None or (type(number) is int and number >= 0)
    assert facts.cost_usd is None or 0 <= facts.cost_usd < float("inf")
    for name in (facts.response_id, facts.model, facts.finish_reason, facts.system_fingerprint):
        assert name is None or name.encode()


def test_a_string_is_the_text_of_an_answer() -> None:
    assert read_response("Within 30 days.") == ResponseFacts(output="Within 30 days.")
    assert read_response("") == ResponseFacts()
