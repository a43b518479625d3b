"""An endpoint that speaks OpenAI's protocol: one attempt at a chat completion or at an embedding."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from contextlib import aclosing
from typing import Any

from promptarena.llm.attempt import AttemptError, Failure, Received
from promptarena.llm.http_session import HttpSession
from promptarena.llm.model_client import ModelCall
from promptarena.llm.reading import items, text, value
from promptarena.llm.response_facts import ResponseFacts, read_response, read_usage
from promptarena.llm.stream_reader import StreamReader
from promptarena.llm.timing import ContentTimes, Timing

__all__ = ["OpenAIEndpoint", "chat_answer", "read_stream"]


class OpenAIEndpoint:
    """Chat completions at `<base_url>/chat/completions`, vectors at `<base_url>/embeddings`.

    Args:
        base_url: up to and with `/v1`.
        key: sent as `Authorization: Bearer`; nothing where it is `None`.
        hosts: those that may be talked to.
        timeout_s: of one attempt.
    """

    def __init__(self, base_url: str, key: str | None, hosts: Collection[str], timeout_s: float) -> None:
        self.identity = f"openai {base_url.rstrip('/')}"
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._session = HttpSession(f"{base_url.rstrip('/')}/chat/completions", headers, hosts, timeout_s)
        self._embeddings = HttpSession(f"{base_url.rstrip('/')}/embeddings", headers, hosts, timeout_s)

    async def send(self, call: ModelCall, attempt: int = 0) -> Received:
        """Make one attempt.

        Raises:
            AttemptError: it gave no answer.
        """
        if call.stream:
            streamed = {**call.request, "stream": True, "stream_options": {"include_usage": True}}
            return await read_stream(self._session, streamed, attempt)
        start = time.monotonic()
        body = json.dumps(dict(call.request)).encode()
        if call.purpose == "embedding":
            answer = await self._embeddings.ask(body, attempt)
            return embedding_answer(answer, Timing(latency_ms=(time.monotonic() - start) * 1000))
        answer = await self._session.ask(body, attempt)
        return chat_answer(answer, Timing(latency_ms=(time.monotonic() - start) * 1000))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
        await self._embeddings.close()


def embedding_answer(answer: Any, timing: Timing) -> Received:
    """An embedding as it was received: its vector as JSON in the place of an output.

    Raises:
        AttemptError: it is none.
    """
    vectors = [value(each, "embedding") for each in items(answer, "data")]
    numbers = vectors[0] if vectors else None
    if not isinstance(numbers, list) or not numbers or not all(isinstance(x, int | float) for x in numbers):
        raise error_within(answer) or AttemptError(
            "the answer holds no vector", Failure.TRANSIENT, began=True
        )
    # Nothing is generated, so a vector's price is that of its input.
    told = {"output_tokens": 0} | read_usage(value(answer, "usage"))
    facts = ResponseFacts(output=json.dumps(numbers), **told)
    return Received(facts=facts, timing=timing)


def chat_answer(answer: Any, timing: Timing) -> Received:
    """A chat completion as it was received.

    Raises:
        AttemptError: it is none.
    """
    if not items(answer, "choices"):
        raise error_within(answer) or AttemptError(
            "the answer holds no choices", Failure.TRANSIENT, began=True
        )
    logprobs = items(items(answer, "choices")[0], "logprobs", "content")
    return Received(
        facts=read_response(answer),
        timing=timing,
        logprobs=tuple(each for each in logprobs if isinstance(each, Mapping)) or None,
    )


async def read_stream(session: HttpSession, body: Mapping[str, Any], attempt: int) -> Received:
    """A streamed answer, of OpenAI's or of Anthropic's form, timed as it came.

    Raises:
        AttemptError: there is none, or it ends before it says that it is complete.
    """
    times, reader = ContentTimes(time.monotonic()), StreamReader()
    logprobs: list[Mapping[str, Any]] = []
    begun = complete = False
    async with aclosing(session.events(json.dumps(dict(body)).encode(), attempt)) as events:
        async for data, at in events:
            if data.strip() == b"[DONE]":
                complete = True
                break
            chunk = _chunk(data)
            if error := error_within(chunk):
                error.began = begun
                raise error
            begun = True
            if reader.read(chunk):
                times.saw_content(at)
            for choice in items(chunk, "choices"):
                logprobs += [each for each in items(choice, "logprobs", "content") if isinstance(each, dict)]
            complete = complete or value(chunk, "type") == "message_stop"
    end, facts = time.monotonic(), reader.facts()
    # Some compatible servers leave out the last event; a reason to finish says as much.
    if not complete and facts.finish_reason is None:
        raise AttemptError("the stream ended in the middle of an answer", Failure.TRANSIENT, began=True)
    return Received(
        facts=facts, timing=times.timing(end, facts.content_tokens), logprobs=tuple(logprobs) or None
    )


def error_within(answer: object) -> AttemptError | None:
    """The error that came with status 200, if that is what came: in a stream, or from a router in between."""
    error = value(answer, "error")
    if not error:
        return None
    message = text(error, "message") or "an error without a message"
    kind = text(error, "type") or text(error, "code") or ""
    overload = "overloaded" in kind or "rate_limit" in kind
    return AttemptError(
        f"the provider answers: {message}", Failure.OVERLOAD if overload else Failure.TRANSIENT
    )


def _chunk(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AttemptError("the stream holds what is not JSON", Failure.TRANSIENT, began=True) from error
