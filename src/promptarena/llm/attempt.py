"""One attempt at a call: what it gives, and how it can fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from promptarena.llm.model_client import ModelCall
from promptarena.llm.response_facts import ResponseFacts
from promptarena.llm.timing import Timing

__all__ = ["AttemptError", "Failure", "Received", "Transport"]


class Failure(StrEnum):
    """What a failed attempt means for the next one."""

    TRANSIENT = "transient"
    """Another attempt may succeed: the server or the connection broke, or the answer was none."""
    OVERLOAD = "overload"
    """Another attempt may succeed later, and fewer at once: too many requests."""
    CALL = "call"
    """This call cannot succeed; others may."""
    PROVIDER = "provider"
    """No call can succeed as things are: key, address or model are wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What one attempt got."""

    facts: ResponseFacts
    timing: Timing
    logprobs: tuple[Mapping[str, Any], ...] | None = None


class AttemptError(Exception):
    """One attempt gave no answer; its text says why in few words, without what anybody said."""

    def __init__(
        self,
        message: str,
        failure: Failure,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        began: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.status = status
        self.retry_after_s = retry_after_s
        """How long the provider wants to be left alone."""
        self.began = began
        """Whether the answer had begun, so that it may be charged for."""
        self.unreachable = unreachable
        """Whether nobody was there to answer."""


class Transport(Protocol):
    """Whoever makes attempts: over HTTP, by a Python function, from a recording. It never repeats one."""

    identity: str
    """Where answers come from; part of a call's key in the cache, so that no two places share answers."""

    async def send(self, call: ModelCall, attempt: int = 0, /) -> Received:
        """Make one attempt.

        Args:
            attempt: how many were made before of the same call; providers are told.

        Raises:
            AttemptError: it gave no answer.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
