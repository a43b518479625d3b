"""`arena schema`: what editors need to complete and check definition files."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(schema)


def schema(
    kind: Annotated[str, typer.Argument(help="project, experiment, metrics or duel.")] = "experiment",
) -> None:
    """Print the JSON Schema of a definition file."""
    from promptarena.definitions.schema import json_schema

    typer.echo(json.dumps(json_schema(kind), indent=2))
