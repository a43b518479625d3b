"""Anthropic's messages API: a chat completion's body as its request, one attempt, whole or streamed."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from promptarena.llm.attempt import AttemptError, Failure, Received
from promptarena.llm.http_session import HttpSession
from promptarena.llm.model_client import ModelCall
from promptarena.llm.openai_endpoint import error_within, read_stream
from promptarena.llm.reading import items, value
from promptarena.llm.response_facts import read_response
from promptarena.llm.timing import Timing

__all__ = ["AnthropicEndpoint", "messages_request"]

_VERSION: Final = "2023-06-01"
_MAX_TOKENS: Final = 4096
"""The API asks for a limit; this one where the request has none."""
_SAME: Final = ("model", "temperature", "top_p", "top_k", "thinking", "metadata")
_UNKNOWN: Final = frozenset({"seed", "logprobs", "top_logprobs", "user", "n"})
"""What chat completions may ask for and this API has not; without it an answer is still one."""


class AnthropicEndpoint:
    """Messages at `<base_url>/v1/messages`.

    Args:
        base_url: without `/v1`.
        key: sent as `x-api-key`.
        hosts: those that may be talked to.
        timeout_s: of one attempt.
    """

    def __init__(self, base_url: str, key: str | None, hosts: Collection[str], timeout_s: float) -> None:
        base = base_url.rstrip("/").removesuffix("/v1")
        self.identity = f"anthropic {base}"
        headers = {"anthropic-version": _VERSION, **({} if key is None else {"x-api-key": key})}
        self._session = HttpSession(f"{base}/v1/messages", headers, hosts, timeout_s)

    async def send(self, call: ModelCall, attempt: int = 0) -> Received:
        """Make one attempt.

        Raises:
            AttemptError: it gave no answer, or the request has no form in this API.
        """
        body = messages_request(call.request)
        if call.stream:
            return await read_stream(self._session, {**body, "stream": True}, attempt)
        start = time.monotonic()
        answer = await self._session.ask(json.dumps(body).encode(), attempt)
        if value(answer, "type") != "message" or not isinstance(value(answer, "content"), list):
            raise error_within(answer) or AttemptError(
                "the answer is no message", Failure.TRANSIENT, began=True
            )
        timing = Timing(latency_ms=(time.monotonic() - start) * 1000)
        return Received(facts=read_response(answer), timing=timing)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def messages_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """A chat completion's body as this API has it.

    System prompts move to their own field, a JSON Schema to `output_config`, tools to their own form. What
    the API does not know and an answer can do without (`seed`, `logprobs`) is not sent.

    >>> body = messages_request(
    ...     {"model": "m", "messages": [{"role": "system", "content": "Be brief."},
    ...                                 {"role": "user", "content": "Hello"}], "stop": ["END"]}
    ... )
    >>> body["system"], body["messages"], body["stop_sequences"], body["max_tokens"]
    ('Be brief.', [{'role': 'user', 'content': 'Hello'}], ['END'], 4096)

    Raises:
        AttemptError: it asks for something that this API cannot do.
    """
    messages = [dict(message) for message in request.get("messages", ())]
    system = [_plain(message) for message in messages if message.get("role") in ("system", "developer")]
    said = [_message(message) for message in messages if message.get("role") not in ("system", "developer")]
    limit = request.get("max_tokens") or request.get("max_completion_tokens") or _MAX_TOKENS
    body: dict[str, Any] = {"messages": said, "max_tokens": limit}
    if system:
        body["system"] = "\n\n".join(system)
    handled = {"messages", "max_tokens", "max_completion_tokens", *_UNKNOWN}
    for name, wanted in request.items():
        if name in _SAME:
            body[name] = wanted
        elif name == "stop":
            body["stop_sequences"] = [wanted] if isinstance(wanted, str) else list(wanted)
        elif name == "response_format":
            body |= _format(wanted)
        elif name == "tools":
            body["tools"] = [_tool(tool) for tool in wanted]
        elif name == "tool_choice":
            body["tool_choice"] = _tool_choice(wanted)
        elif name not in handled:
            raise AttemptError(f"Anthropic's messages API has no `{name}`", Failure.CALL)
    return body


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    role = message.get("role")
    if role not in ("user", "assistant"):
        raise AttemptError(f"a message of role {role!r} has no form in Anthropic's API", Failure.CALL)
    return {"role": role, "content": message.get("content") or ""}


def _plain(message: Mapping[str, Any]) -> str:
    parts = items(message, "content")
    return "".join(str(value(part, "text") or "") for part in parts) or str(message.get("content") or "")


def _format(wanted: Any) -> dict[str, Any]:
    schema = value(wanted, "json_schema", "schema")
    if value(wanted, "type") == "json_schema" and schema is not None:
        return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    # `json_object` has no counterpart; the prompt asks for JSON as well.
    return {}


def _tool(tool: Any) -> dict[str, Any]:
    function = value(tool, "function")
    if value(tool, "type") != "function" or function is None:
        return dict(tool)
    said = {"name": value(function, "name"), "description": value(function, "description")}
    schema = value(function, "parameters") or {"type": "object"}
    return {name: found for name, found in said.items() if found is not None} | {"input_schema": schema}


def _tool_choice(wanted: Any) -> dict[str, Any]:
    if isinstance(wanted, str):
        return {"type": {"required": "any"}.get(wanted, wanted)}
    return {"type": "tool", "name": value(wanted, "function", "name") or value(wanted, "name")}
