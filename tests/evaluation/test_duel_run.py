"""Whole duels from their files: published figures, a small story, short forms, and bad input."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from promptarena.definitions.duel_readout import DuelReadout, GateStatus
from promptarena.errors import ArenaError, DataError, DefinitionError
from promptarena.evaluation.duel import run_duel

BOTH_ORDERS = (("old", "new"), ("new", "old"))


def write_duel(
    folder: Path, *, cases: int = 40, new_wins: int = 30, extra: str = "", suffix: str = "jsonl"
) -> Path:
    """A duel whose first `new_wins` cases the new variant wins in both orders; the old one wins the rest."""
    ids = [f"q{number}" for number in range(cases)]

    def table(name: str, rows: list[dict[str, str]]) -> None:
        if suffix == "jsonl":
            text = "".join(json.dumps(row) + "\n" for row in rows)
        elif suffix == "csv":
            text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)])
        else:
            text = "".join(f"- {json.dumps(row)}\n" for row in rows)
        (folder / f"{name}.{suffix}").write_text(text, encoding="utf-8")

    table("golden", [{"id": case, "input": "Where is my parcel?"} for case in ids])
    for variant, answer in (("old", "I do not know."), ("new", "It comes tomorrow.")):
        table(variant, [{"id": case, "output": answer} for case in ids])
    table(
        "verdicts",
        [
            {"id": case, "first": one, "second": other, "verdict": "new" if number < new_wins else "old"}
            for number, case in enumerate(ids)
            for one, other in BOTH_ORDERS
        ],
    )
    path = folder / "duel.yaml"
    path.write_text(
        f"""\
duel: parcels
dataset: golden.{suffix}
variants: {{old: {{outputs: old.{suffix}}}, new: {{outputs: new.{suffix}}}}}
judge: {{recorded: verdicts.{suffix}}}
{extra}""",
        encoding="utf-8",
    )
    return path


def prd(folder: Path, shared_data: Path, extra: str = "") -> DuelReadout:
    data = shared_data / "judge_prd"
    columns = "id: question_id, output: text"
    lines = [
        f"  {name}: {{outputs: {{file: {data}/generations/answer_{name}.jsonl, {columns}}}}}"
        for name in ("gpt4", "claude", "gpt35", "vicuna-13b", "bard")
    ]
    path = folder / "prd.yaml"
    path.write_text(
        f"""\
