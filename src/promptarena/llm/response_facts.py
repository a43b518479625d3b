"""What an answer of a provider says about itself: tokens, model, finish reason, names.

Three forms are read, as mappings or as the objects of the `openai` and `anthropic` packages, of which none is
imported: chat completions, OpenAI's responses, Anthropic's messages. A string is the text of an answer.
Counts mean the same in all of them:

- `input_tokens` are all that were sent. Anthropic's own count leaves out what was read from or written to its
  cache; both are added.
- `cached_tokens` are those of them that were read from a cache.
- `output_tokens` are all that were generated, `reasoning_tokens` those of them that the user does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from promptarena.llm.reading import amount, count, items, readable, text, value

__all__ = ["ResponseFacts", "read_response", "read_usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFacts:
    """Of one answer; `None` is what it does not say."""

    response_id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    """Where a provider or a router in between says what it charges (`usage.cost`)."""
    output: str | None = None
    """The visible text."""
    tool_calls: tuple[Any, ...] = ()
    """As the answer has them, made plain."""

    @property
    def content_tokens(self) -> int | None:
        """Tokens that the caller sees arriving: those generated, less the reasoning."""
        if self.output_tokens is None:
            return None
        return max(self.output_tokens - (self.reasoning_tokens or 0), 0)


def read_response(response: object) -> ResponseFacts:
    """Read a whole answer (a streamed one: `StreamReader`). Never raises; what is unknown is `None`."""
    if isinstance(response, str):
        return ResponseFacts(output=_readable(response))
    return ResponseFacts(
        response_id=text(response, "id"),
        model=text(response, "model"),
        system_fingerprint=text(response, "system_fingerprint"),
        finish_reason=_finish_reason(response),
        output=_output(response),
        tool_calls=tuple(map(_plain, _tool_calls(response))),
        **read_usage(value(response, "usage")),
    )


def read_usage(usage: object) -> dict[str, Any]:
    """Counts and costs of an answer's `usage`, by the names of `ResponseFacts`; only those it says."""
    counts = _usage_counts(usage)
    found: dict[str, Any] = {name: number for name, number in counts.items() if number is not None}
    if (cost := amount(usage, "cost")) is not None:
        found["cost_usd"] = cost
    return found


def _usage_counts(usage: object) -> dict[str, int | None]:
    """Tokens by the names of `ResponseFacts`."""
    read, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    if read is not None or written is not None:  # Anthropic's
        sent = count(usage, "input_tokens")
        return {
            "input_tokens": None if sent is None else sent + (read or 0) + (written or 0),
            "output_tokens": count(usage, "output_tokens"),
            "cached_tokens": read,
            "reasoning_tokens": count(usage, "output_tokens_details", "thinking_tokens"),
        }

    def either(*paths: tuple[str, ...]) -> int | None:
        found = (count(usage, *path) for path in paths)
        return next((number for number in found if number is not None), None)

    return {
        "input_tokens": either(("prompt_tokens",), ("input_tokens",)),
        "output_tokens": either(("completion_tokens",), ("output_tokens",)),
        "cached_tokens": either(
            ("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens")
        ),
        "reasoning_tokens": either(
            ("completion_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "thinking_tokens"),
        ),
    }


def _plain(found: Any) -> Any:
    """JSON's types out of a mapping or an object of the kind that pydantic makes."""
    dump: Callable[..., Any] | None = getattr(found, "model_dump", None)
    if dump is None or not callable(dump):
        return found
    try:
        return dump(mode="json", exclude_none=True)
    except Exception:  # somebody else's object
        return repr(found)


def _finish_reason(response: object) -> str | None:
    """Of the first choice, `refusal` where it has one in a field of its own; OpenAI's responses say a status,
    and a reason where they are not complete."""
    for choice in items(response, "choices"):
        refused = _readable(value(choice, "message", "refusal")) is not None
        return "refusal" if refused else text(choice, "finish_reason")
    if (reason := text(response, "stop_reason")) is not None:
        return reason
    return text(response, "incomplete_details", "reason") or text(response, "status")


def _output(response: object) -> str | None:
    """The visible text of the first choice, or of all blocks; a refusal is what its user sees."""
    for choice in items(response, "choices"):
        places = (("message", "content"), ("message", "refusal"), ("text",))
        found = (_readable(value(choice, *place)) for place in places)
        return next((written for written in found if written is not None), None)
    blocks = items(response, "content")
    if not blocks:
        blocks = [part for item in items(response, "output") for part in items(item, "content")]
    texts = (_readable(value(block, "text")) or _readable(value(block, "refusal")) for block in blocks)
    parts = [written for written in texts if written is not None]
    return "".join(parts) if parts else None


def _tool_calls(response: object) -> list[Any]:
    for choice in items(response, "choices"):
        return items(choice, "message", "tool_calls")
    blocks = [*items(response, "content"), *items(response, "output")]
    return [block for block in blocks if value(block, "type") in _TOOL_BLOCKS]


_TOOL_BLOCKS: Final = ("tool_use", "function_call", "custom_tool_call")


def _readable(found: object) -> str | None:
    return readable(found) if isinstance(found, str) and found else None
