"""Every command of the README runs as written, in its order, in one folder."""

from __future__ import annotations

import csv
import json
import random
import re
import shlex
from pathlib import Path

import pytest
from tests.cli.conftest import Arena, arena

from promptarena.demo.conversations import write_conversations

__all__ = ["arena"]  # the fixture

_README = Path(__file__).resolve().parents[2] / "README.md"


def _commands() -> list[list[str]]:
    text = _README.read_text().replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    arena ")]


def _write_files(folder: Path) -> None:
    """What the README takes for granted: a table, conversations, and a duel with its files."""
    rng = random.Random(0)
    with (folder / "outcomes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "arm", "resolved", "latency_ms", "cost", "device", "started_at"])
        for i in range(4_000):
            resolved = int(rng.random() < (0.6 if i % 2 else 0.65))
            row = (
                round(rng.lognormvariate(6, 0.4), 1),
                round(rng.random(), 4),
                "phone" if i % 3 else "desktop",
            )
            writer.writerow(
                [i, "control" if i % 2 else "treatment", resolved, *row, f"2026-03-{2 + i % 14:02d}"]
            )
    write_conversations(folder / "conversations.csv", 2_000)
    [duel] = re.findall(r"```yaml\n(# duel\.yaml\n.*?)```", _README.read_text(), re.DOTALL)
    (folder / "duel.yaml").write_text(duel)
    ids = [f"q{i}" for i in range(20)]
    (folder / "golden.jsonl").write_text(
        "".join(json.dumps({"id": i, "question": "why?"}) + "\n" for i in ids)
    )
    for variant in ("control", "treatment"):
        lines = "".join(json.dumps({"id": i, "output": variant}) + "\n" for i in ids)
        (folder / f"{variant}.jsonl").write_text(lines)
    verdicts = [f"{i},control,treatment,second\n{i},treatment,control,first\n" for i in ids]
    (folder / "verdicts.csv").write_text("id,first,second,verdict\n" + "".join(verdicts))


def test_every_command_of_the_readme_runs(arena: Arena, tmp_path: Path) -> None:
    _write_files(tmp_path)
    commands = _commands()
    assert len(commands) >= 6
    for arguments in commands:
        outcome = arena(*arguments)
        assert outcome.status == 0, f"arena {shlex.join(arguments)}\n{outcome.err}"
    assert (tmp_path / "verdict.html").exists()


@pytest.mark.parametrize(
    "page", [_README, *sorted((_README.parent / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
