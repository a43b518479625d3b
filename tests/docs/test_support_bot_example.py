"""examples/support-bot as its README says: over HTTP, on the simulated provider, by environment variables alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Arena, arena  # noqa: F401
from tests.sdk.arenas import events_in

from promptarena.definitions.events import Generation
from promptarena.demo.provider import SimulatedProvider

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "support-bot"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "support-bot"
    shutil.copytree(EXAMPLE, found, ignore=shutil.ignore_patterns(".arena"))
    monkeypatch.setenv("OPENAI_API_KEY", "simulated")
    return found


def test_the_change_passes_its_gate_and_a_second_run_asks_nothing(
    arena: Arena,  # noqa: F811
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SimulatedProvider(pace=0) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        first = arena("duel", folder / "duel.yaml", "--json")
        asked = provider.answered[200]
        again = arena("duel", folder / "duel.yaml", "--json")
        assert provider.answered[200] == asked
    assert first.status == again.status == 0, first.err
    gate = first.json["gate"]
    assert gate == again.json["gate"]
    assert {condition["name"]: condition["status"] for condition in gate["conditions"]} == {
        "win_rate": "pass",
        "axis: accuracy": "pass",
        "axis: usefulness": "pass",
        "check: not-contains refund you in any case": "pass",
        "check: length at most 160 words": "pass",
    }
    [pair] = first.json["pairs"]
    assert pair["unscored"] == 0
    # Two answers, two orders and two rubrics a case.
    assert asked == 69 * 6


def test_its_experiment_goes_from_its_offline_stage_to_users_on_the_evidence_that_was_stored(
    arena: Arena,  # noqa: F811
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    definition = folder / "experiments" / "cite-policy.yaml"
    assert arena("start", definition).status == 0
    refused = arena("ramp", "cite-policy")
    assert refused.status == 2
    assert "no gate's result was given" in refused.err
    with SimulatedProvider(pace=0) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        found = arena("duel", definition, "--json")
    assert found.status == 0, found.err
    assert found.json["gate"]["status"] == "pass"
    assert arena("ramp", "cite-policy").status == 0
    history = arena("history", "cite-policy", "--json").json
    assert '"pass"' in json.dumps(history)
    generations = [event for event in events_in(folder / ".arena") if isinstance(event, Generation)]
    assert {event.experiment for event in generations} == {"cite-policy"}
    assert {event.role for event in generations} == {"offline"}


def test_without_a_provider_it_says_what_to_do(
    arena: Arena,  # noqa: F811
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    found = arena("duel", folder / "duel.yaml")
    assert found.status == 2
    assert "OPENAI_API_KEY is not set" in found.err
    assert "arena provider" in found.err


def test_the_golden_questions_cover_what_they_say() -> None:
    lines = (EXAMPLE / "golden" / "support.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    assert len(cases) == len({case["question"] for case in cases}) == 69
    levels = {case["difficulty"] for case in cases}
    assert levels == {"plain", "several policies", "ambiguous", "hostile", "out of scope"}
    policies = (EXAMPLE / "policies.md").read_text(encoding="utf-8")
    for case in cases:
        for document in case["documents"]:
            name, _, text = document.partition(": ")
            assert f"**{name}**: {text}" in policies
