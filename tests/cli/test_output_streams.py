"""What a real process leaves behind: where its reader goes away, and where its words are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ARENA = (sys.executable, "-m", "promptarena")
_PLAN = ("plan", "--baseline", "0.60", "--mde", "0.05")


def _unread(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run with a standard output that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [*_ARENA, *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
        )
    finally:
        os.close(writer)


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_ARENA, *arguments], capture_output=True, text=True, cwd=folder, check=False)


def _one_sided_duel(folder: Path) -> Path:
    """A duel that the treatment loses."""
    cases = [f"q{number}" for number in range(40)]
    (folder / "golden.jsonl").write_text("".join(json.dumps({"id": each}) + "\n" for each in cases))
    lines = [f"{each},old,new,old\n{each},new,old,old\n" for each in cases]
    (folder / "verdicts.csv").write_text("id,first,second,verdict\n" + "".join(lines))
    path = folder / "duel.yaml"
    path.write_text(
        "duel: tiny\ndataset: golden.jsonl\ncontrol: old\nvariants: {old: {}, new: {}}\n"
        "judge: {recorded: verdicts.csv}\ngate: {win_rate: {above: 0.5}}\n"
    )
    return path


@pytest.mark.parametrize("arguments", [_PLAN, (*_PLAN, "--json"), ("--help",), ("schema", "duel")])
def test_a_reader_who_leaves_is_no_failure(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    outcome = _unread(tmp_path, *arguments)
    assert (outcome.returncode, outcome.stderr) == (0, "")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_gate_fails_even_where_nobody_reads_on(tmp_path: Path, flags: tuple[str, ...]) -> None:
    outcome = _unread(tmp_path, "duel", str(_one_sided_duel(tmp_path)), *flags)
    assert (outcome.returncode, outcome.stderr) == (1, "")


def test_a_failure_keeps_its_status_where_nobody_reads_its_json(tmp_path: Path) -> None:
    outcome = _unread(tmp_path, "duel", "none.yaml", "--json")
    assert outcome.returncode == 2
    assert "none.yaml" in outcome.stderr
    assert "Exception ignored" not in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "command"),
    [
        (("analyze", "x.csv", "--json"), "Missing option", " analyze"),
        (("duel", "--json"), "Missing argument", " duel"),
        (("plan", "--basline", "0.6", "--json"), "No such option", " plan"),
        (("plan", "--power", "much", "--json"), "Invalid value", " plan"),
        (("paln", "--json"), "No such command", "arena"),
    ],
)
def test_wrong_words_are_json_too_where_that_was_asked_for(
    tmp_path: Path, arguments: tuple[str, ...], message: str, command: str
) -> None:
    outcome = _run(tmp_path, *arguments)
    assert outcome.returncode == 2
    (problem,) = json.loads(outcome.stdout)["error"]["problems"]
    assert problem["message"].startswith(message)
    assert problem["hint"].endswith(f"{command} --help`.")
    assert set(problem) == {"message", "file", "line", "column", "field", "hint"}
    assert "Usage:" in outcome.stderr
    assert message in outcome.stderr


def test_wrong_words_without_json_leave_standard_output_alone(tmp_path: Path) -> None:
    outcome = _run(tmp_path, "analyze", "x.csv")
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert "Missing option" in outcome.stderr


def test_a_closed_standard_output_is_no_failure(tmp_path: Path) -> None:
    command = " ".join([*_ARENA, *_PLAN, "--json", ">&-"])
    outcome = subprocess.run(
        ["/bin/sh", "-c", command], stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False
    )
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_ctrl_c_while_a_command_is_still_being_imported_leaves_no_traceback(tmp_path: Path) -> None:
    code = """
import sys
from promptarena.__main__ import main

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "promptarena.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
