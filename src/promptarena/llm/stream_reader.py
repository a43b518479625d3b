"""A streamed answer, chunk by chunk: which chunks hold content, and what all of them say together.

Content is what the user, or the program that calls tools, is waiting for: visible text, a refusal, a tool's
arguments. The opening event, roles, reasoning, signatures, pings and usage are not.
"""

from __future__ import annotations

from typing import Any, Final

from promptarena.llm.reading import items, readable, text, value
from promptarena.llm.response_facts import ResponseFacts, read_response, read_usage

__all__ = ["StreamReader"]

_CONTENT_EVENTS: Final = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.mcp_call_arguments.delta",
        "response.audio.delta",
        "response.audio.transcript.delta",
    }
)
_LAST_EVENTS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
_CONTENT_FIELDS: Final = ("refusal", "tool_calls", "function_call")
_CONTENT_DELTAS: Final = {"text_delta": "text", "input_json_delta": "partial_json"}


class StreamReader:
    """Reads chat completion chunks, events of OpenAI's responses, and events of Anthropic's messages.

    Chunks may be mappings or objects; neither package is imported. A chunk of an unknown form says nothing.
    """

    def __init__(self) -> None:
        self._said: dict[str, Any] = {}
        self._texts: list[str] = []
        self._whole: ResponseFacts | None = None
        self._refused = False

    def read(self, chunk: object) -> bool:
        """Take in one chunk; whether it holds content."""
        kind = value(chunk, "type")
        if kind == "chunk":  # the openai package's own helper wraps what came
            chunk, kind = value(chunk, "chunk"), None
        if isinstance(kind, str) and kind.startswith("response."):
            return self._response_event(chunk, kind)
        if isinstance(kind, str):
            return self._message_event(chunk, kind)
        return self._completion_chunk(chunk)

    def facts(self) -> ResponseFacts:
        """What was said until now."""
        if self._whole is not None:
            return self._whole
        return ResponseFacts(output=readable("".join(self._texts)) or None, **self._said)

    def _completion_chunk(self, chunk: object) -> bool:
        self._note(
            response_id=text(chunk, "id"),
            model=text(chunk, "model"),
            system_fingerprint=text(chunk, "system_fingerprint"),
            **read_usage(value(chunk, "usage")),
        )
        content = False
        for choice in items(chunk, "choices"):
            delta = value(choice, "delta")
            refused = value(delta, "refusal")
            written = value(delta, "content") or refused or value(choice, "text")
            if not value(choice, "index"):
                self._refused = self._refused or bool(refused)
                ended = text(choice, "finish_reason")
                self._note(finish_reason="refusal" if ended and self._refused else ended)
                self._write(written)
            content |= any((written, *(value(delta, name) for name in _CONTENT_FIELDS)))
        return content

    def _response_event(self, event: object, kind: str) -> bool:
        if kind in _LAST_EVENTS:
            self._whole = read_response(value(event, "response"))
        elif kind == "response.created":
            self._note(response_id=text(event, "response", "id"), model=text(event, "response", "model"))
        content = kind in _CONTENT_EVENTS and bool(value(event, "delta"))
        if kind in ("response.output_text.delta", "response.refusal.delta"):
            self._write(value(event, "delta"))
        return content

    def _message_event(self, event: object, kind: str) -> bool:
        match kind:
            case "message_start":
                self._note(
                    response_id=text(event, "message", "id"),
                    model=text(event, "message", "model"),
                    **read_usage(value(event, "message", "usage")),
                )
            case "message_delta":
                self._note(finish_reason=text(event, "delta", "stop_reason"))
                self._note(**read_usage(value(event, "usage")))
            case "content_block_delta":
                field = _CONTENT_DELTAS.get(str(value(event, "delta", "type")))
                written = value(event, "delta", field) if field else None
                if field == "text":
                    self._write(written)
                return bool(written)
        return False

    def _note(self, **said: Any) -> None:
        """Keep what is said. Counts only grow: a later event may repeat one without its cached part."""
        for name, found in said.items():
            before = self._said.get(name)
            if found is None or (isinstance(found, int) and isinstance(before, int) and found < before):
                continue
            self._said[name] = found

    def _write(self, written: object) -> None:
        if isinstance(written, str):
            self._texts.append(written)
