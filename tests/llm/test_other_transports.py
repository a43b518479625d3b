"""Providers that do not speak OpenAI's protocol: Anthropic, an HTTP endpoint, a function, a recording."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.llm.loopback import FAST, Behaviour, Loopback, ask, http, refuses, serving, streams

from promptarena.definitions.provider import (
    AnthropicProvider,
    HttpProvider,
    Provider,
    PythonProvider,
    ReplayProvider,
)
from promptarena.errors import ArenaError, DataError, DefinitionError, ModelCallError, UsageError
from promptarena.llm.http_session import HttpSession
from promptarena.llm.limiter import AdaptiveLimiter
from promptarena.llm.model_client import Completion, ModelCall
from promptarena.llm.provider_client import Line, ProviderClient
from promptarena.llm.replay import Recording
from promptarena.llm.transports import make_transport


def answered(
    provider: Provider,
    call: ModelCall,
    root: Path,
    *,
    hooks: tuple[str, ...] = (),
    recording: Recording | None = None,
) -> Completion:
    async def run() -> Completion:
        transport = make_transport("test", provider, environment={"KEY": "k"}, hooks=hooks, root=root)
        client = ProviderClient(
            lambda _: Line(transport, AdaptiveLimiter(2)), retries=FAST, recording=recording
        )
        try:
            return await client.complete(call)
        finally:
            await client.close()

    return asyncio.run(run())


def over_http(behave: Behaviour, call: ModelCall, shape: Any, root: Path) -> tuple[Completion, Loopback]:
    async def run() -> tuple[Completion, Loopback]:
        async with serving(behave) as server:
            transport = make_transport("test", shape(server), environment={"KEY": "k"}, root=root)
            client = ProviderClient(lambda _: Line(transport, AdaptiveLimiter(2)), retries=FAST)
            try:
                return await client.complete(call), server
            finally:
                await client.close()

    return asyncio.run(run())


def claude(server: Loopback) -> AnthropicProvider:
    return AnthropicProvider(kind="anthropic", base_url=f"http://{server.host}", key_env="KEY")


SYSTEM = {"role": "system", "content": "Be brief."}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": "In two days."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 12, "output_tokens": 4, "cache_read_input_tokens": 0},
}


def test_anthropic_is_asked_in_its_own_form(tmp_path: Path) -> None:
    call = ask(
        temperature=0,
        seed=3,
        stop="END",
        response_format={"type": "json_schema", "json_schema": {"name": "j", "schema": {"type": "object"}}},
    )
    call = replace(call, request={**call.request, "messages": [SYSTEM, *call.request["messages"]]})
    found, server = over_http(lambda *_: http(200, json.dumps(MESSAGE).encode()), call, claude, tmp_path)
    [asked] = server.asked
    assert asked.path == "/v1/messages"
    assert (asked.headers["x-api-key"], asked.headers["anthropic-version"]) == ("k", "2023-06-01")
    assert asked.body == {
        "model": "gpt-4o-mini",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Where is my parcel?"}],
        "max_tokens": 4096,
        "temperature": 0,
        "stop_sequences": ["END"],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }
    assert (found.facts.output, found.facts.finish_reason, found.facts.input_tokens) == (
        "In two days.",
        "end_turn",
        12,
    )
    assert found.cost_usd == pytest.approx((12 * 3 + 4 * 15) / 1e6)


def test_anthropic_streams(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "model": "claude-sonnet-4-5",
                "usage": {"input_tokens": 9, "output_tokens": 1},
            },
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "In two "}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "days."}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]
    written = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
    found, server = over_http(lambda *_: streams(written), ask(stream=True), claude, tmp_path)
    assert server.asked[0].body["stream"] is True
    assert (found.facts.output, found.facts.output_tokens) == ("In two days.", 4)
    assert found.timing.ttft_ms is not None


def test_an_overloaded_anthropic_is_asked_again(tmp_path: Path) -> None:
    def behave(_asked: object, number: int) -> bytes:
        return refuses(529, "Overloaded") if number < 2 else http(200, json.dumps(MESSAGE).encode())

    found, server = over_http(behave, ask(), claude, tmp_path)
    assert found.retry_count == 2
    assert [each.headers.get("x-stainless-retry-count") for each in server.asked] == [None, "1", "2"]


def test_what_anthropic_cannot_do_is_said_and_not_sent(tmp_path: Path) -> None:
    with pytest.raises(ModelCallError, match="has no `frequency_penalty`"):
        over_http(lambda *_: b"", ask(frequency_penalty=1), claude, tmp_path)


def bot(server: Loopback, **said: Any) -> HttpProvider:
    fields = {
        "url": f"http://{server.host}/ask",
        "body": {"q": "Q: {{ input }}", "history": "{{ messages }}", "k": 3, "last": ["{{ repeat }}"]},
        "output": "reply.0.text",
    }
    return HttpProvider(**{"kind": "http", "key_env": "KEY"} | fields | said)


def test_an_http_endpoint_gets_the_filled_template_and_its_output_is_found(tmp_path: Path) -> None:
    reply = {"reply": [{"text": "In two days."}], "usage": {"input_tokens": 3, "output_tokens": 4}}
    found, server = over_http(
        lambda *_: http(200, json.dumps(reply).encode()), ask("{{ 1 + 1 }}"), bot, tmp_path
    )
    [asked] = server.asked
    assert asked.path == "/ask"
    assert asked.headers["authorization"] == "Bearer k"
    # A question that looks like a template is data.
    assert asked.body == {
        "q": "Q: {{ 1 + 1 }}",
        "history": [{"role": "user", "content": "{{ 1 + 1 }}"}],
        "k": 3,
        "last": [0],
    }
    assert (found.facts.output, found.facts.output_tokens) == ("In two days.", 4)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"output": "answer"}, "holds nothing at `answer`"),
        ({"body": {"q": "{{ tier }}"}}, "template of the body cannot be filled: 'tier' is undefined"),
        ({"body": {"q": "{{ input.__class__.__mro__ }}"}}, "cannot be filled: access to attribute"),
    ],
)
def test_an_http_endpoint_that_is_declared_wrong_is_told_of(
    said: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelCallError, match=says):
        over_http(lambda *_: http(200, b'{"reply": []}'), ask(), lambda server: bot(server, **said), tmp_path)


def test_hosts_that_nobody_allowed_are_not_talked_to() -> None:
    with pytest.raises(UsageError, match=r"'evil.example' is not allowed.*hosts"):
        HttpSession("https://evil.example/v1", {}, ("api.example",), 1.0)
    HttpSession("https://api.example:8443/v1", {}, ("api.example",), 1.0)


FUNCTIONS = """
import asyncio

