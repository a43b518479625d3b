"""`arena duel`: variants compared case by case on a golden dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.options import AsJson, Html, Markdown

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("duel")(duel)


def duel(
    file: Annotated[Path, typer.Argument(help="A duel's definition (YAML).")],
    html: Html = None,
    markdown: Markdown = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Open the sealed holdout, and let the gate decide on it alone.")
    ] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Let code of models run where there is no sandbox for it.")
    ] = False,
    early_stop: Annotated[
        bool, typer.Option("--early-stop", help="End as soon as the gate is decided, at the same error.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare recorded answers by recorded verdicts: win rates, ties, conflicts, a ranking, and the gate.

    With a gate the exit status is its answer: 0 pass, 1 fail, 3 inconclusive, 4 invalid.
    """
    from promptarena.cli.rendering import refuse_overwriting, render_duel
    from promptarena.definitions.duel import load_duel, referenced_files
    from promptarena.evaluation.check_powers import project_powers
    from promptarena.evaluation.duel import run_duel

    if html is not None or markdown is not None:
        refuse_overwriting(html, markdown, [file, *referenced_files(load_duel(file), file.parent)])
    powers = project_powers(file.parent, allow_code=allow_code)
    found = run_duel(file, open_holdout=gate, early_stop=early_stop, powers=powers)
    raise typer.Exit(render_duel(found, as_json=as_json, html=html, markdown=markdown))
