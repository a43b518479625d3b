"""`arena import promptfoo`, `arena golden add` and the duel's own options, as they are typed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.promptfoo_examples import write_full
from typer.testing import CliRunner

from promptarena.cli.main import app
from promptarena.definitions.events import Content, Measurement
from promptarena.definitions.project import load_project
from promptarena.errors import UsageError
from promptarena.wiring import open_log

PROJECT = "providers: {p: {base_url: 'http://127.0.0.1:1/v1'}}\nfeatures: {bot: {provider: p, model: m}}\n"


def arena(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_an_import_says_what_it_made_and_what_it_left(tmp_path: Path) -> None:
    config, out = write_full(tmp_path), tmp_path / "out"
    said = arena("import", "promptfoo", str(config), "--to", str(out))
    assert said.exit_code == 0
    assert said.stdout.startswith("7 cases, 4 variants (prompt-1-gpt-4o-mini, ")
    assert "Not carried over, or not the same here (8):" in said.stdout
    assert f"{config}:12:5 (providers[2]): The provider python:my_provider.py is not carried" in said.stdout
    as_json = json.loads(
        arena("import", "promptfoo", str(config), "--to", str(tmp_path / "b"), "--json").stdout
    )
    assert (as_json["cases"], len(as_json["left"]), as_json["left"][2]["where"]["line"]) == (7, 8, 12)
    again = arena("import", "promptfoo", str(config), "--to", str(out))
    assert isinstance(again.exception, UsageError)


def test_low_ratings_become_golden_cases_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "arena.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    refused = arena("golden", "add", "golden.jsonl")
    assert isinstance(refused.exception, UsageError)
    assert "content: {sample: 10%" in str(refused.exception)
    (tmp_path / "arena.yaml").write_text(PROJECT + "content: {sample: 100%}\n")
    at = datetime(2026, 3, 1, tzinfo=UTC)
    with open_log(load_project(tmp_path)) as log:
        for name, rating in (("bad", 1.0), ("good", 5.0)):
            log.append(Content(ts=at, request_id=name, input="Ring +44 20 7946 0958", output="no"))
            log.append(
                Measurement(
                    ts=at, name="rating", target_kind="request", target=name, source="human", value=rating
                )
            )
    words = ("golden", "add", "golden.jsonl", "--measurement", "rating", "--max", "2", "--input", "question")
    said = arena(*words)
    assert said.stdout == "Cases added to golden.jsonl: 1\n"
    assert arena(*words).stdout.splitlines()[1] == "In it already: 1"
    [row] = [json.loads(line) for line in (tmp_path / "golden.jsonl").read_text().splitlines()]
    assert (row["id"], row["question"]) == ("bad", "Ring [phone]")


def test_bounds_without_a_measurement_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = arena("golden", "add", "golden.jsonl", "--max", "2")
    assert isinstance(refused.exception, UsageError)
    assert "--measurement rating" in str(refused.exception)


def test_a_duel_opens_its_holdout_only_when_the_gate_is_asked(tmp_path: Path) -> None:
    for name, ids in (("open", "ab"), ("sealed", "cd")):
        (tmp_path / f"{name}.csv").write_text("id\n" + "".join(f"{case}\n" for case in ids))
    for name in ("control", "treatment"):
        (tmp_path / f"{name}.csv").write_text("id,output\n" + "".join(f"{case},yes\n" for case in "abcd"))
    duel = tmp_path / "duel.yaml"
    duel.write_text(
        "duel: d\ndataset: {file: open.csv, holdout: sealed.csv}\n"
        "variants: {control: {outputs: control.csv}, treatment: {outputs: treatment.csv}}\n"
        "checks: [{equals: 'yes'}]\ngate: {checks: {all: {margin: 5%}}}\n"
    )
    closed = arena("duel", str(duel), "--json")
    assert (closed.exit_code, json.loads(closed.stdout)["gate"]) == (0, None)
    opened = json.loads(arena("duel", str(duel), "--gate", "--json").stdout)
    assert (opened["cases"], opened["holdout_openings"]) == (2, 1)
    assert opened["gate"]["reasons"][-1] == "the holdout was opened for the first time"
    assert "opened 2 times" in arena("duel", str(duel), "--gate").stdout
