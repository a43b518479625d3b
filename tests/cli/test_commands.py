"""The other commands: what they print for people and machines, and their exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.cli.conftest import Arena


def test_plan_gives_the_agreed_sizes(arena: Arena) -> None:
    fixed = arena("plan", "--baseline", "0.60", "--mde", "0.05", "--json").json
    assert (fixed["total"], fixed["total_fixed"], fixed["per_variant"]) == (
        2942,
        2942,
        {"control": 1471, "treatment": 1471},
    )
    assert fixed["days"] is None
    assert [look["fraction"] for look in fixed["looks"]] == [1]
    looked = arena(
        "plan",
        "--baseline",
        "0.60",
        "--mde",
        "0.05",
        "--looks",
        "0.25,0.5,0.75,1",
        "--daily-units",
        "300",
        "--json",
    ).json
    assert (looked["total"], looked["total_fixed"]) == (3000, 2942)
    assert looked["days"] == 14
    assert [look["n"] for look in looked["looks"]] == [750, 1500, 2250, 3000]
    assert looked["looks"][-1]["alpha_spent"] == pytest.approx(0.05)
    assert {"fraction", "critical_z", "alpha_spent", "n"} <= set(looked["looks"][0])
    assert arena("plan", "--baseline", "0.60", "--mde", "0.02", "--json").json["total"] == 18_672


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--baseline", "0.6", "--mde", "0"], "--mde"),
        (["--baseline", "1.6", "--mde", "0.05"], "--baseline"),
        (["--baseline", "0.98", "--mde", "0.05"], "--mde"),
        (["--baseline", "0.6", "--mde", "0.05", "--looks", "0.5,0.25,1"], "--looks"),
        (["--baseline", "0.6", "--mde", "0.05", "--spending", "obrian"], "obrien-fleming"),
        (["--baseline", "0.6", "--mde", "five"], "--mde"),
        (["--mde", "0.05"], "--baseline"),
        (["--baseline", "nan", "--mde", "0.05"], "--baseline"),
    ],
)
def test_a_plan_that_cannot_be_is_one_clear_message(arena: Arena, flags: list[str], word: str) -> None:
    outcome = arena("plan", *flags)
    assert outcome.status == 2
    assert word in outcome.err
    assert outcome.out == ""


def test_init_writes_a_project_that_plans_and_will_not_overwrite(arena: Arena) -> None:
    outcome = arena("init", "mine")
    assert outcome.status == 0
    [experiment] = [
        line.split(" ", 1)[1]
        for line in outcome.out.splitlines()
        if "experiments/" in line and line.startswith("wrote")
    ]
    assert arena("plan", experiment).status == 0
    assert arena("plan", experiment, "--json").json["total"] > 0
    refused = arena("plan", experiment, "--power", "0.9", "--mde", "0.1")
    assert refused.status == 2
    assert "--power" in refused.err
    assert "--mde" in refused.err
    again = arena("init", "mine")
    assert again.status == 2
    assert "--force" in again.err
    assert arena("init", "mine", "--force").status == 0


@pytest.mark.parametrize("kind", ["project", "experiment", "metrics", "duel"])
def test_schema_prints_a_json_schema(arena: Arena, kind: str) -> None:
    Draft202012Validator.check_schema(arena("schema", kind).json)


def test_an_unknown_schema_is_suggested(arena: Arena) -> None:
    outcome = arena("schema", "experimnt")
    assert outcome.status == 2
    assert "Did you mean `experiment`?" in outcome.err


def test_a_broken_definition_tells_all_its_mistakes_with_their_lines(arena: Arena) -> None:
    arena("init", "mine")
    [path] = Path("mine/experiments").glob("*.yaml")
    text = (
        path.read_text()
        .replace("primary:", "primry:")
        .replace("unit: conversation", "unit: conversation\nspeed: 3")
    )
    path.write_text(text)
    outcome = arena("plan", path)
    assert outcome.status == 2
    assert f"{path}:" in outcome.err
    assert "primry" in outcome.err
    assert "speed" in outcome.err
    assert "Did you mean `primary`?" in outcome.err


_DUEL = """
duel: tiny
dataset: golden.jsonl
control: old
variants: {old: {outputs: old.jsonl}, new: {outputs: new.jsonl}}
judge: {recorded: verdicts.csv}
gate: {win_rate: {above: 0.5}}
"""


def _duel(folder: Path, wins: int, cases: int = 30) -> Path:
    ids = [f"q{i}" for i in range(cases)]
    (folder / "golden.jsonl").write_text("".join(json.dumps({"id": i}) + "\n" for i in ids))
    for name in ("old", "new"):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"id": i, "output": name}) + "\n" for i in ids)
        )
    lines = ["id,first,second,verdict"]
    for k, i in enumerate(ids):
        winner = "new" if k < wins else "old"
        lines += [
            f"{i},old,new,{'first' if winner == 'old' else 'second'}",
            f"{i},new,old,{'first' if winner == 'new' else 'second'}",
        ]
    (folder / "verdicts.csv").write_text("\n".join(lines) + "\n")
    path = folder / "duel.yaml"
    path.write_text(_DUEL)
    return path


@pytest.mark.parametrize(
    ("wins", "answer", "status"), [(27, "pass", 0), (3, "fail", 1), (16, "inconclusive", 3)]
)
def test_the_gate_is_the_exit_status_of_a_duel(
    arena: Arena, tmp_path: Path, wins: int, answer: str, status: int
) -> None:
    outcome = arena("duel", _duel(tmp_path, wins), "--json")
    assert outcome.status == status
    assert outcome.json["gate"]["status"] == answer
    assert outcome.json["gate"]["reasons"]
    [pair] = outcome.json["pairs"]
    assert pair["win_rate"] == pytest.approx(wins / 30)
    assert {"interval", "wins", "losses", "ties", "conflicts", "first_position_rate", "unscored"} <= set(pair)


def test_a_duel_over_recorded_verdicts_gives_the_published_figures(
    arena: Arena, tmp_path: Path, shared_data: Path
) -> None:
    prd = shared_data / "judge_prd"
    names = ("gpt4", "claude", "vicuna-13b", "gpt35", "bard")
    variants = "\n".join(
        f"  {name}: {{outputs: {{file: {prd}/generations/answer_{name}.jsonl, id: question_id, output: text}}}}"
        for name in names
    )
    path = tmp_path / "duel.yaml"
    path.write_text(
        f"""