duel: vicuna-80
dataset: {{file: {data}/prompts/vicuna_questions.jsonl, id: question_id, input: text}}
variants:
{chr(10).join(lines)}
judge:
  recorded:
    {{file: {data}/ratings.csv, id: q, first: a, second: b, verdict: score,
     values: {{first: 1, second: 2, tie: 3}}, where: {{judge: gpt4}}}}
{extra}""",
        encoding="utf-8",
    )
    return run_duel(path)


def test_the_duels_of_prd_give_the_published_figures(tmp_path: Path, shared_data: Path) -> None:
    found = prd(tmp_path, shared_data)
    judge = found.judge
    assert judge is not None
    assert (judge.verdicts, judge.unscored, judge.repeated) == (1600, 0, 0)
    assert (judge.both_orders, judge.consistent) == (800, 551)
    assert judge.consistent / judge.both_orders == pytest.approx(0.689, abs=5e-4)
    assert (judge.first_both, judge.second_both) == (113, 2)
    assert judge.first_position_rate == pytest.approx(848 / (848 + 512))

    assert found.ranking is not None
    assert {each.variant: round(each.rating, 2) for each in found.ranking.variants} == {
        "gpt4": 1276.07,
        "claude": 1146.46,
        "vicuna-13b": 886.24,
        "gpt35": 881.77,
        "bard": 809.46,
    }
    elos = [each.elo for each in found.ranking.variants]
    assert sum(elos) == pytest.approx(5_000)
    assert elos[0] == max(elos)
    assert elos[-1] == min(elos)
    assert len(found.pairs) == 10
    for pair in found.pairs:
        assert (pair.both_orders, pair.missing, pair.unscored) == (80, 0, 0)
        assert pair.wins + pair.losses + pair.ties == 80
    assert found.notes == ()


def test_the_gate_over_prd_compares_each_system_with_the_control(tmp_path: Path, shared_data: Path) -> None:
    found = prd(tmp_path, shared_data, "control: gpt35\ngate: {win_rate: {above: 0.5}}\n")
    assert found.gate is not None
    status = {each.variant: each.status.value for each in found.gate.conditions}
    # bard wins 41.9%, and its upper bound is 50.1%.
    assert status == {
        "gpt4": "pass",
        "claude": "pass",
        "vicuna-13b": "inconclusive",
        "bard": "inconclusive",
    }
    assert found.gate.status is GateStatus.INCONCLUSIVE


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "yaml"])
def test_every_format_gives_the_same_duel(tmp_path: Path, suffix: str) -> None:
    extra = "checks: [{contains: tomorrow}, {not-contains: not know}]\n"
    extra += "gate: {win_rate: {above: 0.5}, checks: {all: {margin: 5%}}}\n"
    found = run_duel(write_duel(tmp_path, extra=extra, suffix=suffix))
    (pair,) = found.pairs
    assert (found.control, pair.variant, pair.against) == ("old", "new", "old")
    assert (pair.wins, pair.losses, pair.ties, pair.conflicts) == (30, 10, 0, 0)
    assert pair.win_rate == 0.75
    assert pair.interval == pytest.approx((0.5981, 0.8581), abs=1e-4)  # Wilson, 30 of 40
    assert pair.first_position_rate == 0.5
    assert found.ranking is None
    contains = found.checks[0]
    assert (contains.rates["old"].pass_rate, contains.rates["new"].pass_rate) == (0.0, 1.0)
    assert contains.differences["new"].difference == 1.0
    assert found.gate is not None
    assert found.gate.status is GateStatus.PASS


def test_the_readout_is_the_same_whatever_order_the_verdicts_came_in(tmp_path: Path) -> None:
    path = write_duel(tmp_path)
    first = run_duel(path)
    lines = (tmp_path / "verdicts.jsonl").read_text().splitlines()
    (tmp_path / "verdicts.jsonl").write_text("\n".join(reversed(lines)))
    assert run_duel(path) == first


def test_missing_outputs_and_unread_verdicts_are_told_and_counted_against(tmp_path: Path) -> None:
    path = write_duel(
        tmp_path,
        cases=100,
        new_wins=75,
        extra="checks: [{length: 50}]\n"
        "gate: {win_rate: {above: 0.5}, checks: {all: {margin: 10%}}, alpha: 0.05}\n",
    )
    passed = run_duel(path)
    assert passed.gate is not None
    assert passed.gate.status is GateStatus.PASS
    assert passed.confidence == pytest.approx(0.9)

    outputs = (tmp_path / "new.jsonl").read_text().splitlines()
    (tmp_path / "new.jsonl").write_text("\n".join(outputs[:80]))
    text = (tmp_path / "verdicts.jsonl").read_text().splitlines()
    text = [
        line.replace('"verdict": "new"', '"verdict": "Error 500"') if n < 60 else line
        for n, line in enumerate(text)
    ]
    (tmp_path / "verdicts.jsonl").write_text("\n".join(text))
    found = run_duel(path)
    (pair,) = found.pairs
    assert (pair.unscored, pair.missing, pair.wins) == (60, 30, 45)
    assert found.notes[0] == "new has no output for 20 of 100 cases"
    assert "'Error 500' (60)" in found.notes[1]
    assert found.gate is not None
    assert found.gate.status is GateStatus.INCONCLUSIVE


def test_checks_alone_make_a_duel(tmp_path: Path) -> None:
    path = write_duel(tmp_path, extra="checks: [{contains: tomorrow}]\n")
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "judge" not in line))
    found = run_duel(path)
    assert (found.pairs, found.judge, found.gate) == ((), None, None)
    assert found.checks[0].rates["new"].passed == 40


def test_verdicts_alone_make_a_duel(tmp_path: Path) -> None:
    path = write_duel(tmp_path)
    path.write_text(
        path.read_text().replace("{outputs: old.jsonl}", "{}").replace("{outputs: new.jsonl}", "{}")
    )
    assert run_duel(path).pairs[0].wins == 30


def test_one_case_is_a_duel_that_settles_nothing(tmp_path: Path) -> None:
    found = run_duel(write_duel(tmp_path, cases=1, new_wins=1, extra="gate: {win_rate: {}}\n"))
    assert found.gate is not None
    assert (found.pairs[0].win_rate, found.gate.status) == (1.0, GateStatus.INCONCLUSIVE)


def test_problems_of_several_files_come_together(tmp_path: Path) -> None:
    path = write_duel(tmp_path, extra="checks: [{length: 50}]\n")
    (tmp_path / "new.jsonl").unlink()
    with (tmp_path / "old.jsonl").open("a") as file:
        file.write('{"id": "q0", "output": "again"}\n{"id": "q99", "output": "unknown"}\nnot json\n')
    with (tmp_path / "verdicts.jsonl").open("a") as file:
        file.write('{"id": "q0", "first": "old", "second": "newer", "verdict": "tie"}\n')
    with pytest.raises(DataError) as caught:
        run_duel(path)
    found = [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    starts = [
        "old.jsonl:41 (id): The case 'q0' has two outputs; the first is on line 1.",
        "old.jsonl:42 (id): The case 'q99' is not in the dataset golden.jsonl.",
        "old.jsonl:43:1: This is not JSON",
        "new.jsonl: There is no such file.",
        "verdicts.jsonl:81 (second): There is no variant 'newer'; declared: `old`, `new`. Did you",
    ]
    assert len(found) == len(starts)
    for problem, start in zip(found, starts, strict=True):
        assert problem.startswith(start)


def test_a_definition_that_is_not_there_is_a_definition_error(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no such file"):
        run_duel(tmp_path / "none.yaml")


@pytest.mark.parametrize("name", ["golden", "old", "verdicts"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"[]", b"null\n", b"{}\n", b"\n\n\n"])
def test_no_broken_file_gets_past_as_anything_but_a_problem(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = write_duel(tmp_path)
    (tmp_path / f"{name}.jsonl").write_bytes(content)
    with pytest.raises(ArenaError) as caught:
        run_duel(path)
    assert caught.value.exit_status == 2
    assert f"{name}.jsonl" in str(caught.value)


def test_memory_does_not_grow_with_the_length_of_texts(tmp_path: Path) -> None:
    path = write_duel(tmp_path, cases=200, new_wins=100, extra="checks: [{contains: tomorrow}]\n")
    rows = (tmp_path / "new.jsonl").read_text().replace("tomorrow", "tomorrow" + " x" * 50_000)
    (tmp_path / "new.jsonl").write_text(rows)  # 20 MB
    run_duel(path)
    tracemalloc.start()
    run_duel(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
