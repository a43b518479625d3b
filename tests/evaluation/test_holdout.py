"""A sealed holdout: only the gate opens it, and every opening is on record before its answer is told."""

from __future__ import annotations

import json
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import pytest

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.duel_readout import GateStatus
from promptarena.errors import DataError, StorageError
from promptarena.evaluation.duel import run_duel
from promptarena.evaluation.holdout import HoldoutLedger, reuse_note


def duel(folder: Path, *, sealed_cases: int = 200, overlap: bool = False) -> Path:
    """Of the open cases the new variant says what it must in none, of the sealed ones in all."""
    seen = [f"s{number}" for number in range(20)]
    sealed = [f"h{number}" for number in range(sealed_cases)]
    for name, ids in (("open", seen), ("sealed", [*sealed, *(seen[:1] if overlap else [])])):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"id": case, "q": "?"}) + "\n" for case in ids)
        )
    for name in ("control", "treatment"):
        rows = [
            {"id": case, "output": "yes" if name == "treatment" and case in sealed else "no"}
            for case in (*seen, *sealed)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "duel.yaml"
    path.write_text(
        "duel: sealed\ndataset: {file: open.jsonl, input: q, holdout: sealed.jsonl}\n"
        "variants: {control: {outputs: control.jsonl}, treatment: {outputs: treatment.jsonl}}\n"
        "checks: [{equals: 'yes'}]\ngate: {checks: {all: {above: 0}}}\n"
    )
    return path


def test_a_duel_looks_at_the_open_cases_and_leaves_the_gate_unanswered(tmp_path: Path) -> None:
    found = run_duel(duel(tmp_path))
    assert (found.cases, found.gate, found.holdout_openings) == (20, None, None)
    assert found.checks[0].rates["treatment"].pass_rate == 0
    assert "stayed sealed" in found.notes[-1]
    assert not (tmp_path / ".arena").exists()


def test_the_gate_decides_on_the_sealed_cases_alone_and_says_how_often_it_did(tmp_path: Path) -> None:
    path = duel(tmp_path)
    first = run_duel(path, open_holdout=True)
    assert (first.cases, first.holdout_openings) == (200, 1)
    assert first.gate is not None
    assert first.gate.status is GateStatus.PASS
    assert first.gate.reasons[-1] == "the holdout was opened for the first time"
    for _ in range(2):
        found = run_duel(path, open_holdout=True)
    assert found.holdout_openings == 3
    assert found.gate is not None
    assert "opened 3 times" in found.gate.reasons[-1]
    assert "up to 7.5%" in found.notes[-1]


def test_other_cases_start_a_count_of_their_own_and_another_layout_does_not(tmp_path: Path) -> None:
    path = duel(tmp_path)
    run_duel(path, open_holdout=True)
    sealed = tmp_path / "sealed.jsonl"
    sealed.write_text("\n\n".join(reversed(sealed.read_text().splitlines())))
    assert run_duel(path, open_holdout=True).holdout_openings == 2
    duel(tmp_path, sealed_cases=150)
    assert run_duel(path, open_holdout=True).holdout_openings == 1


def test_the_count_is_kept_in_the_project_that_the_duel_lies_in(tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(
        "providers: {}\n"
    )  # wrong in itself, and still where things are kept
    (tmp_path / "duels").mkdir()
    run_duel(duel(tmp_path / "duels"), open_holdout=True)
    assert (tmp_path / ".arena" / "holdout-openings.jsonl").exists()


def test_a_case_in_both_parts_is_refused_and_nothing_is_counted(tmp_path: Path) -> None:
    path = duel(tmp_path, overlap=True)
    for sealed in (False, True):
        with pytest.raises(DataError, match="in the dataset and in its holdout"):
            run_duel(path, open_holdout=sealed)
    assert not (tmp_path / ".arena").exists()


def test_a_run_that_goes_on_opened_it_once(tmp_path: Path) -> None:
    ledger, clock = HoldoutLedger(tmp_path), ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    assert [ledger.open("v", "d", run, clock) for run in ("a", "a", "b", "a")] == [1, 1, 2, 2]
    assert (ledger.openings("v"), ledger.openings("other")) == (2, 0)


def _open_often(folder: Path, worker: int) -> None:
    ledger, clock = HoldoutLedger(folder), ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    for number in range(10):
        ledger.open("v", "d", f"{worker}-{number}", clock)


def test_openings_by_several_processes_are_all_counted(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        list(pool.map(_open_often, [tmp_path] * 3, range(3)))
    assert HoldoutLedger(tmp_path).openings("v") == 30


def test_where_it_cannot_be_counted_it_stays_sealed(tmp_path: Path) -> None:
    path = duel(tmp_path)
    (tmp_path / ".arena").write_text("a file in the folder's place")
    with pytest.raises(StorageError, match="stays sealed"):
        run_duel(path, open_holdout=True)
    (tmp_path / ".arena").unlink()
    (tmp_path / ".arena").mkdir()
    (tmp_path / ".arena" / "holdout-openings.jsonl").write_text('{"holdout": "x"}\n{"hold')
    with pytest.raises(StorageError, match=r"jsonl:2: The record .* is damaged"):
        run_duel(path, open_holdout=True)


@pytest.mark.parametrize(
    ("openings", "said"),
    [(2, "up to 5%"), (3, "up to 7.5%"), (4, "up to 10% .*; it is used up"), (99, "100%")],
)
def test_the_warning_grows_with_the_openings(openings: int, said: str) -> None:
    assert re.search(said, reuse_note(openings, 0.025))
