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

    for path in scaffold(folder, force=force):
        typer.echo(f"wrote {path}")
    typer.echo("\nNext: edit arena.yaml, then `arena plan experiments/support-cites-policy.yaml`.")
