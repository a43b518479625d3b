"""Where model calls go: the kinds of provider that arena.yaml may declare.

    providers:
      openai: {}                                                     # OPENAI_BASE_URL, OPENAI_API_KEY
      local:  {base_url: http://127.0.0.1:8000/v1}                   # anything that speaks OpenAI's protocol
      claude: {kind: anthropic, key_env: ANTHROPIC_API_KEY}
      bot:    {kind: http, url: https://bot.example/ask, body: {question: "{{ input }}"}, output: reply.text}
      rules:  {kind: python, function: support_rules:answer}         # allow-listed under `hooks`
      tape:   {kind: replay, file: recorded/calls.jsonl}

What an entry leaves open is read from the environment: `LOCAL_BASE_URL` and `LOCAL_API_KEY` for `local`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag

from promptarena.definitions.frozen import Frozen
from promptarena.definitions.names import Text
from promptarena.definitions.quantities import Duration, Whole
from promptarena.definitions.secret_guard import looks_secret

__all__ = [
    "AnthropicProvider",
    "Hook",
    "HttpProvider",
    "OpenAIProvider",
    "Provider",
    "PythonProvider",
    "ReplayProvider",
    "address_problem",
    "hook_problem",
]

_HOOK: Final = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*"


def address_problem(written: str) -> str | None:
    """What is wrong with a base address; `None` if nothing is.

    >>> address_problem("https://api.example/v1"), address_problem("api.example")
    (None, 'a base_url is an address such as https://api.example/v1')
    """
    try:
        url = urlsplit(written)
        host, _ = url.hostname, url.port
    except ValueError:
        host, url = None, urlsplit("")
    if url.scheme not in ("http", "https") or not host:
        return "a base_url is an address such as https://api.example/v1"
    if url.username is not None or url.query or url.fragment:
        return "a base_url holds no user, password, query or fragment; a key is named by `key_env`"
    return None


def hook_problem(written: str) -> str | None:
    """What is wrong with a hook's name; `None` if nothing is."""
    if re.fullmatch(_HOOK, written):
        return None
    return f"{written!r} is not a hook: write module and function, such as support_checks:is_polite"


def _url(written: str) -> str:
    if problem := address_problem(written):
        raise ValueError(problem)
    return written


def _hook(written: str) -> str:
    if problem := hook_problem(written):
        raise ValueError(problem)
    return written


def _environment_name(written: str) -> str:
    if looks_secret(written) or not re.fullmatch(r"[A-Z_][A-Z0-9_]*", written):
        raise ValueError(
            "key_env is the name of an environment variable, in capitals, such as OPENAI_API_KEY; "
            "never write a key itself into a file"
        )
    return written


Url = Annotated[str, AfterValidator(_url)]
Hook = Annotated[str, AfterValidator(_hook)]
"""A Python function, as `module:function`."""
EnvironmentName = Annotated[str, AfterValidator(_environment_name)]


class _Called(Frozen):
    """What every provider that is called has."""

    timeout: Duration = timedelta(seconds=120)
    """How long one attempt may take, until its last byte."""
    concurrency: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    """The most calls under way at once; `--concurrency` where not said."""


class OpenAIProvider(_Called):
    """An endpoint that speaks OpenAI's protocol (chat completions)."""

    kind: Literal["openai"] = "openai"
    base_url: Url | None = None
    """Up to and with `/v1`; `<NAME>_BASE_URL` where not said."""
    key_env: EnvironmentName | None = None
    """The environment variable that holds the key; `<NAME>_API_KEY` where not said."""

    @property
    def host(self) -> str | None:
        return _netloc(self.base_url)


class AnthropicProvider(_Called):
    """Anthropic's messages API."""

    kind: Literal["anthropic"]
    base_url: Url | None = None
    """Without `/v1`; `<NAME>_BASE_URL` where not said, else https://api.anthropic.com."""
    key_env: EnvironmentName | None = None

    @property
    def host(self) -> str | None:
        return _netloc(self.base_url)


class HttpProvider(_Called):
    """Any HTTP endpoint that takes JSON and answers with it."""

    kind: Literal["http"]
    url: Url
    headers: dict[str, str] = Field(default_factory=dict)
    key_env: EnvironmentName | None = None
    """The environment variable that holds a key; sent as `Authorization: Bearer`."""
    body: Any = Field(default_factory=lambda: {"input": "{{ input }}"})
    """JSON whose texts are templates over `input`, `system`, `messages`, `model`, `request` and `repeat`. A
    text that is one expression becomes its value, so `"{{ messages }}"` is a list."""
    output: Text = "output"
    """Where the answer's text stands in what comes back: keys and numbers, `choices.0.text`."""

    @property
    def host(self) -> str | None:
        return _netloc(self.url)


class PythonProvider(_Called):
    """A Python function of the project, allow-listed under `hooks`."""

    kind: Literal["python"]
    function: Hook
    """Called with the request, a chat completion's body; returns a text, or a chat completion as a mapping.
    May be async."""

    @property
    def host(self) -> None:
        return None


class ReplayProvider(_Called):
    """Calls that `arena duel --record FILE` wrote, answered again without any network."""

    kind: Literal["replay"]
    file: Text
    """Relative to arena.yaml."""

    @property
    def host(self) -> None:
        return None


def kind(written: Any) -> str:
    """Which kind of provider is written; pydantic names this function where none is."""
    if isinstance(written, dict):
        written = written.get("kind", "openai")
    found = written if isinstance(written, str) else getattr(written, "kind", "openai")
    return str(found)


Provider: TypeAlias = Annotated[
    Annotated[OpenAIProvider, Tag("openai")]
    | Annotated[AnthropicProvider, Tag("anthropic")]
    | Annotated[HttpProvider, Tag("http")]
    | Annotated[PythonProvider, Tag("python")]
    | Annotated[ReplayProvider, Tag("replay")],
    Discriminator(kind),
]


def _netloc(url: str | None) -> str | None:
    return None if url is None else urlsplit(url).netloc.lower()
