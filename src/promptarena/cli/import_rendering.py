"""What an import made and left, and what a dataset gained, for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from promptarena.evaluation.golden import Added
    from promptarena.evaluation.promptfoo import Imported

__all__ = ["print_added", "print_import"]


def print_import(made: Imported, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        typer.echo(json.dumps(asdict(made), indent=2, default=str))
        return
    typer.echo(
        f"{made.cases:,} cases, {len(made.variants)} variants ({', '.join(made.variants)}), "
        f"{made.checks:,} checks: {made.duel}, {made.dataset}"
    )
    if made.left:
        typer.echo(f"Not carried over, or not the same here ({len(made.left)}):")
        for problem in made.left:
            typer.echo(f"  {problem}")
    typer.echo(f"Look it over, then: arena duel {made.duel}")


def print_added(added: Added, *, as_json: bool) -> None:
    """Print what was added to a dataset."""
    if as_json:
        typer.echo(json.dumps(asdict(added), indent=2, default=str))
        return
    typer.echo(f"Cases added to {added.dataset}: {len(added.added):,}")
    if added.known:
        typer.echo(f"In it already: {len(added.known):,}")
    for request in added.without_content:
        typer.echo(f"{request}: nothing is kept of it (not sampled, too old, erased, or no such request)")
