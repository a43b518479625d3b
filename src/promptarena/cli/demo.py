"""`arena demo`: the whole story on data that was made up for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to write the files of the story.")] = Path(
        "arena-demo"
    ),
) -> None:
    """Plan, duel and analyse a support bot's new prompt; everything in it is synthetic, and says so."""
    from promptarena.demo.story import tell

    tell(folder)
