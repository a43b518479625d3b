"""The transport of a provider, made from what is declared of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from promptarena.definitions.provider import (
    AnthropicProvider,
    HttpProvider,
    Provider,
    PythonProvider,
    ReplayProvider,
)
from promptarena.llm.anthropic_endpoint import AnthropicEndpoint
from promptarena.llm.attempt import Transport
from promptarena.llm.json_endpoint import JsonEndpoint
from promptarena.llm.openai_endpoint import OpenAIEndpoint
from promptarena.llm.provider_address import address_of
from promptarena.llm.python_function import PythonFunction
from promptarena.llm.replay import Replay

__all__ = ["make_transport"]


def make_transport(
    name: str,
    provider: Provider,
    *,
    environment: Mapping[str, str],
    hosts: tuple[str, ...] = (),
    hooks: tuple[str, ...] = (),
    root: Path,
) -> Transport:
    """Whoever makes a provider's attempts.

    Args:
        name: the provider's.
        provider: as declared.
        environment: where keys are, and addresses that are not declared.
        hosts: those that arena.yaml allows besides the provider's own.
        hooks: the Python functions that it allows.
        root: the project's folder.

    Raises:
        UsageError: a key or an address is missing, or a host is not allowed.
        DefinitionError: a function is not allow-listed, or is not there.
        DataError: a recording cannot be read.
    """
    if isinstance(provider, PythonProvider):
        return PythonFunction(provider, hooks, root)
    if isinstance(provider, ReplayProvider):
        return Replay(root / provider.file)
    address = address_of(name, provider, environment)
    # Whoever declares a provider, in arena.yaml or in the environment, allows its own host.
    allowed = (address.host, *hosts)
    if isinstance(provider, HttpProvider):
        return JsonEndpoint(provider, address.key, allowed)
    kind = AnthropicEndpoint if isinstance(provider, AnthropicProvider) else OpenAIEndpoint
    return kind(address.url, address.key, allowed, provider.timeout.total_seconds())
