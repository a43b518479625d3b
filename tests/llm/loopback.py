"""A real HTTP server on loopback that answers, or misbehaves, as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from promptarena.llm.attempt import Transport
from promptarena.llm.limiter import AdaptiveLimiter
from promptarena.llm.model_client import ModelCall
from promptarena.llm.openai_endpoint import OpenAIEndpoint
from promptarena.llm.provider_client import Line
from promptarena.llm.retries import RetryPolicy

FAST = RetryPolicy(first_wait_s=0.002, longest_wait_s=0.01)
"""Waits that a test can afford."""


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: Any


Reply: TypeAlias = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]
Behaviour: TypeAlias = Callable[[Asked, int], Reply]
"""What is answered to a request, given its number from 0."""


@dataclass
class Loopback:
    """Where it listens, and what it was asked."""

    port: int
    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def line(self, most: int = 8, timeout_s: float = 5.0, key: str | None = "k") -> Line:
        transport: Transport = OpenAIEndpoint(self.base_url, key, (self.host,), timeout_s)
        return Line(transport, AdaptiveLimiter(most))


@asynccontextmanager
async def serving(behave: Behaviour, delay_s: float = 0.0) -> AsyncIterator[Loopback]:
    """Serve until the block ends."""
    loopback = Loopback(0)
    open_ones: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                asked = Asked(head[0].split(" ")[1], headers, json.loads(body) if body else None)
                number = len(loopback.asked)
                loopback.asked.append(asked)
                loopback.under_way += 1
                loopback.most_under_way = max(loopback.most_under_way, loopback.under_way)
                if delay_s:
                    await asyncio.sleep(delay_s)
                loopback.under_way -= 1
                reply = behave(asked, number)
                if isinstance(reply, bytes):
                    writer.write(reply)
                    await writer.drain()
                else:
                    await reply(writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            open_ones.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    loopback.port = server.sockets[0].getsockname()[1]
    try:
        yield loopback
    finally:
        server.close()
        for task in list(open_ones):
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)


def http(status: int, body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


def says(text: str | None, **said: Any) -> bytes:
    """A chat completion."""
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }
    return http(200, json.dumps(answer | said).encode())


def refuses(status: int, message: str, code: str | None = None, **headers: str) -> bytes:
    return http(status, json.dumps({"error": {"message": message, "code": code}}).encode(), **headers)


def streams(events: Sequence[str], cut: bool = False, gap_s: float = 0.0) -> Reply:
    """Server-sent events; `cut` ends the connection in the middle of the chunked body."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for event in events:
            data = event.encode()
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
            await asyncio.sleep(gap_s)
        if cut:
            writer.close()
            raise ConnectionResetError
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return write


def chunk(text: str | None = None, finish: str | None = None, **said: Any) -> str:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'c', 'model': 'm', 'choices': [choice]} | said)}\n\n"


def ask(text: str = "Where is my parcel?", **said: Any) -> ModelCall:
    fields: dict[str, Any] = {
        name: said.pop(name) for name in ("repeat", "stream", "judge_hash", "provider") if name in said
    }
    request: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]} | said
    known: dict[str, Any] = {"provider": "test", "request": request, "purpose": "answer"}
    return ModelCall(**known | fields)


def is_question(text: str) -> bool:
    """Whether a message is a case's question rather than what a judge is shown."""
    return text.startswith("How long")
