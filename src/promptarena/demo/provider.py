"""A simulated model provider on loopback that speaks OpenAI's HTTP protocol.

    with SimulatedProvider(seed=1) as provider:
        client = openai.OpenAI(base_url=provider.base_url, api_key="any")
        client.chat.completions.create(model="sim-small", messages=[...])

It has chat completions, streamed ones included, embeddings and the list of models; it fails now and then
with 429 and 500. What it answers is decided by the seed, the request and the number of its repetition (which
the `openai` package sends; of other clients it is counted): not by time, order or chance. See `bot`.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final

from promptarena.demo.bot import MODELS, Failure, Reply, answer
from promptarena.demo.chat_protocol import (
    BadRequestError,
    checked_request,
    completion,
    error_body,
    model_list,
    stream_events,
)
from promptarena.demo.embeddings import EMBEDDING_MODEL, embedding_answer
from promptarena.demo.http_server import Answer, Request, serve_connection

__all__ = ["SimulatedProvider"]

_VECTORS_S: Final = 0.004
_RETRY_AFTER: Final = {"retry-after-ms": "20"}
_SAID: Final = {
    429: "Rate limit reached (simulated). Please try again in 20ms.",
    500: "The server had an error while processing your request (simulated).",
}


class SimulatedProvider:
    """A provider in a thread of this process, for as long as its `with` block lasts.

    Args:
        seed: of all draws.
        pace: how much slower than by nature it answers; 0 answers at once.
        failures: how much likelier 429 and 500 are than by nature (about 1 request in 150); 0 is never.
        key: the key that requests must bring; any, or none, where it is `None`.
        port: where it listens; any free one where it is 0.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        pace: float = 1.0,
        failures: float = 1.0,
        key: str | None = None,
        port: int = 0,
    ) -> None:
        self._seed = seed
        self._pace = pace
        self._failures = failures
        self._key = key
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._refused: Counter[bytes] = Counter()
        """How often a request of this content was."""
        self.answered: Counter[int] = Counter()
        """How many requests had which status."""

    @property
    def base_url(self) -> str:
        """Where clients send their requests."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> SimulatedProvider:
        started: Future[int] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), name="simulated-provider", daemon=True
        )
        self._thread.start()
        self._port = started.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self, started: Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await serve_connection(reader, writer, self._handle)
            except asyncio.CancelledError:
                pass  # the provider is closing, and this connection was kept open
            finally:
                connections.discard(task)

        try:
            server = await asyncio.start_server(connected, "127.0.0.1", self._port)
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _handle(self, request: Request) -> Answer:
        try:
            answered = await self._route(request)
        except BadRequestError as bad:
            answered = Answer(bad.status, error_body(bad.status, str(bad), bad.param, bad.code))
        self.answered[answered.status] += 1
        return answered

    async def _route(self, request: Request) -> Answer:
        if self._key is not None and request.headers.get("authorization") != f"Bearer {self._key}":
            raise BadRequestError(401, "Incorrect API key provided.", code="invalid_api_key")
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                return await self._complete(request)
            case "POST", "/v1/embeddings":
                vectors = embedding_answer(request.body)
                await self._wait(_VECTORS_S)
                return Answer(200, vectors)
            case "GET", "/v1/models":
                return Answer(200, model_list((*MODELS, EMBEDDING_MODEL)))
            case _, "/v1/chat/completions" | "/v1/embeddings" | "/v1/models":
                raise BadRequestError(405, f"Not allowed to {request.method} on {request.path}.")
        raise BadRequestError(404, f"Unknown request URL: {request.method} {request.path}.")

    async def _complete(self, request: Request) -> Answer:
        body = checked_request(request.body)
        digest = hashlib.sha256(request.body).digest()
        said = request.headers.get("x-stainless-retry-count", "")
        # Of a client that does not say which attempt it is, what was refused is counted.
        attempt = int(said) if said.isdigit() else self._refused[digest]
        reply = answer(body, self._seed, attempt=attempt, failures=self._failures)
        if isinstance(reply, Failure):
            status = reply.status
            self._refused[digest] = attempt + 1
            return Answer(status, error_body(status, _SAID[status]), _RETRY_AFTER)
        name = hashlib.sha256(b"%d %b" % (attempt, request.body)).hexdigest()[:24]
        if body.get("stream") is True:
            return Answer(200, self._stream(body, reply, name), {"content-type": "text/event-stream"})
        await self._wait(reply.first_token_s + reply.token_s * len(reply.pieces))
        return Answer(200, completion(body, reply, name))

    async def _stream(self, body: dict[str, Any], reply: Reply, name: str) -> AsyncIterator[bytes]:
        """The events at their times: the opening one at once, the first content after its wait."""
        begin = asyncio.get_running_loop().time()
        due = reply.first_token_s
        for tokens, event in stream_events(body, reply, name):
            if tokens:
                # By the clock, not by adding up waits: those always last a little longer.
                await self._wait(due, begin)
                due += reply.token_s * tokens
            yield event

    async def _wait(self, seconds: float, begin: float | None = None) -> None:
        loop = asyncio.get_running_loop()
        left = seconds * self._pace - (0.0 if begin is None else loop.time() - begin)
        if left > 0:
            await asyncio.sleep(left)
