"""Where the runs of a judge are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from promptarena.errors import UsageError
from promptarena.wiring import open_judge

JUDGE = "judge: support\nprovider: openai\nmodel: gpt-4o\npairwise: Which one helps more?\n"
PROJECT = "providers: {openai: {}}\nfeatures: {bot: {provider: openai, model: gpt-4o-mini}}\n"


def judge_file(folder: Path) -> Path:
    file = folder / "judges" / "support.yaml"
    file.parent.mkdir()
    file.write_text(JUDGE)
    return file


def test_in_a_project_its_runs_are_taken_wherever_the_judge_lies(tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text(PROJECT)
    assert open_judge(judge_file(tmp_path))[1] == tmp_path / ".arena" / "runs"


def test_without_a_project_the_runs_beside_a_duel_above_the_judge_are_found(tmp_path: Path) -> None:
    file = judge_file(tmp_path)
    assert open_judge(file)[1] == file.parent / ".arena" / "runs"
    (tmp_path / ".arena" / "runs").mkdir(parents=True)
    assert open_judge(file)[1] == tmp_path / ".arena" / "runs"


def test_a_judge_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no judge's definition"):
        open_judge(tmp_path / "support.yaml")
