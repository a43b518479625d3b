"""As much of HTTP/1.1 as a provider on loopback needs: kept connections, whole bodies, streamed answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias

__all__ = ["Answer", "Handler", "Request", "serve_connection"]

_LARGEST_BODY: Final = 4 * 2**20
_LARGEST_HEAD: Final = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Request:
    """One request, read whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a body, or pieces of it as they come."""

    status: int
    body: bytes | AsyncIterator[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)


Handler: TypeAlias = Callable[[Request], Awaitable[Answer]]


async def serve_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handler
) -> None:
    """Answer the requests of one connection, one after another, until the client leaves."""
    try:
        while (request := await _read(reader)) is not None:
            keep = request.headers.get("connection", "").lower() != "close"
            await _write(writer, await handle(request), keep)
            if not keep:
                break
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client left in the middle, or speaks another language
    except _RefusedError as refused:
        await _write(writer, Answer(refused.status, b""), keep=False)
    finally:
        writer.close()


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    if len(head) > _LARGEST_HEAD:
        raise _RefusedError(431)
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, path, _ = first.split(" ")
    except ValueError:
        raise _RefusedError(400) from None
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    if "transfer-encoding" in headers:
        raise _RefusedError(411)
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise _RefusedError(400)
    if int(length) > _LARGEST_BODY:
        raise _RefusedError(413)
    return Request(method, path.partition("?")[0], headers, await reader.readexactly(int(length)))


async def _write(writer: asyncio.StreamWriter, answer: Answer, keep: bool) -> None:
    headers = {"content-type": "application/json", **answer.headers}
    headers["connection"] = "keep-alive" if keep else "close"
    if isinstance(answer.body, bytes):
        headers["content-length"] = str(len(answer.body))
    else:
        headers["transfer-encoding"] = "chunked"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{lines}\r\n".encode("latin-1")
    if isinstance(answer.body, bytes):
        writer.write(head + answer.body)
        await writer.drain()
        return
    writer.write(head)
    async for piece in answer.body:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
