"""`arena calibrate` after a duel: the judge's own run, labels given blind in the terminal, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.cli.conftest import Arena
from tests.evaluation.live.live_duels import PROJECT, provider, run, sensible, write

JUDGE = """\
judge: plain
provider: openai
model: gpt-4o
pairwise: Which answer cites the policy?
rubric: {clarity: {question: Is it clear?, levels: {1: no, 3: partly, 5: yes}}}
"""
DUEL = """\
duel: cites
feature: bot
dataset: {file: golden.jsonl, input: question}
variants:
  control: {outputs: old.jsonl}
  treatment: {system: Cite the policy.}
judge: judges/plain.yaml
"""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one finished duel of 30 cases."""
    folder = tmp_path_factory.mktemp("judged")
    (folder / "judges").mkdir()
    (folder / "judges" / "plain.yaml").write_text(JUDGE)
    path = write(folder, duel=DUEL, cases=30, project=PROJECT)
    old = ({"id": f"q{number}", "output": "Ten days."} for number in range(30))
    (folder / "old.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    with provider(sensible) as server:
        run(path, server)
    return folder


@pytest.fixture
def project(
    judged: Path,
    arena: Arena,  # noqa: ARG001  it changes into its own folder first
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Path:
    """That project, in which `arena` is called; labels go elsewhere."""
    monkeypatch.chdir(judged)
    return tmp_path


def types(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))


def test_labels_are_given_blind_and_held_against_the_judges_run(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = project / "labels.jsonl"
    call = ("calibrate", "judges/plain.yaml", "--labels", labels, "--rater", "ana", "--label", "10")
    types(monkeypatch, "4", "9", "4", *["4"] * 18)
    outcome = arena(*call, "--json")
    found = outcome.json
    assert outcome.status == 0
    [task] = found["tasks"]
    assert (task["name"], task["agreement"]["value"], task["agreement"]["items"]) == ("clarity", 1.0, 20)
    assert found["judge"] == "plain"
    assert found["evaluator_hash"]
    assert "'9' is none of 1, 2, 3, 4, 5" in outcome.err
    assert "20 labelled, 0 left" in outcome.err
    assert "control" not in outcome.err
    assert "treatment" not in outcome.err
    written = [json.loads(line) for line in labels.read_text().splitlines()]
    assert {line["variant"] for line in written} == {"control", "treatment"}
    assert {line["probability"] for line in written} == {1 / 3}


def test_a_session_that_was_quit_goes_on_and_another_rater_begins_anew(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = project / "labels.jsonl"
    call = ("calibrate", "judges/plain.yaml", "--labels", labels, "--label", "2")
    types(monkeypatch, "4", "q")
    assert "1 labelled, 3 left" in arena(*call, "--rater", "ana").err
    types(monkeypatch, "4", "4")
    assert "2 labelled, 1 left" in arena(*call, "--rater", "ana").err
    types(monkeypatch, "4")
    assert "1 labelled, 3 left" in arena(*call, "--rater", "ben").err


def test_two_answers_are_compared_in_the_order_shown(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = project / "pairs.jsonl"
    types(monkeypatch, *["1", "2", "t", "s"] * 3)
    outcome = arena(
        "calibrate", "judges/plain.yaml", "--labels", labels, "--pairs", "--label", "12", "--rater", "ana"
    )
    assert "9 labelled, 3 left" in outcome.err
    assert "preference" in outcome.out
    written = [json.loads(line) for line in labels.read_text().splitlines()]
    assert [line["verdict"] for line in written] == ["first", "second", "tie"] * 3
    assert len({line["first"] for line in written}) == 2


def test_a_judge_that_was_changed_since_has_judged_in_no_run(arena: Arena, project: Path) -> None:
    changed = project / "judge.yaml"
    changed.write_text(JUDGE.replace("Is it clear?", "Is it very clear?"))
    Path("judges/changed.yaml").write_text(changed.read_text())
    outcome = arena("calibrate", "judges/changed.yaml", "--labels", project / "l.csv")
    assert outcome.status == 4
    assert "has judged in no complete run" in outcome.err
    assert "arena duel FILE" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody",), "no judge's definition 'nobody'"),
        (("judges/plain.yaml", "--run", "r1"), "There is no run 'r1'"),
        (("judges/plain.yaml", "--label", "3"), "Add --rater"),
        (("judges/plain.yaml", "--judgments", "j.csv", "--label", "3"), "Leave one of them out"),
    ],
)
def test_words_that_do_not_fit_are_told(
    arena: Arena, project: Path, arguments: tuple[str, ...], said: str
) -> None:
    outcome = arena("calibrate", *arguments, "--labels", project / "labels.jsonl")
    assert outcome.status == 2
    assert said in outcome.err
