"""Datasets, outputs and verdicts on file: what is read, and everything that can be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptarena.definitions.checks import OutputCheck
from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.duel import OutputsSource
from promptarena.definitions.recorded_judge import RecordedVerdicts
from promptarena.errors import DataError
from promptarena.evaluation.checks import prepare_check
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset, load_dataset
from promptarena.evaluation.recorded import (
    FAILED,
    MISSING,
    NOT_APPLICABLE,
    PASSED,
    Verdicts,
    check_outputs,
    load_verdicts,
)


def said(error: pytest.ExceptionInfo[DataError], folder: Path) -> list[str]:
    return [str(problem).removeprefix(f"{folder}/") for problem in error.value.problems]


def dataset(folder: Path, content: str, name: str = "d.csv", **declared: Any) -> Dataset:
    (folder / name).write_text(content, encoding="utf-8")
    columns = declared.pop("columns", ())
    return load_dataset(DatasetSource(file=name, **declared), folder, columns)


def three_cases() -> Dataset:
    return Dataset(Path("d.csv"), {"1": 0, "2": 1, "3": 2}, {"answer": ["x", None, "z"]})


def test_cases_are_numbered_in_the_order_of_the_file_and_only_needed_columns_are_kept(tmp_path: Path) -> None:
    found = dataset(tmp_path, "- {id: 7, q: a, e: 1.0}\n- {id: b, q: c}\n", "d.yaml", columns=("e",))
    assert found.index == {"7": 0, "b": 1}
    assert found.columns == {"e": ["1", None]}


@pytest.mark.parametrize(
    ("content", "declared", "problems"),
    [
        ("", {}, ["d.csv: The file holds no records that can be read."]),
        ("id,q\n", {}, ["d.csv: The file holds no records that can be read."]),
        (
            "qid,q\n1,a\n",
            {},
            ["d.csv: (id): There is no column 'id'; found: `qid`, `q`. Did you mean `qid`?"],
        ),
        (
            "id,q\n1,a\n1,b\n,c\n",
            {},
            [
                "d.csv:3 (id): The case '1' is there twice; the first is on line 2. Every case needs an id",
                "d.csv:4 (id): The id is missing.",
            ],
        ),
        (
            "id,q\n1,\n2, \n",
            {"input": "q"},
            ["d.csv:2 (q): The case has no input", "d.csv:3 (q): The case has no"],
        ),
        ("id,q\n1,a\n", {"input": "text"}, ["d.csv: (text): There is no column 'text'"]),
        ("id,q\n1,a\n", {"where": {"q": ("b",)}}, ["d.csv: (q): No record has `b` in 'q'; found: `a`."]),
        (
            "id;q\n1;a\n",
            {},
            ["d.csv: (id): There is no column 'id'; found: `id;q`. Its cells are parted by `;`"],
        ),
        ("id,q\n1,a\n", {"where": {"r": ("b",)}}, ["d.csv: (r): There is no column 'r'"]),
        ("id,q\n1,a\n", {"columns": ("expected",)}, ["d.csv: (expected): There is no column 'expected'"]),
    ],
)
def test_what_is_wrong_with_a_dataset_is_told(
    tmp_path: Path, content: str, declared: dict[str, Any], problems: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        dataset(tmp_path, content, **declared)
    found = [text.replace("d.csv (", "d.csv: (") for text in said(caught, tmp_path)]
    assert len(found) == len(problems)
    for text, expected in zip(found, problems, strict=True):
        assert text.startswith(expected)


def test_an_id_that_is_a_structure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither text nor a number"):
        dataset(tmp_path, '{"id": [1]}\n{"id": 2}\n', "d.jsonl")


def outputs(
    folder: Path, content: str, *checks: dict[str, Any], name: str = "o.jsonl", **declared: Any
) -> Any:
    (folder / name).write_text(content, encoding="utf-8")
    cases = three_cases()
    prepared = [prepare_check(OutputCheck.model_validate(check), cases, folder) for check in checks]
    problems = DataProblems()
    found = check_outputs(OutputsSource(file=name, **declared), folder, cases, prepared, problems)
    problems.raise_any()
    return found.results, found.without


def test_outputs_are_checked_case_by_case(tmp_path: Path) -> None:
    content = '{"id": 3, "output": "z"}\n{"id": "1", "output": "no"}\n{"id": 2, "output": {"b": 1, "a": 2}}\n'
    results, without = outputs(
        tmp_path,
        content,
        {"equals": {"column": "answer"}},
        {"json-schema": {"type": "object"}},
        {"length": 2},
    )
    assert without == 0
    assert results.tolist() == [
        [FAILED, NOT_APPLICABLE, PASSED],
        [FAILED, PASSED, FAILED],
        [PASSED, FAILED, PASSED],
    ]


def test_null_and_absent_outputs_are_missing_and_an_empty_one_is_an_output(tmp_path: Path) -> None:
    results, without = outputs(
        tmp_path, '{"id": 1, "output": null}\n{"id": 2, "output": ""}\n', {"length": 9}
    )
    assert without == 2
    assert results.tolist() == [[MISSING, PASSED, MISSING]]


def test_what_is_known_of_a_call_stands_in_columns_of_its_name_and_what_is_not_known_fails_nothing(
    tmp_path: Path,
) -> None:
    calls = '[{"name": "find"}]'
    content = (
        f'{{"id": 1, "output": "a", "latency_ms": 900, "cost_usd": "0.5", "tool_calls": {calls}}}\n'
        f'{{"id": 2, "output": "a", "latency_ms": "1100", "finish_reason": "length", "tool_calls": "[]"}}\n'
        f'{{"id": 3, "output": "a", "latency_ms": null, "tool_calls": ""}}\n'
    )
    checks: list[dict[str, Any]] = [
        {"latency": 1000},
        {"cost": 1},
        {"not-finish-reason": "length"},
        {"tool-calls": "find"},
    ]
    results, _ = outputs(tmp_path, content, *checks)
    assert results.tolist() == [
        [PASSED, FAILED, NOT_APPLICABLE],
        [PASSED, NOT_APPLICABLE, NOT_APPLICABLE],
        [NOT_APPLICABLE, FAILED, NOT_APPLICABLE],
        [PASSED, FAILED, NOT_APPLICABLE],
    ]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('"latency_ms": "fast"', "o.jsonl:1 (latency_ms): Expected a number of 0 or more; found 'fast'."),
        ('"cost_usd": -1', "o.jsonl:1 (cost_usd): Expected a number of 0 or more; found '-1'."),
        ('"ttft_ms": [1]', "o.jsonl:1 (ttft_ms): Expected a number of 0 or more; found [1]."),
        ('"tool_calls": "find("', "o.jsonl:1 (tool_calls): Tool calls are a list of mappings"),
        ('"tool_calls": ["find"]', "o.jsonl:1 (tool_calls): Tool calls are a list of mappings"),
    ],
)
def test_what_is_no_such_fact_is_told(tmp_path: Path, cell: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        outputs(tmp_path, f'{{"id": 1, "output": "a", {cell}}}\n', {"latency": 1})
    [found] = [text.removeprefix(f"{tmp_path}/") for text in map(str, caught.value.problems)]
    assert found.startswith(said)


def test_one_file_may_hold_the_outputs_of_several_variants(tmp_path: Path) -> None:
    content = "id,who,output\n1,a,long text\n1,b,x\n2,b,y\n"
    results, without = outputs(tmp_path, content, {"length": 1}, name="o.csv", where={"who": ("b",)})
    assert (results.tolist(), without) == ([[PASSED, PASSED, MISSING]], 1)


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (
            '{"id": 1, "output": "a"}\n{"id": 9, "output": "a"}\n',
            ["o.jsonl:2 (id): The case '9' is not in the"],
        ),
        (
            '{"id": 1, "output": "a"}\n{"id": 1, "output": "b"}\n',
            ["o.jsonl:2 (id): The case '1' has two outputs; the first is on line 1."],
        ),
        ('{"id": 1, "text": "a"}\n', ["o.jsonl (output): There is no column 'output'; found: `id`, `text`."]),
    ],
)
def test_what_is_wrong_with_outputs_is_told(tmp_path: Path, content: str, problems: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        outputs(tmp_path, content, {"length": 3})
    found = said(caught, tmp_path)
    assert len(found) == len(problems)
    for text, expected in zip(found, problems, strict=True):
        assert text.startswith(expected)


def test_a_pattern_without_end_is_told_once(tmp_path: Path) -> None:
    content = "".join(f'{{"id": {case}, "output": "{"a" * 60}b"}}\n' for case in (1, 2, 3))
    with pytest.raises(DataError) as caught:
        outputs(tmp_path, content, {"regex": "(a+)+$"})
    assert len(said(caught, tmp_path)) == 1
    assert "takes too long on this output" in said(caught, tmp_path)[0]


def verdicts(
    folder: Path, content: str, names: tuple[str, ...] = ("old", "new"), **declared: Any
) -> Verdicts:
    (folder / "v.csv").write_text(content, encoding="utf-8")
    problems = DataProblems()
    source = RecordedVerdicts.model_validate({"file": "v.csv", **declared})
    found = load_verdicts(source, folder, three_cases(), names, problems)
    problems.raise_any()
    return found


def test_a_verdict_names_a_position_or_a_variant_and_is_else_unscored(tmp_path: Path) -> None:
    rows = ["first", "B", "Tie", "new", "old", "", "I cannot say", "1", "2", "draw"]
    content = "id,first,second,verdict\n" + "".join(f"1,old,new,{row}\n" for row in rows)
    found = verdicts(tmp_path, content)
    assert found.scored.tolist() == [True, True, True, True, True, False, False, True, True, True]
    assert found.first_score[found.scored].tolist() == [1, 0, 0.5, 0, 1, 1, 0, 0.5]
    assert found.undeclared == {"I cannot say": 1}


def test_declared_values_and_columns_are_used(tmp_path: Path) -> None:
    content = "j,q,a,b,score\nx,1,old,new,3\nx,2,new,old,1\ny,1,old,new,9\nx,3,old,new,2\n"
    found = verdicts(
        tmp_path,
        content,
        id="q",
        first="a",
        second="b",
        verdict="score",
        values={"first": 1, "second": 2, "tie": 3},
        where={"j": "x"},
    )
    assert found.case.tolist() == [0, 1, 2]
    assert found.first.tolist() == [0, 1, 0]
    assert found.first_score.tolist() == [0.5, 1, 0]
    assert bool(np.all(found.scored))


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        (
            "1,old,newer,first\n",
            ["v.csv:2 (second): There is no variant 'newer'; declared: `old`, `new`. Did you"],
        ),
        ("1,old,old,first\n", ["v.csv:2: 'old' is compared with itself."]),
        ("9,old,new,first\n", ["v.csv:2 (id): The case '9' is not in the dataset d.csv."]),
        ("1,old,new,third\n", ["v.csv:2 (verdict): The verdict names 'third', who is not one of the two."]),
        (
            "1,old,new,X\n1,new,old,Y\n2,old,new,X\n2,new,old,first\n",
            ["v.csv (verdict): Most verdicts are none of the declared values; found: `X`, `Y`."],
        ),
    ],
)
def test_what_is_wrong_with_verdicts_is_told(tmp_path: Path, rows: str, problems: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        verdicts(tmp_path, "id,first,second,verdict\n" + rows, ("old", "new", "third"))
    found = said(caught, tmp_path)
    assert len(found) == len(problems)
    for text, expected in zip(found, problems, strict=True):
        assert text.replace("`old`, `new`, `third`", "`old`, `new`").startswith(expected)


def test_a_variant_missing_in_some_rows_only_is_told_of_there(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(
        '{"id": 1, "first": "old", "second": "new", "verdict": "tie"}\n'
        '{"id": 2, "first": "old", "verdict": "tie"}\n'
    )
    problems = DataProblems()
    load_verdicts(RecordedVerdicts(file="v.jsonl"), tmp_path, three_cases(), ("old", "new"), problems)
    with pytest.raises(DataError, match="2 \\(second\\): The variant is missing") as caught:
        problems.raise_any()
    assert len(caught.value.problems) == 1


def test_columns_that_are_not_there_are_each_told_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        verdicts(tmp_path, "id,a,b,winner\n" + "1,old,new,tie\n" * 3)
    assert [text.split(";")[0] for text in said(caught, tmp_path)] == [
        "v.csv (first): There is no column 'first'",
        "v.csv (second): There is no column 'second'",
        "v.csv (verdict): There is no column 'verdict'",
    ]
