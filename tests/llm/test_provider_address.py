"""Where providers are, by arena.yaml and by the environment."""

from __future__ import annotations

import pytest

from promptarena.definitions.provider import AnthropicProvider, HttpProvider, OpenAIProvider, Provider
from promptarena.errors import UsageError
from promptarena.llm.provider_address import Address, address_of, declared_or_environment


def found(name: str, environment: dict[str, str], declared: dict[str, Provider] | None = None) -> Address:
    provider = declared_or_environment(name, declared or {}, environment)
    assert isinstance(provider, OpenAIProvider | AnthropicProvider | HttpProvider)
    return address_of(name, provider, environment)


@pytest.mark.parametrize(
    ("name", "environment", "declared", "url", "key"),
    [
        ("openai", {"OPENAI_API_KEY": "k"}, {}, "https://api.openai.com/v1", "k"),
        ("openai", {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, {}, "http://127.0.0.1:1/v1", None),
        ("anthropic", {"ANTHROPIC_API_KEY": "k"}, {}, "https://api.anthropic.com", "k"),
        ("my-host", {"MY_HOST_BASE_URL": "http://h/v1", "MY_HOST_API_KEY": "k"}, {}, "http://h/v1", "k"),
        ("local", {}, {"local": OpenAIProvider(base_url="http://h/v1")}, "http://h/v1", None),
        # What the file says is not overruled by the environment; what it leaves open is read there.
        (
            "a",
            {"A_BASE_URL": "http://other/v1"},
            {"a": OpenAIProvider(base_url="http://h/v1")},
            "http://h/v1",
            None,
        ),
        (
            "openai",
            {"OPENAI_BASE_URL": "http://h/v1", "K": "k"},
            {"openai": OpenAIProvider(key_env="K")},
            "http://h/v1",
            "k",
        ),
        (
            "bot",
            {"BOT_API_KEY": "k"},
            {"bot": HttpProvider(kind="http", url="http://h/ask")},
            "http://h/ask",
            "k",
        ),
    ],
)
def test_address_and_key(
    name: str, environment: dict[str, str], declared: dict[str, Provider], url: str, key: str | None
) -> None:
    assert found(name, environment, declared) == Address(url, key)


@pytest.mark.parametrize(
    ("name", "environment", "declared", "says"),
    [
        (
            "openai",
            {},
            {},
            "There is no provider 'openai'.*OPENAI_BASE_URL and OPENAI_API_KEY.*arena provider",
        ),
        ("opnai", {"OPENAI_BASE_URL": "http://h/v1"}, {}, "known: `openai`.*Did you mean `openai`"),
        ("x", {}, {"x": OpenAIProvider()}, "X_BASE_URL is not set"),
        ("openai", {}, {"openai": OpenAIProvider()}, "OPENAI_API_KEY is not set"),
        ("a", {}, {"a": OpenAIProvider(base_url="http://h/v1", key_env="A_KEY")}, "A_KEY is not set"),
        ("a", {"A_BASE_URL": "localhost:1"}, {}, "A_BASE_URL is wrong: a base_url is an address"),
    ],
)
def test_what_is_missing_is_named(
    name: str, environment: dict[str, str], declared: dict[str, Provider], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        found(name, environment, declared)
    assert caught.value.exit_status == 2
