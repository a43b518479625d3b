"""Prompt Arena decides whether a change to an LLM feature should receive traffic.

    from promptarena import Arena

Importing the package is cheap on purpose: engines and numerical libraries are imported where they are used,
and the Arena when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from promptarena.sdk.async_client import AsyncArena
    from promptarena.sdk.client import Arena

__all__ = ["Arena", "AsyncArena", "__version__"]

__version__: Final = "0.1.0"

_LATER: Final = {"Arena": "promptarena.sdk.client", "AsyncArena": "promptarena.sdk.async_client"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
