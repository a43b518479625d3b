"""`arena init`: a project that validates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Where to put it; made if it is not there.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Write a small project: a feature, an experiment, metrics and golden cases."""
    from promptarena.definitions.scaffold import scaffold

    written = scaffold(folder, force=force)
    for path in written:
        typer.echo(f"wrote {path}")
    experiment = next(path for path in written if path.parent.name == "experiments")
    typer.echo(f"\nNext: edit arena.yaml and {experiment}, then run: arena plan {experiment}")
