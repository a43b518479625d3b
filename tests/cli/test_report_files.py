"""Where reports may be written: not over each other, not over what they are made from, only to files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.cli.conftest import Arena
from tests.sdk.projects import started_project

_DUEL = """
duel: tiny
dataset: golden.jsonl
control: old
variants: {old: {outputs: old.jsonl}, new: {outputs: new.jsonl}}
judge: {recorded: verdicts.csv}
checks: [{json-schema: "file://schema.json"}]
"""


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text("user,arm,won\n" + "".join(f"u{i},{'ab'[i % 2]},{i % 3 % 2}\n" for i in range(60)))
    return path


@pytest.fixture
def duel(tmp_path: Path) -> Path:
    cases = [f"q{number}" for number in range(5)]
    (tmp_path / "golden.jsonl").write_text("".join(json.dumps({"id": each}) + "\n" for each in cases))
    for name in ("old", "new"):
        lines = [json.dumps({"id": each, "output": "{}"}) for each in cases]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    lines = [f"{each},old,new,first\n{each},new,old,first\n" for each in cases]
    (tmp_path / "verdicts.csv").write_text("id,first,second,verdict\n" + "".join(lines))
    (tmp_path / "schema.json").write_text("{}")
    path = tmp_path / "duel.yaml"
    path.write_text(_DUEL)
    return path


_FLAGS = ("--unit", "user", "--variant", "arm", "--control", "a", "--rate", "won")


def _everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("markdown", ["page.html", "./page.html", "link.html"])
def test_two_reports_may_not_be_one_file(arena: Arena, outcomes: Path, tmp_path: Path, markdown: str) -> None:
    (tmp_path / "link.html").symlink_to("page.html")
    outcome = arena("analyze", outcomes, *_FLAGS, "--html", "page.html", "--markdown", markdown)
    assert (outcome.status, outcome.out) == (2, "")
    assert "--html and --markdown name the same file" in outcome.err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("option", ["--html", "--markdown"])
def test_an_analysis_does_not_overwrite_its_data(
    arena: Arena, outcomes: Path, tmp_path: Path, option: str
) -> None:
    (tmp_path / "hard.csv").hardlink_to(outcomes)
    (tmp_path / "soft.csv").symlink_to(outcomes)
    before = _everything(tmp_path)
    for name in ("x.csv", "hard.csv", "soft.csv"):
        outcome = arena("analyze", outcomes, *_FLAGS, option, name)
        assert (outcome.status, outcome.out) == (2, "")
        assert f"{option} would overwrite what is read" in outcome.err
    assert _everything(tmp_path) == before


def test_a_database_is_data_too(arena: Arena, tmp_path: Path) -> None:
    import duckdb

    database = tmp_path / "o.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS user, 'a' AS arm, 1 AS won")
    outcome = arena("analyze", f"{database}::t", *_FLAGS, "--html", database)
    assert (outcome.status, outcome.out) == (2, "")
    assert "would overwrite" in outcome.err


def test_an_analysis_does_not_overwrite_its_definition(arena: Arena, outcomes: Path) -> None:
    arena("init", "mine")
    (definition,) = Path("mine/experiments").glob("*.yaml")
    text = definition.read_bytes()
    flags = ("--unit", "user", "--variant", "arm", "--definition", definition)
    outcome = arena("analyze", outcomes, *flags, "--markdown", definition)
    assert (outcome.status, outcome.out) == (2, "")
    assert "--markdown would overwrite what is read" in outcome.err
    assert definition.read_bytes() == text


@pytest.mark.parametrize(
    "name", ["duel.yaml", "golden.jsonl", "old.jsonl", "new.jsonl", "verdicts.csv", "schema.json"]
)
def test_a_duel_does_not_overwrite_what_it_reads(arena: Arena, duel: Path, tmp_path: Path, name: str) -> None:
    before = _everything(tmp_path)
    outcome = arena("duel", duel, "--html", name)
    assert (outcome.status, outcome.out) == (2, "")
    assert "--html would overwrite what is read" in outcome.err
    assert _everything(tmp_path) == before


def test_a_duel_writes_beside_what_it_reads_and_over_its_last_report(arena: Arena, duel: Path) -> None:
    for _ in range(2):
        outcome = arena("duel", duel, "--html", "page.html", "--markdown", "notes.md")
        assert outcome.status == 0
    assert "NO GATE: tiny" in Path("notes.md").read_text()


def test_a_readout_does_not_overwrite_its_project_registry_or_log(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = started_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    log = folder / ".arena" / "log"
    log.mkdir(parents=True, exist_ok=True)
    (registry,) = [path for path in (folder / ".arena").iterdir() if path.suffix == ".db"]
    for path in (folder / "arena.yaml", registry, log / "manifest.json"):
        outcome = arena("readout", "cites", "--markdown", path)
        assert (outcome.status, outcome.out) == (2, "")
        assert "--markdown would overwrite what is read" in outcome.err


def test_a_pipe_is_no_place_for_a_report(arena: Arena, outcomes: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    outcome = arena("analyze", outcomes, *_FLAGS, "--markdown", pipe)
    assert (outcome.status, outcome.out) == (2, "")
    assert "not a file to write a report to" in outcome.err
    assert pipe.is_fifo()
