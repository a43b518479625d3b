"""What checks may know of the call that an output came from, besides its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["UNKNOWN", "CallFacts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """Of one call; `None` is what nobody noted: a check of it then neither passes nor fails.

    A run's answers have all of it, recorded outputs may have it, in columns of these names.
    """

    latency_ms: float | None = None
    ttft_ms: float | None = None
    cost_usd: float | None = None
    finish_reason: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] | None = None
    """As the answer has them; empty where it is known that none was made."""


UNKNOWN: Final = CallFacts()
