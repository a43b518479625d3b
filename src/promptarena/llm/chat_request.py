"""A feature's settings as the arguments of a chat completion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from promptarena.definitions.variant import Settings

__all__ = ["chat_request", "sampling_parameters"]

_SAMPLING: Final = (
    "temperature",
    "top_p",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "reasoning_effort",
)
_SHAPE: Final = ("response_format", "tools", "tool_choice")


def sampling_parameters(settings: Settings) -> dict[str, Any]:
    """What a generation is logged with: all that is sent but model, prompt, tools and shape."""
    return _said(settings, _SAMPLING) | dict(settings.params)


def chat_request(settings: Settings, messages: str | Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Keyword arguments of `client.chat.completions.create`. What the settings leave open is not sent.

    Args:
        messages: the conversation until now, or the user's one message. The settings' system prompt goes in
            front of it, in place of one that stands there already.
    """
    said = [{"role": "user", "content": messages}] if isinstance(messages, str) else list(map(dict, messages))
    if settings.system is not None:
        rest = [message for message in said if message.get("role") not in ("system", "developer")]
        said = [{"role": "system", "content": settings.system}, *rest]
    request: dict[str, Any] = {"messages": said}
    if settings.model is not None:
        request["model"] = settings.model
    return request | _said(settings, _SAMPLING + _SHAPE) | dict(settings.params)


def _said(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    found = {name: getattr(settings, name) for name in names}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in found.items()
        if value is not None
    }
