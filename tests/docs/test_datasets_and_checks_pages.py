"""The pages on datasets and on checks: their examples are read as the pages say, and no kind is left out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from promptarena.definitions.checks import CheckKind, OutputCheck
from promptarena.definitions.duel import load_duel
from promptarena.definitions.schema import schema
from promptarena.definitions.similarity import LexicalMeasure, Similarity
from promptarena.evaluation.duel import run_duel
from promptarena.evaluation.templates import prepare_template

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_DATASETS = (_DOCS / "datasets.md").read_text(encoding="utf-8")
_CHECKS = (_DOCS / "checks.md").read_text(encoding="utf-8")


def _blocks(page: str, kind: str) -> list[str]:
    return [str(found) for found in re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)]


def _read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.fixture
def duel(tmp_path: Path) -> Path:
    definition, _ = _blocks(_DATASETS, "yaml")
    (tmp_path / "duel.yaml").write_text(definition)
    cases = _blocks(_DATASETS, "json")[0]
    (tmp_path / "golden.jsonl").write_text(cases)
    (tmp_path / "sealed.jsonl").write_text(cases.replace("late-", "sealed-"))
    answers = "".join(
        json.dumps({"id": f"{name}-{number}", "output": "After ten days: your money back."}) + "\n"
        for name in ("late", "sealed")
        for number in (1, 2)
    )
    for name in ("control", "treatment"):
        (tmp_path / f"{name}.jsonl").write_text(answers)
    return tmp_path / "duel.yaml"


def test_the_dataset_of_the_page_is_read_as_it_says(duel: Path) -> None:
    found = run_duel(duel)
    assert (found.cases, found.gate) == (2, None)
    assert "stayed sealed" in found.notes[-1]
    opened = run_duel(duel, open_holdout=True)
    assert opened.holdout_openings == 1
    source = load_duel(duel).dataset
    assert source.columns == ("question", "documents", "expected", "labels", "topic", "tier", "weight")


def test_the_template_of_the_page_fills_in_what_a_case_lacks() -> None:
    _, written = _blocks(_DATASETS, "yaml")
    template = prepare_template(_read(written)["template"], Path())
    assert template.render({"question": "Hi"}) == "Hi (customer: free)"


def test_every_check_of_the_page_is_one_and_every_kind_is_on_it() -> None:
    written, _ = _blocks(_CHECKS, "yaml")
    for check in _read(written)["checks"]:
        OutputCheck.model_validate(check)
    assert re.findall(r"^\| `([a-z-]+)` \|", _CHECKS, re.MULTILINE)[: len(CheckKind)] == list(CheckKind)


def test_editors_accept_what_the_page_shows() -> None:
    definitions = schema("duel")
    checks, similarity = (_read(block) for block in _blocks(_CHECKS, "yaml"))
    written = _read(_blocks(_DATASETS, "yaml")[0]) | checks | similarity
    written["checks"] += [
        {"length": 9},
        {"pii-leak": True},
        {"not-pii-leak": ["email"]},
        {"tool-calls": "find"},
        {"passes-tests": {"column": "t"}},
        {"passes-tests": {"tests": "x", "k": 3}},
        {"finish-reason": "stop"},
        {"not-is-json": True, "when": {"form": "text"}},
    ]
    assert Draft202012Validator(definitions).is_valid(written)
    mistakes: list[dict[str, Any]] = [
        {"latency": "soon"},
        {"pii-leak": False},
        {"tool-calls": []},
        {"contain": "x"},
    ]
    for wrong in mistakes:
        assert not Draft202012Validator(definitions).is_valid(written | {"checks": [wrong]})


def test_every_similarity_of_the_page_is_one_and_every_measure_is_on_it() -> None:
    _, written = _blocks(_CHECKS, "yaml")
    titles = [Similarity.model_validate(each).title for each in _read(written)["similarity"]]
    assert "bertscore (minilm) to expected" in titles
    for measure in LexicalMeasure:
        assert f"| `lexical`, `{measure}` |" in _CHECKS
