"""The page on calibration: its files and its command give what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.cli.conftest import Arena, arena

__all__ = ["arena"]

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "calibrating-judges.md").read_text(encoding="utf-8")


def test_six_of_eight_is_told_to_recalibrate(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    judgments, labels = re.findall(r"```csv\n(.*?)```", _PAGE, re.DOTALL)
    Path("judgments.csv").write_text(judgments)
    Path("labels.csv").write_text(labels)
    command = re.findall(r"```sh\n(.*?)```", _PAGE, re.DOTALL)[0].split()
    monkeypatch.setenv("COLUMNS", "200")
    outcome = arena(*command[1:], "--check", "--json")
    assert outcome.status == 1
    [task] = outcome.json["tasks"]
    assert outcome.json["trust"] == "recalibrate"
    assert task["agreement"]["value"] == 0.75
    low, high = task["agreement"]["interval"]
    assert low == pytest.approx(0.41, abs=0.005)
    assert high == pytest.approx(0.93, abs=0.005)
    assert "6 of 8" in arena(*command[1:]).out
