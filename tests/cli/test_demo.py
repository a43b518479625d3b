"""`arena demo` as a user calls it; the stories themselves are tested in tests/demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Arena

from promptarena.demo.provider import SimulatedProvider


def test_the_short_story_needs_no_provider(arena: Arena, tmp_path: Path) -> None:
    outcome = arena("demo", "short", "--recorded")
    assert outcome.status == 0
    assert "synthetic" in outcome.out
    assert (tmp_path / "short" / "verdict.html").exists()


def test_a_provider_of_ones_own_is_used(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "right")
    with SimulatedProvider(pace=0, key="right") as provider:
        outcome = arena(
            "demo", "mine", "--base-url", provider.base_url, "--model", "sim-blank", "--key-env", "SHOP_KEY"
        )
    assert outcome.status == 0
    assert f"The answers are those of sim-blank at {provider.base_url}" in " ".join(outcome.out.split())
    assert "The gate does not pass" in outcome.out
    assert f"base_url: {provider.base_url}" in (tmp_path / "mine" / "arena.yaml").read_text()
    assert "right" not in (tmp_path / "mine" / "arena.yaml").read_text()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--base-url", "http://127.0.0.1:9/v1"], "--base-url and --model together"),
        (["--model", "gpt-9"], "--base-url and --model together"),
        (
            ["--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--key-env", "NO_SUCH_KEY"],
            "NO_SUCH_KEY is not set",
        ),
        (["--daily", "0"], "--daily"),
    ],
)
def test_what_cannot_be_told_is_one_message(arena: Arena, flags: list[str], says: str) -> None:
    outcome = arena("demo", "x", *flags)
    assert outcome.status == 2
    assert says in outcome.err


def test_a_folder_with_something_else_in_it_is_left_alone(arena: Arena, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    outcome = arena("demo", ".")
    assert outcome.status == 2
    assert "not a folder of the demonstration" in outcome.err
    assert (tmp_path / "notes.txt").read_text() == "mine"
