"""`arena import`: evaluations written for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.options import AsJson

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    imports = typer.Typer(help="Make duels of evaluations written for other tools.", no_args_is_help=True)
    imports.command("promptfoo")(promptfoo)
    app.add_typer(imports, name="import")


def promptfoo(
    file: Annotated[Path, typer.Argument(help="promptfooconfig.yaml, or the same in JSON.")],
    to: Annotated[
        Path, typer.Option("--to", help="The folder that the duel goes into.", metavar="FOLDER")
    ] = Path("promptfoo-import"),
    as_json: AsJson = False,
) -> None:
    """Write a duel and its dataset of a configuration; what is not carried over is listed by line."""
    from promptarena.cli.import_rendering import print_import
    from promptarena.evaluation.promptfoo import import_promptfoo

    print_import(import_promptfoo(file, to), as_json=as_json)
