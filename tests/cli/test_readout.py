"""`arena readout`: from a project's log to a verdict, and what is said where there is nothing to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Arena
from tests.sdk.projects import started_project

from promptarena.sdk.client import Arena as Sdk


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose experiment has met 20 conversations a moment ago."""
    folder = started_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    with Sdk.local(folder, maintain=False) as sdk:
        for number in range(20):
            sdk.assign("support-bot", {"conversation": f"c{number}"})
            sdk.measure("resolved", True, conversation=f"c{number}")
    return folder


def test_a_young_experiment_is_told_to_continue(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    outcome = arena("readout", "cites", "--json", "--check")
    assert outcome.status == 3
    assert outcome.json["verdict"]["status"] == "continue"
    assert outcome.json["source"] == "event log"
    assert arena("readout", "cites").status == 0


def test_what_was_never_started_is_said_with_what_was(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    outcome = arena("readout", "citez")
    assert outcome.status == 2
    assert "Did you mean `cites`?" in outcome.err


def test_nothing_started_and_no_project_are_said(arena: Arena) -> None:
    outcome = arena("readout", "cites")
    assert outcome.status == 2
    assert "arena.yaml" in outcome.err
    arena("init", ".")
    nothing = arena("readout", "cites")
    assert nothing.status == 2
    assert "arena start" in nothing.err
