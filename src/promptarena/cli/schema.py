"""`arena schema`: what editors need to complete and check definition files."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from promptarena.errors import UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(schema)


def schema(
    kind: Annotated[str, typer.Argument(help="project, experiment, metrics, duel or judge.")] = "experiment",
) -> None:
    """Print the JSON Schema of a definition file."""
    from promptarena.definitions.schema import KINDS
    from promptarena.definitions.schema import schema as json_schema
    from promptarena.definitions.suggestion import did_you_mean, listed

    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f"There are {listed(KINDS)}."
        raise UsageError(f"`{kind}` is not a kind of definition.", hint=hint)
    typer.echo(json.dumps(json_schema(kind), indent=2))
