"""What answers and judgments ask of a model, and what they get: one call, one completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from promptarena.llm.response_facts import ResponseFacts
from promptarena.llm.timing import Timing

__all__ = ["Completion", "ModelCall", "ModelClient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call, with everything that its answer depends on; its content is the key of the cache."""

    provider: str
    """One of `providers` in arena.yaml, or a name that the environment tells of."""
    request: Mapping[str, Any]
    """The body of a chat completion: model, messages and all parameters that are sent; of an embedding, model
    and one text as `input`. The vector is then the completion's output, as JSON."""
    purpose: Literal["answer", "judge", "embedding"]
    judge_hash: str | None = None
    """Of the judge's whole configuration; `None` for an answer."""
    repeat: int = 0
    """Which of several calls with the same request, counted from 0."""
    stream: bool = False
    """Whether to stream it, for TTFT, TPOT and ITL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What came of a call."""

    facts: ResponseFacts
    timing: Timing
    """Of the attempt that succeeded; of a cached one as it was the first time."""
    cost_usd: float | None
    """What it cost the first time; `None` where no price is known."""
    retry_count: int = 0
    cached: bool = False
    """Whether nothing was sent, because the answer was known."""
    logprobs: tuple[Mapping[str, Any], ...] | None = None
    """`choices[0].logprobs.content` where the request asked for it and the provider has it."""
    request_id: str | None = None
    """Our own key of the call; of a cached one that of the call that was made, as it stands in the log."""
    at: datetime | None = None
    """The moment of the request, the first time."""


class ModelClient(Protocol):
    """Whoever makes calls: over HTTP, by a Python function, from a cache or a recording."""

    async def complete(self, call: ModelCall) -> Completion:
        """Make one call; retries, limits and the cache are the client's own business.

        Raises:
            ModelCallError: no answer, after all retries, or an answer that is none.
            BudgetSpentError: the next call would exceed the budget; nothing was sent.
        """
        ...
