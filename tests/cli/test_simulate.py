"""`arena simulate` prints every figure with its error and its meaning, and refuses what it cannot simulate."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Arena
from tests.simulation.designs import design


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    return design(tmp_path / "project", "rate", segments="[tier]").file


def test_it_explains_every_figure(arena: Arena, definition: Path) -> None:
    found = arena("simulate", definition, "--experiments", "6", "--workers", "1", "--html", "page.html")
    assert found.status == 0
    for word in ("false ships", "type I error", "false rollbacks", "power", "coverage", "days to the end"):
        assert word in found.out
    assert "points" in found.out
    assert "What was assumed" in found.out
    assert "<html" in Path("page.html").read_text()


def test_json_is_all_that_is_printed(arena: Arena, definition: Path) -> None:
    flags = ("--experiments", "4", "--workers", "1", "--effect", "0.08", "--daily-units", "90", "--json")
    found = arena("simulate", definition, *flags).json
    assert [scenario["key"] for scenario in found["scenarios"]] == ["null", "asked"]
    assert found["scenarios"][1]["effects"] == {"resolved": 0.08}
    figures = {figure["key"]: figure for figure in found["scenarios"][0]["figures"]}
    assert figures["false_ship"]["promised"] == 0.025
    assert all(figure["meaning"] and figure["error"] is not None for figure in figures.values())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--effect", "much"), "is not an effect"),
        (("--assume", "resolved"), "METRIC=EXPECTED:SD"),
        (("--experiments", "1"), "Monte-Carlo"),
        (("--daily-units", "0"), "--daily-units"),
    ],
)
def test_bad_flags_are_one_clear_message(
    arena: Arena, definition: Path, flags: tuple[str, ...], message: str
) -> None:
    found = arena("simulate", definition, *flags)
    assert found.status == 2
    assert message in found.err
    assert found.out == ""