def plain(request):
    return request["messages"][-1]["content"].upper()

async def later(request):
    await asyncio.sleep(0)
    return {"choices": [{"message": {"content": "later"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}

def wrong(request):
    return 7

def broken(request):
    raise KeyError("order")
"""


def test_an_allow_listed_function_answers(tmp_path: Path) -> None:
    (tmp_path / "arena_test_answers.py").write_text(FUNCTIONS)

    def by(function: str) -> Completion:
        name = f"arena_test_answers:{function}"
        return answered(PythonProvider(kind="python", function=name), ask("hello"), tmp_path, hooks=(name,))

    assert by("plain").facts.output == "HELLO"
    assert by("later").facts.input_tokens == 1
    with pytest.raises(ModelCallError, match="gave int"):
        by("wrong")
    with pytest.raises(ModelCallError, match="raised KeyError: 'order'"):
        by("broken")
    with pytest.raises(DefinitionError, match="no function 'absent'"):
        by("absent")


def test_a_function_that_is_not_allow_listed_is_not_even_imported(tmp_path: Path) -> None:
    (tmp_path / "arena_test_trap.py").write_text("raise SystemExit('imported')")
    with pytest.raises(DefinitionError, match=r"not allow-listed.*hooks: \[arena_test_trap:f\]"):
        answered(PythonProvider(kind="python", function="arena_test_trap:f"), ask(), tmp_path)


def test_what_was_recorded_is_answered_again_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "arena_test_answers.py").write_text(FUNCTIONS)
    name = "arena_test_answers:plain"
    recording = Recording(tmp_path / "tape.jsonl")
    for call in (ask("one"), ask("two", repeat=1)):
        answered(
            PythonProvider(kind="python", function=name), call, tmp_path, hooks=(name,), recording=recording
        )
    recording.close()
    tape = ReplayProvider(kind="replay", file="tape.jsonl")
    assert answered(tape, ask("one"), tmp_path).facts.output == "ONE"
    assert answered(tape, ask("two", repeat=1), tmp_path).facts.output == "TWO"
    with pytest.raises(ModelCallError, match="holds no answer to this request"):
        answered(tape, ask("two"), tmp_path)


@pytest.mark.parametrize(
    "line", ["{}", "[1]", "no json", '{"request": {}, "repeat": 0, "completion": {"facts": 1}}']
)
def test_a_file_that_is_no_recording_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "tape.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(DataError, match=r"tape\.jsonl:2: This line is no recorded call"):
        answered(ReplayProvider(kind="replay", file="tape.jsonl"), ask(), tmp_path)


def test_a_missing_recording_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArenaError, match="No such file"):
        answered(ReplayProvider(kind="replay", file="tape.jsonl"), ask(), tmp_path)
