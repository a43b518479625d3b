"""Duels that ask in words of their own and compare by an endpoint's vectors, over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.evaluation.live.live_duels import PROJECT, provider, run
from tests.llm.loopback import Asked, Loopback, refuses, says

from promptarena.definitions.duel_readout import DuelReadout, GateStatus
from promptarena.errors import DataError, DefinitionError, RunStoppedError
from promptarena.evaluation.duel import run_duel
from promptarena.wiring import live_setup

DUEL = """\
duel: paraphrase
dataset: {file: golden.jsonl, template: "Say {{ text }}", reference: expected}
variants:
  control: {provider: openai, model: gpt-4o-mini}
  treatment: {provider: openai, model: gpt-4o-mini, template: "Shout {{ text }}"}
similarity: [{name: like, embedding: {provider: openai, model: vectors, min: 0.9}}]
gate: {checks: {like: {above: 0}}}
"""


def answers(asked: Asked, _number: int = 0) -> bytes:
    """Shouting is what is wanted; vectors count capitals and small letters."""
    if "input" in asked.body:
        text = asked.body["input"]
        vector = [sum(map(str.isupper, text)), sum(map(str.islower, text)) + 0.1]
        return _json({"data": [{"embedding": vector}], "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    said = asked.body["messages"][-1]["content"]
    return says(
        said.removeprefix("Shout ").upper() if said.startswith("Shout") else said.removeprefix("Say ")
    )


def _json(body: object) -> bytes:
    written = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(written)}\r\n\r\n"
    return head.encode() + written


def write(folder: Path, *, lacking: bool = False) -> Path:
    cases = [{"id": n, "text": f"word {n} here", "expected": f"WORD {n} HERE"} for n in range(40)]
    if lacking:
        del cases[7]["text"]
        cases[7]["text2"] = "x"
    (folder / "golden.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    (folder / "arena.yaml").write_text(PROJECT)
    (folder / "duel.yaml").write_text(DUEL)
    return folder / "duel.yaml"


def test_each_variant_is_asked_in_its_own_words_and_compared_by_vectors(tmp_path: Path) -> None:
    with provider(answers) as server:
        found = run(write(tmp_path), server)
        asked = len(server.asked)
        again = run(tmp_path / "duel.yaml", server)
        assert len(server.asked) == asked  # vectors are kept as answers are
    [axis] = found.axes
    assert axis.name == "like"
    assert axis.means["treatment"].mean == pytest.approx(1.0)
    assert (axis.differences["treatment"].difference or 0) > 0.5
    [check] = found.checks
    assert (check.rates["control"].pass_rate, check.rates["treatment"].pass_rate) == (0.0, 1.0)
    assert found.gate is not None
    assert found.gate.status is GateStatus.PASS
    assert again.axes == found.axes


def test_a_variant_whose_words_a_case_cannot_fill_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, lacking=True)
    path.write_text(DUEL.replace("Say {{ text }}", "Say {{ id }}"))
    with (
        provider(answers) as server,
        pytest.raises(DataError, match=r"golden\.jsonl:8: treatment: The template needs"),
    ):
        run(path, server)
    assert server.asked == []


def test_an_endpoint_without_vectors_stops_the_run_and_says_so(tmp_path: Path) -> None:
    def behave(asked: Asked, number: int) -> bytes:
        return refuses(404, "no such model") if "input" in asked.body else answers(asked, number)

    with provider(behave) as server, pytest.raises(RunStoppedError, match="base_url and the model"):
        run(write(tmp_path), server)


def gated(path: Path, server: Loopback) -> DuelReadout:
    environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k"}
    with live_setup(path, environment=environment) as live:
        return run_duel(path, live=live, open_holdout=True)


def test_a_live_gate_opens_its_holdout_once_however_often_it_is_run_unchanged(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "sealed.jsonl").write_text(
        (tmp_path / "golden.jsonl").read_text().replace('"id": ', '"id": 9')
    )
    path.write_text(DUEL.replace("golden.jsonl,", "golden.jsonl, holdout: sealed.jsonl,"))
    with provider(answers) as server:
        assert run(path, server).gate is None
        assert [gated(path, server).holdout_openings for _ in range(2)] == [1, 1]
        path.write_text(path.read_text().replace("Shout {{ text }}", "Shout {{ text }}!"))
        assert gated(path, server).holdout_openings == 2


def test_a_check_that_cannot_run_here_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(DUEL + "checks: [{python: my_rules:good}]\n")
    with provider(answers) as server, pytest.raises(DefinitionError, match="allow-lists functions"):
        run(path, server)
    assert server.asked == []
