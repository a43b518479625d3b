"""Requests to one provider over HTTP: an address that is allowed, one attempt, its answer or its failure.

There are no retries here, no redirects (they could lead to a host that nobody allowed), and no more bytes
than an answer can have.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from promptarena.errors import UsageError
from promptarena.llm.attempt import AttemptError, Failure
from promptarena.llm.reading import text
from promptarena.llm.sse import EventData

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["HttpSession"]

LARGEST_ANSWER: Final = 64 * 2**20
_LARGEST_ERROR: Final = 64 * 2**10
_CONNECT_S: Final = 15.0
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_OVERLOAD: Final = frozenset({429, 529})
_PROVIDER: Final = frozenset({401, 402, 403, 404, 405, 407, 410})
_TRANSIENT: Final = frozenset({408, 409, 421, 425})
_ATTEMPT: Final = "x-stainless-retry-count"
"""The header by which OpenAI's and Anthropic's own packages say that a request is a repetition."""
_SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"})
"""Codes that come with 429 although no waiting helps."""


class HttpSession:
    """Connections to one address.

    Args:
        url: where every request goes.
        headers: of every request.
        hosts: the hosts that may be talked to, with their ports where these are said.
        timeout_s: of one attempt, until its last byte.

    Raises:
        UsageError: the address's host is not allowed.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], hosts: Collection[str], timeout_s: float
    ) -> None:
        import aiohttp  # noqa: F401  # now, so that no call's time holds it

        parts = urlsplit(url)
        host = parts.netloc.lower()
        if host not in hosts and (parts.hostname or "") not in hosts:
            raise UsageError(f"The host {host!r} is not allowed.", hint="Add it under `hosts` in arena.yaml.")
        self._url, self._host = url, host
        self._headers = {"content-type": "application/json", **headers}
        self._timeout_s = timeout_s
        self._proxy = _proxy(parts.scheme, parts.hostname or "")
        self._session: ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, body: bytes, attempt: int = 0) -> Any:
        """POST a body, and read the JSON that comes back.

        Raises:
            AttemptError: there was no answer, or it is not JSON.
        """
        async with self._answered(body, attempt) as response:
            return _json(await _read(response, LARGEST_ANSWER))

    async def events(self, body: bytes, attempt: int = 0) -> AsyncGenerator[tuple[bytes, float], None]:
        """POST a body, and read the events of the stream that comes back, each with its moment.

        Raises:
            AttemptError: there was no stream, or it broke.
        """
        began, size = False, 0
        try:
            async with self._answered(body, attempt) as response:
                parser = EventData()
                async for piece in response.content.iter_any():
                    at, size = time.monotonic(), size + len(piece)
                    if size > LARGEST_ANSWER:
                        raise _too_large()
                    for data in parser.feed(piece):
                        began = True
                        yield data, at
        except AttemptError as error:
            error.began = error.began or began
            raise

    @asynccontextmanager
    async def _answered(self, body: bytes, attempt: int) -> AsyncIterator[ClientResponse]:
        """The response to a request if it is one of success; connections and clocks fail as attempts."""
        from aiohttp import ClientConnectionError, ClientError, ClientPayloadError

        session = self._opened()
        headers = {**self._headers, _ATTEMPT: str(attempt)} if attempt else self._headers
        try:
            async with session.post(
                self._url, data=body, headers=headers, allow_redirects=False, proxy=self._proxy
            ) as response:
                if response.status != 200:
                    raise await _refused(response, self._host)
                yield response
        except TimeoutError as error:
            raise AttemptError(
                f"{self._host} did not answer within {self._timeout_s:g} s", Failure.TRANSIENT
            ) from error
        except ClientPayloadError as error:
            raise AttemptError(
                f"the answer of {self._host} was cut off", Failure.TRANSIENT, began=True
            ) from error
        except ClientConnectionError as error:
            told = f"cannot reach {self._host}: {_reason(error)}"
            raise AttemptError(told, Failure.TRANSIENT, unreachable=True) from error
        except ClientError as error:
            raise AttemptError(
                f"{self._host} does not speak HTTP as it should: {type(error).__name__}", Failure.TRANSIENT
            ) from error

    def _opened(self) -> ClientSession:
        if self._session is None:
            from aiohttp import ClientSession, ClientTimeout, TCPConnector

            # How many calls are under way is the limiter's business alone.
            self._session = ClientSession(
                connector=TCPConnector(limit=0),
                timeout=ClientTimeout(total=self._timeout_s, connect=min(_CONNECT_S, self._timeout_s)),
                auto_decompress=True,
            )
        return self._session


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy of the environment. aiohttp's own reading of it would read passwords from ~/.netrc too."""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(scheme)


async def _read(response: ClientResponse, most: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise _too_large()
    return b"".join(pieces)


def _too_large() -> AttemptError:
    return AttemptError(f"the answer is larger than {LARGEST_ANSWER // 2**20} MB", Failure.CALL, began=True)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AttemptError("the answer is not JSON", Failure.TRANSIENT, began=True) from error


def _reason(error: Exception) -> str:
    known = error.__cause__ if isinstance(error.__cause__, OSError) else error
    said = getattr(known, "strerror", None) or str(known) or type(known).__name__
    return str(said).split(" [", maxsplit=1)[0].lower()


async def _refused(response: ClientResponse, host: str) -> AttemptError:
    """A status other than 200 as a failure, with the provider's own words."""
    try:
        said = json.loads(await _read(response, _LARGEST_ERROR))
    except (ValueError, RecursionError, AttemptError):
        said = None
    status = response.status
    code = text(said, "error", "code") or text(said, "error", "type")
    message = text(said, "error", "message") or text(said, "message") or response.reason or ""
    said_why = message.strip().rstrip(".")
    told = f"{host} answers {status}" + (f": {said_why}" if said_why else "")
    return AttemptError(
        told,
        _failure(status, code),
        status=status,
        retry_after_s=_retry_after(response.headers),
    )


def _failure(status: int, code: str | None) -> Failure:
    if status in _OVERLOAD:
        return Failure.PROVIDER if code in _SPENT else Failure.OVERLOAD
    if status in _PROVIDER or 300 <= status < 400:
        return Failure.PROVIDER
    if status >= 500 or status in _TRANSIENT:
        return Failure.TRANSIENT
    return Failure.CALL


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds: `retry-after-ms` as OpenAI has it, else `retry-after`, a number or a date (RFC 9110)."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        written = headers.get(name)
        if written is None:
            continue
        try:
            seconds = float(written) * scale
        except ValueError:
            try:
                seconds = parsedate_to_datetime(written).timestamp() - time.time()
            except ValueError:
                continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None
