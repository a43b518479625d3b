"""The calibration page says what was recorded, and no row is lost or outlives its test."""

from __future__ import annotations

import ast
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.calibration import PAGE, RECORD, ROOT, Bound, Calibration, exists, merge, read_record, render, tidy

_ROW = Calibration("tests/a.py::test_a").record(
    "Boxes", "ten", "coverage", nominal=0.95, observed=0.94, runs=1_000, seed=[3, 4]
)


def test_the_page_is_what_the_record_renders_to() -> None:
    assert PAGE.read_text() == render(read_record(RECORD)), "python -m tests.calibration renders it again"


def test_every_row_is_of_a_test_that_is_there() -> None:
    gone = sorted({row.test for row in read_record(RECORD) if not exists(row.test)})
    assert not gone, "python -m tests.calibration drops their rows"


def test_every_simulation_that_records_has_a_row() -> None:
    recorded = {row.test.split("[")[0] for row in read_record(RECORD)}
    simulations = {
        f"{file.relative_to(ROOT)}::{node.name}"
        for file in ROOT.glob("tests/**/test_*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef)
        if node.name.startswith("test_") and "calibration" in {argument.arg for argument in node.args.args}
    }
    assert len(simulations) > 30
    missing = sorted(simulations - recorded)
    assert not missing, "pytest -m slow --calibrate records them"


def test_no_figure_is_recorded_by_two_tests() -> None:
    keys = [(row.procedure, row.setting, row.figure) for row in read_record(RECORD)]
    assert len(keys) == len(set(keys))


def test_every_promise_was_kept() -> None:
    assert [row for row in read_record(RECORD) if row.kept is False] == []


@pytest.mark.parametrize(
    ("bound", "observed", "kept"),
    [
        ("at most", 0.0706, True),
        ("at most", 0.0708, False),
        ("at most", 0.0, True),
        ("at least", 0.0294, True),
        ("at least", 0.0292, False),
        ("about", 0.0706, True),
        ("about", 0.0292, False),
        ("beside", 0.9, None),
    ],
)
def test_a_promise_is_kept_within_three_monte_carlo_errors(
    bound: Bound, observed: float, kept: bool | None
) -> None:
    row = Calibration("t").record(
        "p", "s", "f", nominal=0.05, observed=observed, runs=1_000, seed=1, bound=bound
    )
    assert row.kept is kept


def _merge_own(args: tuple[int, Path]) -> None:
    number, folder = args
    rows = [replace(_ROW, test=f"t{number}", setting=f"{number}, {k}") for k in range(5)]
    merge(f"t{number}", rows, folder / "record.jsonl", folder / "page.md")


def test_processes_that_record_at_once_lose_no_row(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as pool:
        list(pool.map(_merge_own, [(number, tmp_path) for number in range(40)]))
    rows = read_record(tmp_path / "record.jsonl")
    assert {row.setting for row in rows} == {f"{n}, {k}" for n in range(40) for k in range(5)}
    assert (tmp_path / "page.md").read_text() == render(rows)
    assert {path.name for path in tmp_path.iterdir()} == {"record.jsonl", "page.md"}


def test_a_test_replaces_its_own_rows_and_no_others(tmp_path: Path) -> None:
    files = tmp_path / "record.jsonl", tmp_path / "page.md"
    other = replace(_ROW, test="other", setting="twenty")
    merge(_ROW.test, [_ROW, replace(_ROW, setting="thirty")], *files)
    merge("other", [other], *files)
    merge(_ROW.test, [replace(_ROW, observed=0.951)], *files)
    assert read_record(files[0]) == [other, replace(_ROW, observed=0.951)]


def test_rows_that_a_merge_left_twice_are_one_again(tmp_path: Path) -> None:
    files = tmp_path / "record.jsonl", tmp_path / "page.md"
    row = replace(_ROW, test="tests/docs/test_calibration_page.py::test_every_promise_was_kept")
    merge(row.test, [row], *files)
    files[0].write_text(files[0].read_text() * 2)
    tidy(*files)
    assert read_record(files[0]) == [row]


def test_the_order_is_that_of_the_page_whoever_comes_first(tmp_path: Path) -> None:
    rows = [replace(_ROW, test=f"t{k}", procedure=f"P{k % 2}", setting=f"s{k}") for k in range(4)]
    texts = set()
    for name, order in (("up", rows), ("down", rows[::-1])):
        for row in order:
            merge(row.test, [row], tmp_path / f"{name}.jsonl", tmp_path / f"{name}.md")
        texts.add((tmp_path / f"{name}.jsonl").read_text() + (tmp_path / f"{name}.md").read_text())
    assert len(texts) == 1


def test_a_row_says_what_was_promised_and_found() -> None:
    [line] = [line for line in render([_ROW]).splitlines() if line.startswith("| ten")]
    assert line == "| ten | coverage | 0.95 | 0.94 | 0.0069 | 1,000 | 3, 4 | kept |"


def test_a_figure_without_a_promise_names_none() -> None:
    [line] = [
        line for line in render([replace(_ROW, nominal=None, bound="at least")]).splitlines() if "ten" in line
    ]
    assert line == "| ten | coverage |  | 0.94 | 0.0069 | 1,000 | 3, 4 | for comparison |"


def test_what_is_no_share_needs_its_error_and_nothing_is_recorded_twice() -> None:
    calibration = Calibration("t")
    with pytest.raises(ValueError, match="Monte-Carlo error"):
        calibration.record("p", "s", "days", nominal=None, observed=12.0, runs=10, seed=1)
    days = calibration.record("p", "s", "days", nominal=None, observed=12.0, runs=10, seed=1, error=0.2)
    assert days.kept is None
    with pytest.raises(ValueError, match="recorded twice"):
        calibration.record("p", "s", "days", nominal=None, observed=11.0, runs=10, seed=1, error=0.2)
