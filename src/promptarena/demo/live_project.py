"""The files of the live demonstration: a project as a user would write it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from string import Template
from typing import Final

from promptarena.demo.shop import Policy, policies
from promptarena.errors import ArenaError, Location, UsageError

__all__ = ["EXPERIMENT", "FEATURE", "Case", "LiveProject", "golden_cases", "write_project"]

EXPERIMENT: Final = "cite-policy"
FEATURE: Final = "support-bot"
_MARK: Final = ".arena-demo"
"""One of the files of every story; a folder without it is somebody's own."""
_CONTEXTS: Final = (
    "{}",
    "{} I am a little in a hurry.",
    "Hello! {}",
    "{} I have been a customer since 2019, so I hope for a good solution.",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One golden question."""

    id: str
    question: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class LiveProject:
    """Where the files are."""

    root: Path

    @property
    def definition(self) -> Path:
        return self.root / "experiments" / f"{EXPERIMENT}.yaml"

    @property
    def gate(self) -> Path:
        """The duel's result, the evidence of the gate."""
        return self.root / "gate.json"

    @property
    def readout(self) -> Path:
        """The last readout, the evidence of the verdict."""
        return self.root / "readout.json"

    @property
    def page(self) -> Path:
        return self.root / "verdict.html"


def golden_cases() -> list[Case]:
    """Every question of the shop's customers, put in four ways."""
    return [
        Case(f"{policy.name.lower().replace(' ', '-')}-{at}{letter}", context.format(question), policy)
        for policy in policies()
        for at, question in enumerate(policy.asked, start=1)
        for letter, context in zip("abcd", _CONTEXTS, strict=True)
    ]


def write_project(root: Path, *, base_url: str, key_env: str, model: str, judge: str) -> LiveProject:
    """Write the files of the story. What an earlier telling left in this folder is taken away first.

    Raises:
        UsageError: the folder holds something else.
        ArenaError: it cannot be written to.
    """
    if root.exists() and not (root / _MARK).exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(
            "This is not a folder of the demonstration, and it is not empty.",
            where=Location(root),
            hint="Name another one: arena demo FOLDER",
        )
    said = {"base_url": base_url, "key_env": key_env, "model": model, "judge": judge}
    try:
        if root.exists():
            shutil.rmtree(root)
        with as_file(files("promptarena.demo") / "live_files") as source:
            shutil.copytree(source, root)
        for file in (root / "arena.yaml", root / "judges" / "support.yaml"):
            file.write_text(Template(file.read_text(encoding="utf-8")).substitute(said), encoding="utf-8")
        golden = [{"id": case.id, "question": case.question} for case in golden_cases()]
        (root / "golden").mkdir()
        (root / "golden" / "support.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in golden), encoding="utf-8"
        )
    except OSError as error:
        raise ArenaError(
            f"The demonstration cannot be written to {root}: {error.strerror or error}.",
            hint="Name a folder that you may write to: arena demo FOLDER",
        ) from error
    return LiveProject(root)
