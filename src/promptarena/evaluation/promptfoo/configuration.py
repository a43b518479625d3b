"""promptfoo's configuration: its prompts and its providers, as what a variant of a duel is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.document import Document, FieldPath
from promptarena.definitions.prompt_template import template_problem
from promptarena.definitions.secret_guard import looks_secret
from promptarena.evaluation.promptfoo.leftovers import Leftovers

__all__ = ["Prompt", "ProviderSettings", "read_prompts", "read_providers"]

_LONGEST_FILE: Final = 1_000_000
_PARTED: Final = re.compile(r"^---[ \t]*$", re.MULTILINE)
"""What parts several prompts of one text file."""
_ROLES: Final = ("system", "developer", "user", "assistant")
_COMPATIBLE: Final = [
    "cerebras",
    "deepseek",
    "fireworks",
    "groq",
    "litellm",
    "llamafile",
    "localai",
    "mistral",
    "ollama",
    "openrouter",
    "perplexity",
    "togetherai",
    "vllm",
    "xai",
]
"""Providers that speak OpenAI's protocol."""
_NO_ENV: Final = "Write what it holds into the template, or into a column of the cases."
_MIDDLE: Final = ("chat", "messages", "completion", "responses")
_SETTINGS: Final = [
    "temperature",
    "max_tokens",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "reasoning_effort",
    "response_format",
    "tools",
    "tool_choice",
]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as a template of ours."""

    name: str
    template: str | list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A provider as settings of a variant."""

    name: str
    settings: dict[str, Any]


def read_prompts(document: Document, left: Leftovers) -> list[Prompt]:
    """The prompts that can be carried over."""
    written = document.data.get("prompts", ["{{prompt}}"])
    items = written if isinstance(written, list) else [written]
    found: list[Prompt] = []
    for number, item in enumerate(items):
        at: FieldPath = ("prompts", number) if isinstance(written, list) else ("prompts",)
        label = None
        if isinstance(item, dict):
            label = item.get("label")
            for name in sorted(set(item) - {"label", "raw", "id"}):
                left.add(
                    f"`{name}` of a prompt is not carried over.", document.position((*at, name), key=True)
                )
            item = item.get("raw", item.get("id"))
        if not isinstance(item, str):
            left.add("A prompt that is no text is not carried over.", document.position(at))
            continue
        for text in _texts(item, document, at, left):
            template = _template(text)
            texts = [template] if isinstance(template, str) else [part["content"] for part in template]
            if problem := next(filter(None, map(template_problem, texts)), None):
                left.add(
                    f"A prompt is no template of ours and is not carried over: {problem}.",
                    document.position(at),
                )
                continue
            if any(re.search(r"\{\{[^}]*\benv\.", part) for part in texts):
                left.add("A prompt names `env`, which is not carried over.", document.position(at), _NO_ENV)
            name = str(label) if label else f"prompt-{len(found) + 1}"
            found.append(Prompt(name, template))
    return found


def _texts(item: str, document: Document, at: FieldPath, left: Leftovers) -> Iterator[str]:
    named = item.startswith("file://") or (
        "\n" not in item
        and "{" not in item
        and Path(item).suffix in (".txt", ".md", ".json", ".yaml", ".yml", ".j2")
    )
    if not named:
        yield item
        return
    path = document.path.parent / item.removeprefix("file://")
    if path.suffix not in (".txt", ".md", ".json", ".yaml", ".yml", ".j2"):
        left.add(
            f"The prompt {item} is a program or a set of files; it is not carried over.",
            document.position(at),
        )
        return
    text = read_file(path)
    if text is None:
        left.add(f"The prompt {item} cannot be read; it is not carried over.", document.position(at))
    elif path.suffix in (".txt", ".md"):
        yield from (part.strip() for part in _PARTED.split(text) if part.strip())
    else:
        yield text.strip()


def read_file(path: Path) -> str | None:
    """A file's text; None where there is none that can be read."""
    try:
        if path.stat().st_size > _LONGEST_FILE:
            return None
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError, ValueError):
        return None


def _template(text: str) -> str | list[dict[str, str]]:
    """Nunjucks as Jinja2: one language but for a few filters. A chat in JSON or YAML becomes messages."""
    text = re.sub(r"\|\s*dump\b", "| tojson", text)
    chat = _chat(text) if text.startswith(("[", "- role")) else None
    return text if chat is None else chat


def _chat(text: str) -> list[dict[str, str]] | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        # JSON first: with templates in it, its escapes are not YAML's.
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, ValueError, RecursionError):
            return None
    if not isinstance(found, list) or not found:
        return None
    if not all(
        isinstance(each, dict) and each.get("role") in _ROLES and isinstance(each.get("content"), str)
        for each in found
    ):
        return None
    return [{"role": str(each["role"]), "content": str(each["content"])} for each in found]


def read_providers(document: Document, left: Leftovers) -> list[ProviderSettings]:
    """The providers that can be carried over."""
    key = "providers" if "providers" in document.data else "targets"
    written = document.data.get(key, [])
    items = written if isinstance(written, list) else [written]
    found: list[ProviderSettings] = []
    for number, item in enumerate(items):
        at: FieldPath = (key, number) if isinstance(written, list) else (key,)
        config: dict[str, Any] = {}
        label, identity = None, item
        inner = (*at, "config")
        if isinstance(item, dict) and "id" not in item and len(item) == 1:
            [(identity, options)] = item.items()
            options = options if isinstance(options, dict) else {}
            config, label = options.get("config", {}), options.get("label")
            inner = (*at, identity, "config")
        elif isinstance(item, dict):
            identity, label, config = item.get("id"), item.get("label"), item.get("config", {})
            for name in sorted(set(item) - {"id", "label", "config"}):
                left.add(
                    f"`{name}` of a provider is not carried over.", document.position((*at, name), key=True)
                )
        settings = _provider(identity, document, at, left)
        if settings is None:
            continue
        if isinstance(config, dict):
            settings |= _parameters(config, document, inner, left)
        found.append(ProviderSettings(str(label or settings["model"]), settings))
    return found


def _provider(identity: Any, document: Document, at: FieldPath, left: Leftovers) -> dict[str, Any] | None:
    where = document.position(at)
    if not isinstance(identity, str):
        left.add("A provider without an id is not carried over.", where)
        return None
    name, *rest = identity.split(":")
    if rest and rest[0] in _MIDDLE:
        if rest[0] in ("completion", "responses"):
            left.add(f"{identity} is asked by chat completions here.", where)
        rest = rest[1:]
    model = ":".join(rest)
    if name in _COMPATIBLE and model:
        hint = f"Set {name.upper()}_BASE_URL and {name.upper()}_API_KEY, or declare it in arena.yaml."
        left.add(f"{identity} is asked by OpenAI's protocol, at an address that has to be said.", where, hint)
    elif name not in ("openai", "anthropic") or not model:
        hint = "Declare it in arena.yaml (kind http, python or replay), and name it in the duel."
        left.add(f"The provider {identity} is not carried over.", where, hint)
        return None
    return {"provider": name, "model": model}


def _parameters(config: dict[str, Any], document: Document, at: FieldPath, left: Leftovers) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, value in config.items():
        plain = "max_tokens" if name == "max_completion_tokens" else name
        if plain in _SETTINGS and not (
            isinstance(value, str) and (value.startswith("file://") or looks_secret(value))
        ):
            said[plain] = value
        elif name == "passthrough" and isinstance(value, dict):
            said["params"] = value
        else:
            left.add(
                f"`{name}` of a provider's config is not carried over.",
                document.position((*at, name), key=True),
            )
    return said