duel: vicuna-80
dataset: {{file: {prd}/prompts/vicuna_questions.jsonl, id: question_id, input: text}}
variants:
{variants}
judge: {{recorded: {{file: {prd}/ratings.csv, id: q, first: a, second: b, verdict: score, values: {{first: 1, second: 2, tie: 3}}, where: {{judge: gpt4}}}}}}
"""
    )
    outcome = arena("duel", path, "--json")
    assert outcome.status == 0
    pairs = outcome.json["pairs"]
    assert len(pairs) == 10
    assert sum(pair["consistent"] for pair in pairs) == 551
    assert sum(pair["conflicts"] for pair in pairs) == 800 - 551
    assert (sum(pair["first_both"] for pair in pairs), sum(pair["second_both"] for pair in pairs)) == (113, 2)
    ratings = {each["variant"]: each["rating"] for each in outcome.json["ranking"]["variants"]}
    expected = {"gpt4": 1276.07, "claude": 1146.46, "vicuna-13b": 886.24, "gpt35": 881.77, "bard": 809.46}
    assert ratings == pytest.approx(expected, abs=0.005)


def test_the_package_imports_nothing_heavy() -> None:
    heavy = {"numpy", "scipy", "pandas", "pyarrow", "duckdb", "ibis", "pydantic", "altair"}
    code = f"import sys, promptarena, promptarena.cli.main; print(sorted({heavy!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["init", "schema", "plan", "analyze", "duel", "demo"])
def test_every_command_explains_itself(arena: Arena, command: str) -> None:
    outcome = arena(command, "--help")
    assert outcome.status == 0
    assert "Usage" in outcome.out


def test_the_module_is_the_command(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "promptarena", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert answer.stdout.startswith("promptarena ")
