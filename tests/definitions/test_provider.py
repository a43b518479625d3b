"""Providers as arena.yaml declares them: five kinds, and mistakes with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptarena.definitions.project import load_project
from promptarena.definitions.provider import (
    AnthropicProvider,
    HttpProvider,
    OpenAIProvider,
    PythonProvider,
    ReplayProvider,
)
from promptarena.errors import DefinitionError

PROJECT = """\
providers:
  openai: {}
  local: {base_url: http://127.0.0.1:8000/v1, timeout: 20s, concurrency: 4}
  claude: {kind: anthropic, key_env: ANTHROPIC_API_KEY}
  bot: {kind: http, url: https://bot.example/ask, body: {question: "{{ input }}"}, output: reply.text}
  rules: {kind: python, function: support_rules:answer}
  tape: {kind: replay, file: recorded/calls.jsonl}
features: {bot: {provider: openai, model: m}}
hosts: [hooks.example.org]
hooks: [support_rules:answer]
"""


def test_every_kind_is_declared_and_allows_its_own_host(tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(PROJECT)
    project = load_project(tmp_path)
    assert [type(each) for each in project.providers.values()] == [
        OpenAIProvider,
        OpenAIProvider,
        AnthropicProvider,
        HttpProvider,
        PythonProvider,
        ReplayProvider,
    ]
    local = project.providers["local"]
    assert (local.timeout.total_seconds(), local.concurrency) == (20, 4)
    # What the environment will say is allowed when it says it; functions and recordings talk to nobody.
    assert project.hosts == ("127.0.0.1:8000", "bot.example", "hooks.example.org")


@pytest.mark.parametrize(
    ("was", "written", "line", "says"),
    [
        ("kind: anthropic", "kind: antropic", 4, "Did you mean 'anthropic'|`anthropic`"),
        ("https://bot.example/ask", "bot.example/ask", 5, "an address such as"),
        ("support_rules:answer}", "support_rules.answer}", 6, "is not a hook"),
        ("hooks: [support_rules:answer]", "hooks: []", 6, "not allow-listed.*hooks: "),
        ("concurrency: 4", "concurrency: 0", 3, "at least 1"),
        ("timeout: 20s", "timeout: soon", 3, "soon"),
        ("key_env: ANTHROPIC_API_KEY", "key_env: sk-0123456789abcdefghij", 4, "never write a key|a secret"),
        ("file: recorded/calls.jsonl", "path: x", 7, "`file` is missing|Unknown field 'path'"),
    ],
)
def test_mistakes_have_their_line(tmp_path: Path, was: str, written: str, line: int, says: str) -> None:
    assert was in PROJECT
    (tmp_path / "arena.yaml").write_text(PROJECT.replace(was, written))
    with pytest.raises(DefinitionError, match=rf"(?s)arena\.yaml:{line}:.*({says})"):
        load_project(tmp_path)
