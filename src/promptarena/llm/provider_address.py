"""Where a provider is and what its key is: from arena.yaml, else from the environment.

`<NAME>_BASE_URL` and `<NAME>_API_KEY` are the variables of a provider called `name`; `openai` and `anthropic`
have addresses of their own where only a key is set. A provider that arena.yaml does not declare is taken from
the environment alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from promptarena.definitions.provider import (
    AnthropicProvider,
    HttpProvider,
    OpenAIProvider,
    Provider,
    address_problem,
)
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import UsageError

__all__ = ["Address", "address_of", "declared_or_environment", "variable_of"]

_KNOWN: Final = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
_TRY: Final = "Without a key, `arena provider` starts a simulated one and says what to set."


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send requests, and what to show there."""

    url: str
    key: str | None

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc.lower()


def variable_of(name: str, what: str) -> str:
    """The environment variable of a provider.

    >>> variable_of("my-host", "BASE_URL")
    'MY_HOST_BASE_URL'
    """
    return f"{re.sub(r'[^A-Za-z0-9]', '_', name).upper()}_{what}"


def declared_or_environment(
    name: str, declared: Mapping[str, Provider], environment: Mapping[str, str]
) -> Provider:
    """The provider of a name.

    Raises:
        UsageError: arena.yaml does not declare it, and the environment does not tell of it.
    """
    if name in declared:
        return declared[name]
    if name == "anthropic" and environment.get(variable_of(name, "API_KEY")):
        return AnthropicProvider(kind="anthropic")
    if environment.get(variable_of(name, "BASE_URL")) or (
        name in _KNOWN and environment.get(variable_of(name, "API_KEY"))
    ):
        return OpenAIProvider()
    known = [*declared, *_named(environment)]
    variables = " and ".join(variable_of(name, what) for what in ("BASE_URL", "API_KEY"))
    hint = did_you_mean(name, known) or f"Declare it in arena.yaml, or set {variables}. {_TRY}"
    raise UsageError(
        f"There is no provider {name!r}" + (f"; known: {listed(known)}." if known else "."), hint=hint
    )


def address_of(
    name: str,
    provider: OpenAIProvider | AnthropicProvider | HttpProvider,
    environment: Mapping[str, str],
) -> Address:
    """Where it is and what its key is.

    Raises:
        UsageError: the environment lacks the address or the key, or holds what is no address.
    """
    key_variable = provider.key_env or variable_of(name, "API_KEY")
    url = provider.url if isinstance(provider, HttpProvider) else _base_url(name, provider, environment)
    found = Address(url, environment.get(key_variable, "").strip() or None)
    if found.key is None and (provider.key_env is not None or url in _KNOWN.values()):
        raise UsageError(
            f"{key_variable} is not set; the provider {name!r} needs it.",
            hint=f"Set it to the key of {found.host}. {_TRY}",
        )
    return found


def _base_url(name: str, provider: OpenAIProvider | AnthropicProvider, environment: Mapping[str, str]) -> str:
    variable = variable_of(name, "BASE_URL")
    said = provider.base_url or environment.get(variable, "").strip()
    if said and (problem := address_problem(said)):
        raise UsageError(f"{variable} is wrong: {problem}.")
    known = _KNOWN["anthropic"] if isinstance(provider, AnthropicProvider) else _KNOWN.get(name)
    if found := said or known:
        return found
    raise UsageError(
        f"{variable} is not set, so nobody knows where the provider {name!r} is.",
        hint=f"Set it to its address, such as https://api.example/v1, or say `base_url`. {_TRY}",
    )


def _named(environment: Mapping[str, str]) -> list[str]:
    """Providers that the environment tells of."""
    found = (re.fullmatch(r"([A-Z0-9_]+)_BASE_URL", variable) for variable in environment)
    return sorted(match[1].lower() for match in found if match and environment[match[0]])
