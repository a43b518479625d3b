"""The page on importing promptfoo: its example is imported, and gives what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from promptarena.cli.main import app
from promptarena.definitions.duel import load_duel
from promptarena.evaluation.dataset import load_dataset

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "importing-promptfoo.md").read_text(encoding="utf-8")


def _blocks(kind: str) -> list[str]:
    return [str(found) for found in re.findall(rf"```{kind}\n(.*?)```", _PAGE, re.DOTALL)]


def test_the_example_gives_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config, duel = _blocks("yaml")
    Path("promptfooconfig.yaml").write_text(config)
    Path("more.csv").write_text(_blocks("csv")[0])
    said = CliRunner().invoke(app, ["import", "promptfoo", "promptfooconfig.yaml", "--to", "support"])
    assert said.exit_code == 0
    assert said.stdout == _blocks("text")[0]
    read = YAML(typ="safe")
    assert read.load(Path("support/duel.yaml").read_text()) == read.load(duel)
    loaded = load_duel(Path("support/duel.yaml"))
    first, *_ = load_dataset(loaded.dataset, Path("support")).cases()
    assert first.text == "Answer briefly: Where is my parcel?"
    assert first.segments == {"topic": "late"}
