"""What a command costs before it does anything, beside the libraries that draw its help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.claim import Claim, take_turns

_LIBRARIES = [sys.executable, "-c", "import typer, typer.rich_utils"]
_PACKAGE = [sys.executable, "-c", "import promptarena"]
_HELP = [str(Path(sys.executable).parent / "arena"), "--help"]


def run() -> Iterator[Claim]:
    """Time fresh processes."""
    for name, command, target in (("import promptarena", _PACKAGE, 0.5), ("arena --help", _HELP, 2.0)):
        yield take_turns(
            name,
            lambda command=command: _start(command),  # type: ignore[misc]
            lambda: _start(_LIBRARIES),
            other_name="import typer, its help",
            target=target,
            rounds=11,
        )


def _start(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
