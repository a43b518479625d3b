"""`arena readout`: a running experiment's verdict, from its event log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.log_access import LogOption, log_to_read
from promptarena.cli.options import AsJson, Html, Markdown

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("readout")(readout)


def readout(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment that was started.")],
    log: LogOption = None,
    html: Html = None,
    markdown: Markdown = None,
    check: Annotated[
        bool, typer.Option("--check", help="Let the verdict set the exit status (see arena --help).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read an experiment from the event log, take the looks that are due, and give its verdict.

    A look that was taken is recorded and never changes; events that come later are counted, not let in.
    """
    from promptarena.cli.registry_access import opened_registry, registry_file
    from promptarena.cli.rendering import refuse_overwriting, render_interleaving, render_readout
    from promptarena.definitions.clock import SystemClock
    from promptarena.definitions.project import find_project
    from promptarena.definitions.readout import Readout
    from promptarena.errors import UsageError
    from promptarena.rollout.interleaved_readout import read_started

    with opened_registry() as registry:
        if registry is None:
            raise UsageError("Nothing was ever started here.", hint="Begin with `arena start FILE`.")
        reader = log_to_read(log)
        refuse_overwriting(html, markdown, [find_project(Path.cwd()), registry_file(), reader.folder.root])
        found = read_started(registry, reader, experiment, SystemClock().now())
    if isinstance(found, Readout):
        raise typer.Exit(render_readout(found, as_json=as_json, html=html, markdown=markdown, check=check))
    raise typer.Exit(render_interleaving(found, as_json=as_json, html=html, markdown=markdown, check=check))
