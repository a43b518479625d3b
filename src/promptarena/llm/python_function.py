"""A Python function of the project as a provider, if arena.yaml allow-lists it."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import inspect
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from promptarena.definitions.provider import PythonProvider
from promptarena.errors import DefinitionError, Location
from promptarena.llm.attempt import AttemptError, Failure, Received
from promptarena.llm.model_client import ModelCall
from promptarena.llm.openai_endpoint import chat_answer
from promptarena.llm.response_facts import ResponseFacts
from promptarena.llm.timing import Timing

__all__ = ["PythonFunction", "load_hook"]


def load_hook(name: str, allowed: tuple[str, ...], root: Path) -> Callable[..., Any]:
    """The function of a hook's name.

    Args:
        name: `module:function`.
        allowed: what arena.yaml lists under `hooks`.
        root: the project's folder, where modules are looked for first.

    Raises:
        DefinitionError: it is not allow-listed, or there is no such function.
    """
    where = Location(root / "arena.yaml", field="hooks")
    if name not in allowed:
        hint = f"Add it: hooks: [{name}]"
        raise DefinitionError(f"{name!r} is not allow-listed.", where=where, hint=hint)
    module, _, function = name.partition(":")
    sys.path.insert(0, str(root))
    try:
        found = getattr(importlib.import_module(module), function, None)
    except Exception as error:  # a module of the user's may fail in any way
        raise DefinitionError(
            f"{module} cannot be imported: {type(error).__name__}: {error}.", where=where
        ) from error
    finally:
        sys.path.remove(str(root))
    if not callable(found):
        raise DefinitionError(f"{module} has no function {function!r}.", where=where)
    return found  # type: ignore[no-any-return]


class PythonFunction:
    """Calls a function with a chat completion's body; it gives a text, or a chat completion as a mapping.

    Raises:
        DefinitionError: the function is not allow-listed, or is not there.
    """

    def __init__(self, declared: PythonProvider, allowed: tuple[str, ...], root: Path) -> None:
        self._name = declared.function
        self._function = load_hook(declared.function, allowed, root)
        self._timeout_s = declared.timeout.total_seconds()
        self.identity = f"python {declared.function} {_source_hash(self._function)}"

    async def send(self, call: ModelCall, _attempt: int = 0) -> Received:
        """Make one attempt.

        Raises:
            AttemptError: the function raised, took too long, or gave something else.
        """
        start = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await self._called(dict(call.request))
        except TimeoutError as error:
            raise AttemptError(
                f"{self._name} did not answer within {self._timeout_s:g} s", Failure.CALL
            ) from error
        except Exception as error:  # a function of the user's may fail in any way
            raise AttemptError(
                f"{self._name} raised {type(error).__name__}: {error}", Failure.CALL
            ) from error
        timing = Timing(latency_ms=(time.monotonic() - start) * 1000)
        if isinstance(found, str):
            return Received(facts=ResponseFacts(output=found or None, finish_reason="stop"), timing=timing)
        if isinstance(found, Mapping):
            return chat_answer(found, timing)
        raise AttemptError(
            f"{self._name} gave {type(found).__name__}; a text or a chat completion is wanted", Failure.CALL
        )

    async def close(self) -> None:
        """Nothing is open."""

    async def _called(self, request: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(request)
        return await asyncio.to_thread(self._function, request)


def _source_hash(function: Callable[..., Any]) -> str:
    """Of the module that holds it: answers of older code are not answers of this one."""
    try:
        source = Path(inspect.getfile(function)).read_bytes()
    except (OSError, TypeError):
        source = repr(function).encode()
    return hashlib.sha256(source).hexdigest()
