"""docs/gate-in-ci.md: its duel runs, its commands do what it says, its workflow asks for what there is."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.cli.conftest import Arena, arena

from promptarena.evaluation.check_rates import to_difference
from promptarena.stats.bounded_mean import bounded_mean_bounds

__all__ = ["arena"]

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gate-in-ci.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [block["text"] for block in _BLOCK.finditer(_PAGE) if block["kind"] == kind]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Sixty questions that the treatment wins 48 of, in both orders."""
    (tmp_path / "duel.yaml").write_text(blocks("yaml")[0])
    ids = [f"q{number}" for number in range(60)]

    def lines(name: str, rows: list[dict[str, object]]) -> None:
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    lines("golden.jsonl", [{"id": i, "question": "Where is it?", "topic": "late"} for i in ids])
    lines("control.jsonl", [{"id": i, "output": "Soon."} for i in ids])
    lines("treatment.jsonl", [{"id": i, "output": "In three days (policy 2)."} for i in ids])
    winner = ["treatment" if number < 48 else "control" for number in range(60)]
    verdicts = [
        f"{i},{first},{second},{won}"
        for i, won in zip(ids, winner, strict=True)
        for first, second in (("control", "treatment"), ("treatment", "control"))
    ]
    (tmp_path / "verdicts.csv").write_text("\n".join(["id,first,second,verdict", *verdicts]) + "\n")
    scores = [
        f"{i},{name},accuracy,{level}" for i in ids for name, level in (("control", 3), ("treatment", 4))
    ]
    (tmp_path / "scores.csv").write_text("\n".join(["id,variant,axis,score", *scores]) + "\n")
    return tmp_path


def test_the_plan_is_what_the_page_says(arena: Arena, project: Path) -> None:
    assert project.is_dir()
    command, _, printed = blocks("console")[0].removeprefix("$ arena ").partition("\n")
    outcome = arena(*shlex.split(command))
    assert outcome.status == 0
    assert doctest.OutputChecker().check_output(printed, outcome.out, doctest.ELLIPSIS), outcome.out


def test_the_workflow_runs_and_leaves_what_it_uploads(
    arena: Arena, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = YAML(typ="safe", pure=True).load(blocks("yaml")[1])
    (duel,) = (step for step in workflow["jobs"]["gate"]["steps"] if step.get("name") == "Duel")
    program, *arguments = shlex.split(duel["run"])
    assert program == "arena"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    outcome = arena(*arguments)
    assert outcome.status == 0, outcome.out
    assert (project / "summary.md").read_text().startswith("## ")
    for name in ("gate.xml", "gate.html", "gate.md"):
        assert (project / name).stat().st_size > 500


def test_the_gate_is_the_exit_status(arena: Arena, project: Path) -> None:
    assert arena("duel", "duel.yaml").status == 0
    path = project / "duel.yaml"
    path.write_text(path.read_text().replace("margin: 0.1}", "margin: 0.02}"))
    assert arena("duel", "duel.yaml").status == 3, "60 cases cannot show a margin of 2 points"
    verdicts = project / "verdicts.csv"
    swapped = re.sub(r"(treatment|control)$", "control", verdicts.read_text(), flags=re.MULTILINE)
    verdicts.write_text(swapped)
    assert arena("duel", "duel.yaml").status == 1


@pytest.mark.parametrize(("status", "passes"), [(0, True), (3, True), (1, False), (4, False)])
def test_only_an_inconclusive_gate_is_let_through(status: int, passes: bool) -> None:
    (_, _, condition) = blocks("sh")[0].partition("||")
    script = f"(exit {status}) || {condition}"
    assert (subprocess.run(["sh", "-c", script], check=False).returncode == 0) is passes


def test_a_margin_of_two_points_takes_the_cases_that_the_page_says() -> None:
    found = re.search(r"2\s+points of a check's pass rate take (\d+) cases", _PAGE)
    assert found is not None
    cases = int(found[1])
    low, less = (bounded_mean_bounds([0.5] * n, alpha=0.025)[0] for n in (cases, cases - 1))
    assert to_difference(less) <= -0.02 < to_difference(low)


def test_stopping_early_ends_before_the_last_case(arena: Arena, project: Path) -> None:
    path = project / "duel.yaml"
    path.write_text(re.sub(r"  (checks|axes): \{.*\n", "", path.read_text()))
    _, *arguments = shlex.split(blocks("sh")[1])
    outcome = arena(*arguments, "--json")
    assert outcome.status == 0
    found = outcome.json["gate"]["early_stop"]
    assert found["stopped"]
    assert found["taken"] < found["cases"] == 60
