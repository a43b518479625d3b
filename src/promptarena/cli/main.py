"""The `arena` command: parse, call one service, render. Each command group is a module of its own.

Nothing heavy is imported here: `arena --help` must answer at once, and on an installation without extras.
"""

from __future__ import annotations

import sys
from typing import Annotated, Final

import typer

from promptarena import __version__
from promptarena.cli import (
    analyze,
    calibrate,
    demo,
    duel,
    erase,
    events,
    golden,
    importing,
    init,
    lifecycle,
    off_policy,
    plan,
    provider,
    readout,
    reallocate,
    schema,
    simulate,
    standing,
)
from promptarena.cli.failures import report_exit, report_failure

__all__ = ["app", "main"]

_ABOUT: Final = (
    "Decide whether a change to an LLM feature should receive traffic.\n\n"
    "A file of outcomes becomes a verdict with [bold]arena analyze[/bold], two sets of recorded answers with "
    "[bold]arena duel[/bold]; [bold]arena plan[/bold] says how much data it takes. "
    "Begin with [bold]arena demo[/bold].\n\n"
    "Exit status: 0 done, pass or ship; 1 fail, hold or harmful; 2 usage or definition error; 3 inconclusive "
    "or continue; 4 invalid or could not be completed. A verdict sets it only with [bold]--check[/bold]."
)

app = typer.Typer(
    name="arena",
    help=_ABOUT,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for register in (
    init.register,
    schema.register,
    plan.register,
    simulate.register,
    analyze.register,
    duel.register,
    calibrate.register,
    lifecycle.register,
    standing.register,
    readout.register,
    reallocate.register,
    off_policy.register,
    events.register,
    golden.register,
    importing.register,
    erase.register,
    demo.register,
    provider.register,
):
    register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"promptarena {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script: every failure becomes one clear message and the right exit status."""
    as_json = "--json" in sys.argv
    try:
        try:
            app()
        except SystemExit as left:
            report_exit(left, as_json=as_json)
    except Exception as error:  # the one place where anything at all may arrive
        sys.exit(report_failure(error, as_json=as_json))
