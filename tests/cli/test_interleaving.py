"""`arena readout` of interleaved lists: a preference, its exit status, and no verdict to ship by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import Arena

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.project import load_project
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.sdk.client import Arena as Sdk
from promptarena.storage.registry.registry import open_registry
from promptarena.wiring import registry_of

PROJECT = """\
providers: {p: {base_url: http://127.0.0.1/v1}}
features: {search: {provider: p, model: m, retrieval: {index: bm25}}}
"""
EXPERIMENT = """\
experiment: hybrid
feature: search
unit: request
variants: {control: {}, hybrid: {retrieval: {index: hybrid}}}
metrics: {clicked: {rate: click, window: 1h}}
primary: clicked
interleave: {slots: 2}
rollout:
  - {stage: offline, skip: a test}
  - {stage: shadow, skip: a test}
  - {stage: canary, skip: a test}
  - {stage: ab, traffic: 100%}
"""


@pytest.mark.parametrize(
    ("liked", "word", "status"),
    [("hybrid", "preferred", 0), ("bm25", "not preferred", 1), ("", "undecided", 3)],
)
def test_the_preference_is_the_exit_status(
    arena: Arena, tmp_path: Path, liked: str, word: str, status: int
) -> None:
    (tmp_path / "arena.yaml").write_text(PROJECT)
    (tmp_path / "hybrid.yaml").write_text(EXPERIMENT)
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    with open_registry(registry_of(load_project(tmp_path))) as registry:
        Lifecycle(registry, clock, "tester").start(tmp_path / "hybrid.yaml")
    with Sdk.local(tmp_path, clock=clock, maintain=False) as sdk:
        for _ in range(40):
            shown = sdk.interleave("search", lambda settings: [settings.retrieval["index"]])
            item = liked or shown.items[0]
            sdk.measure("click", True, request=shown, item=item)
    outcome = arena("readout", "hybrid", "--json", "--check")
    assert (outcome.json["status"], outcome.status) == (word, status)
    assert outcome.json["shown"] == 40
    assert arena("readout", "hybrid").status == 0
    assert "No readout with a verdict" in arena("ship", "hybrid", "-m", "it is liked").err
