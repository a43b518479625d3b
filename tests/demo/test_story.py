"""The demonstration tells its story, owns up to being made up, and its interval holds the truth it was drawn with."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from promptarena.definitions.readout import Status
from promptarena.demo.conversations import RESOLUTION_EFFECT, write_conversations
from promptarena.demo.story import tell
from promptarena.errors import ArenaError


def test_the_story_ends_in_a_verdict_and_a_page(tmp_path: Path) -> None:
    printed = io.StringIO()
    readout = tell(tmp_path / "demo", Console(file=printed, width=100))
    assert readout.verdict.status is Status.SHIP
    assert readout.verdict.preregistered
    assert "</html>" in (tmp_path / "demo" / "verdict.html").read_text()
    text = printed.getvalue()
    assert "synthetic" in text
    assert "PASS" in text
    assert "holds it" in text


def test_conversations_are_the_same_for_the_same_seed_and_have_the_effect_they_claim(tmp_path: Path) -> None:
    first, again = tmp_path / "a.csv", tmp_path / "b.csv"
    write_conversations(first, 60_000, seed=7)
    write_conversations(again, 60_000, seed=7)
    assert first.read_bytes() == again.read_bytes()
    rows = list(csv.DictReader(first.open()))
    units: Counter[str] = Counter(row["variant"] for row in rows)
    resolved: Counter[str] = Counter(row["variant"] for row in rows if row["resolved"] == "1")
    rates = {variant: resolved[variant] / units[variant] for variant in units}
    assert rates["control"] == pytest.approx(0.60, abs=0.01)
    assert rates["treatment"] - rates["control"] == pytest.approx(RESOLUTION_EFFECT, abs=0.012)
    assert {row["device"] for row in rows} == {"phone", "desktop"}
    assert len({row["started_at"][:10] for row in rows}) == 28


def test_a_folder_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ArenaError, match="cannot be written"):
        tell(tmp_path / "taken", Console(file=io.StringIO()))
