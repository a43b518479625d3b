"""OpenAI's chat completions as JSON: what a request must be, the bodies and stream events of an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from promptarena.demo.bot import ALIASES, MODELS, Reply

__all__ = [
    "BadRequestError",
    "checked_request",
    "completion",
    "error_body",
    "json_body",
    "model_list",
    "stream_events",
]

_CREATED: Final = 1_772_409_600
"""When every answer was made: the answers are the same on every day."""
_FINGERPRINT: Final = "fp_simulated"
_ROLES: Final = ("system", "developer", "user", "assistant", "tool")
_CHUNK: Final = 4
"""Tokens in one event of a stream."""


class BadRequestError(Exception):
    """A request that no provider takes: a status and the words for it."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code


def json_body(data: bytes) -> dict[str, Any]:
    """The object that a request's body is.

    Raises:
        BadRequestError: it is none.
    """
    try:
        body = json.loads(data)
    except ValueError:
        raise BadRequestError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise BadRequestError(400, "The body of a request is a JSON object.")
    return body


def checked_request(data: bytes) -> dict[str, Any]:
    """The body of a chat completion.

    Raises:
        BadRequestError: it is not one, or asks for a model that is not there.
    """
    body = json_body(data)
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str):
        raise BadRequestError(400, "you must provide a model parameter", "model")
    if model not in MODELS and model not in ALIASES:
        raise BadRequestError(404, f"The model `{model}` does not exist.", "model", "model_not_found")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError(400, "Expected a non-empty array of messages.", "messages")
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise BadRequestError(
                400, f"Expected a role, one of {', '.join(_ROLES)}.", f"messages[{at}].role"
            )
    if body.get("n") not in (None, 1):
        raise BadRequestError(400, "This provider gives one choice.", "n")
    for name in ("temperature", "max_tokens", "max_completion_tokens"):
        number = body.get(name)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise BadRequestError(400, f"Expected a number for {name}.", name)
    return body


def completion(body: Mapping[str, Any], reply: Reply, name: str) -> bytes:
    """A whole answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text, "refusal": None},
        "logprobs": {"content": _logprobs(reply)} if body.get("logprobs") is True else None,
        "finish_reason": reply.finish_reason,
    }
    envelope = _envelope(body, name, "chat.completion")
    return _json(envelope | {"choices": [choice], "usage": _usage(reply)})


def stream_events(body: Mapping[str, Any], reply: Reply, name: str) -> Iterator[tuple[int, bytes]]:
    """The server-sent events of an answer, each with the number of its tokens (0: no content)."""
    envelope = _envelope(body, name, "chat.completion.chunk")
    options = body.get("stream_options")
    with_usage = isinstance(options, dict) and options.get("include_usage") is True

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event(envelope | {"choices": [choice]} | ({"usage": None} if with_usage else {}))

    yield 0, event({"role": "assistant", "content": "", "refusal": None})
    for start in range(0, len(reply.pieces), _CHUNK):
        pieces = reply.pieces[start : start + _CHUNK]
        yield len(pieces), event({"content": "".join(pieces)})
    yield 0, event({}, reply.finish_reason)
    if with_usage:
        yield 0, _event(envelope | {"choices": [], "usage": _usage(reply)})
    yield 0, b"data: [DONE]\n\n"


def model_list(names: Iterable[str]) -> bytes:
    """What `/v1/models` says."""
    models = [
        {"id": name, "object": "model", "created": _CREATED, "owned_by": "promptarena-demo"} for name in names
    ]
    return _json({"object": "list", "data": models})


def error_body(status: int, message: str, param: str | None = None, code: str | None = None) -> bytes:
    """An error in the provider's words."""
    kind = {429: "rate_limit_exceeded", 401: "authentication_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )
    return _json({"error": {"message": message, "type": kind, "param": param, "code": code}})


def _envelope(body: Mapping[str, Any], name: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{name}",
        "object": kind,
        "created": _CREATED,
        "model": f"{ALIASES.get(body['model'], body['model'])}-2026-03-02",
        "system_fingerprint": _FINGERPRINT,
    }


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": len(reply.pieces),
        "total_tokens": reply.prompt_tokens + len(reply.pieces),
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _logprobs(reply: Reply) -> list[dict[str, Any]]:
    """Of each token, and of the digits near one that is a digit: less likely, the farther off."""
    return [_token_logprob(piece) for piece in reply.pieces]


def _token_logprob(piece: str) -> dict[str, Any]:
    digit = piece.strip()
    blank = piece[: len(piece) - len(digit)]
    others = [piece]
    if digit.isdecimal() and len(digit) == 1:
        near = [int(digit) + step for step in (0, -1, 1, -2, 2)]
        others = [f"{blank}{number}" for number in near if 0 <= number <= 9]
    # 0.8 for the token itself; each step away is a fifth as likely.
    logprobs = {token: math.log(0.8) + math.log(0.2) * ((at + 1) // 2) for at, token in enumerate(others)}
    alternatives = [
        {"token": token, "logprob": logprob, "bytes": list(token.encode())}
        for token, logprob in logprobs.items()
    ]
    return alternatives[0] | {"top_logprobs": alternatives}


def _event(value: Mapping[str, Any]) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
