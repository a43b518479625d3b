"""`arena calibrate`: a judge held against people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.options import AsJson, Html, Markdown

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(calibrate)


def calibrate(
    judge: Annotated[str, typer.Argument(help="The judge's name, or its definition (YAML).")],
    judgments: Annotated[
        Path,
        typer.Option(
            help="What the judge said: id, variant, axis, score; or id, first, second, verdict.",
            metavar="FILE",
        ),
    ],
    labels: Annotated[
        Path, typer.Option(help="What people said, in the same form; with several, a rater.", metavar="FILE")
    ],
    threshold: Annotated[
        float, typer.Option(help="What the lower bound of the agreement must reach.", min=0, max=1)
    ] = 0.8,
    within: Annotated[
        float, typer.Option(help="How far a score may be from people's mean and still agree.", min=0)
    ] = 0.5,
    control: Annotated[
        str | None, typer.Option(help="The variant that differences and win rates are taken from.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit status 0 where the judge is enabled, else 1.")
    ] = False,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Hold a judge against people: agreement, whom it favours, and whether it may decide.

    A judge is enabled where the lower bound of its agreement reaches the threshold and its bias does not
    differ between variants. Files are CSV, JSON lines or YAML.
    """
    from promptarena.cli.rendering import refuse_overwriting, render_calibration
    from promptarena.evaluation.calibration.calibrate import calibrate as run
    from promptarena.evaluation.calibration.policy import Policy

    refuse_overwriting(html, markdown, [judgments, labels])
    policy = Policy(threshold=threshold, within=within, control=control)
    found = run(judge, judgments, labels, policy)
    raise typer.Exit(render_calibration(found, as_json=as_json, html=html, markdown=markdown, check=check))
