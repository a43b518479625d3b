"""`arena duel`'s reports for continuous integration, its plan, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.conftest import Arena
from tests.evaluation.test_duel_run import write_duel

GATE = "gate: {win_rate: {above: 0.5}}\n"


def test_all_reports_of_one_run_agree(arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_duel(tmp_path, cases=40, new_wins=35, extra=GATE)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "s.md"))
    outcome = arena("duel", path, "--junit", "g.xml", "--html", "g.html", "--summary", "--json")
    assert (outcome.status, outcome.json["gate"]["status"]) == (0, "pass")
    suite = ElementTree.parse(tmp_path / "g.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
    assert "PASS" in (tmp_path / "s.md").read_text()
    page = (tmp_path / "g.html").read_text()
    assert "All 40 cases, the worst first." in page
    assert page.count('<details class="case') == 40


def test_a_plan_looks_at_no_verdict(arena: Arena, tmp_path: Path) -> None:
    path = write_duel(tmp_path, cases=40, extra=GATE)
    (tmp_path / "verdicts.jsonl").unlink()
    planned = arena("duel", path, "--plan", "--json")
    assert planned.status == 0
    (effect,) = planned.json["effects"]
    assert effect["name"] == "win_rate"
    assert 0.6 < effect["detectable"] < 0.75
    assert not effect["from_pilot"]


def test_a_pilot_sizes_the_next_duel(arena: Arena, tmp_path: Path) -> None:
    path = write_duel(tmp_path, cases=40, new_wins=38, extra=GATE)
    (tmp_path / "pilot.json").write_text(arena("duel", path, "--json").out)
    (effect,) = arena("duel", path, "--plan", "--pilot", "pilot.json", "--json").json["effects"]
    assert effect["from_pilot"]
    assert effect["deviation"] < 0.3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--summary",), "GITHUB_STEP_SUMMARY is not set"),
        (("--junit", "duel.yaml"), "--junit would overwrite what is read"),
        (("--junit", "x", "--html", "x"), "--html and --junit name the same file"),
        (("--junit", "no/where.xml"), "there is no folder"),
        (("--plan", "--pilot", "golden.jsonl"), "no duel with a gate"),
        (("--plan", "--pilot", "none.json"), "The pilot cannot be read"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_message(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    write_duel(tmp_path, cases=5, extra=GATE)
    before = (tmp_path / "duel.yaml").read_text()
    outcome = arena("duel", "duel.yaml", *arguments)
    assert outcome.status == 2
    assert told in " ".join(outcome.err.split())
    assert (tmp_path / "duel.yaml").read_text() == before


@pytest.mark.parametrize("option", ["--plan", "--early-stop"])
def test_what_needs_a_gate_says_so(arena: Arena, tmp_path: Path, option: str) -> None:
    outcome = arena("duel", write_duel(tmp_path, cases=5), option)
    assert outcome.status == 2
    assert "gate" in outcome.err
