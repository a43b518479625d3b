from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "event-log.md"


def test_the_pages_examples_run_in_the_order_in_which_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = []
    for language, code in re.findall(r"```(python|sql)\n(.*?)```", _PAGE.read_text(), re.DOTALL):
        if language == "python":
            exec(compile(code, str(_PAGE), "exec"), {})
        else:
            with duckdb.connect() as connection:
                for statement in code.split(";\n"):
                    rows = connection.sql(statement) if statement.strip() else None
                    answers += rows.fetchall() if rows is not None else []
    assert capsys.readouterr().out == "1 sealed segment\n1 call\n"
    assert answers == [("support-bot", 1, 820.0)]


def test_every_proof_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", _PAGE.read_text()))
    assert len(named) >= 5
    assert {name for name in named if not (Path(__file__).parent / f"{name}.py").exists()} == set()
