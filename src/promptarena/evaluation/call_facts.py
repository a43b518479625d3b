"""What checks may know of the call that an output came from, besides its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from promptarena.llm.model_client import Completion

__all__ = ["UNKNOWN", "CallFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """Of one call; `None` is what nobody noted: a check of it then neither passes nor fails.

    A run notes all of it; recorded outputs may have it in columns of these names.
    """

    latency_ms: float | None = None
    ttft_ms: float | None = None
    cost_usd: float | None = None
    finish_reason: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] | None = None
    """As the answer has them; empty where it is known that none was made."""

    @classmethod
    def of(cls, completion: Completion) -> CallFacts:
        """Of a call that was made, or was in the cache: then as it was the first time."""
        return cls(
            latency_ms=completion.timing.latency_ms,
            ttft_ms=completion.timing.ttft_ms,
            cost_usd=completion.cost_usd,
            finish_reason=completion.facts.finish_reason,
            tool_calls=tuple(completion.facts.tool_calls),
        )


UNKNOWN: Final = CallFacts()
