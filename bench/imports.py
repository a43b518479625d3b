"""What a command costs before it does anything, beside the libraries that draw its help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.claim import Claim, take_turns

_LIBRARIES = [sys.executable, "-c", "import typer, rich"]
_PACKAGE = [sys.executable, "-c", "import promptarena"]
_HELP = [str(Path(sys.executable).parent / "arena"), "--help"]


def run() -> Iterator[Claim]:
    """Time fresh processes."""
    for name, command in (("import promptarena", _PACKAGE), ("arena --help", _HELP)):
        yield take_turns(
            name,
            lambda command=command: _start(command),  # type: ignore[misc]
            lambda: _start(_LIBRARIES),
            other_name="import typer, rich",
            target=3.0,
            rounds=11,
        )


def _start(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
