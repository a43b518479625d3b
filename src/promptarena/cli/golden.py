"""`arena golden`: golden datasets out of real traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.log_access import LogOption, log_to_read
from promptarena.cli.options import AsJson

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    golden = typer.Typer(help="Make golden datasets of real traffic.", no_args_is_help=True)
    golden.command("add")(add)
    app.add_typer(golden, name="golden")


def add(
    dataset: Annotated[Path, typer.Argument(help="The dataset, a .jsonl file; made where there is none.")],
    request: Annotated[
        list[str] | None, typer.Option(help="This request; may be said again.", metavar="ID")
    ] = None,
    measurement: Annotated[
        str | None,
        typer.Option(help="Requests, or conversations, of which this was measured.", metavar="NAME"),
    ] = None,
    least: Annotated[float | None, typer.Option("--min", help="With at least this value.")] = None,
    most: Annotated[float | None, typer.Option("--max", help="With at most this value.")] = None,
    feature: Annotated[str | None, typer.Option(help="Of this feature.", metavar="NAME")] = None,
    since: Annotated[
        str | None, typer.Option(help="From this moment on, or so long ago (2h, 7d).", metavar="WHEN")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many, the newest.", min=1, max=10_000)] = 20,
    id_: Annotated[str, typer.Option("--id", help="The dataset's column of ids.")] = "id",
    input_: Annotated[str, typer.Option("--input", help="Its column of inputs.")] = "input",
    output: Annotated[str, typer.Option(help="The column for what was answered.")] = "output",
    context: Annotated[str, typer.Option(help="Its column of source documents.")] = "context",
    log: LogOption = None,
    as_json: AsJson = False,
) -> None:
    """Append requests of the log to a dataset: redacted, each once, with where they come from.

    What was answered is no reference: read the cases, and write what should have been answered.
    """
    from promptarena.cli.import_rendering import print_added
    from promptarena.definitions.clock import SystemClock
    from promptarena.definitions.project import load_project
    from promptarena.errors import UsageError
    from promptarena.evaluation.golden import Chosen, Columns, add_golden, refuse_without_content
    from promptarena.storage.event_filter import read_since

    if measurement is None and (least is not None or most is not None):
        raise UsageError("--min and --max bound a measurement.", hint="Say which one: --measurement rating.")
    if log is None:
        refuse_without_content(load_project(Path.cwd()))
    now = SystemClock().now()
    chosen = Chosen(
        requests=tuple(request or ()),
        feature=feature,
        measurement=measurement,
        least=least,
        most=most,
        since=read_since(since, now) if since is not None else None,
        limit=limit,
    )
    columns = Columns(id=id_, input=input_, output=output, context=context)
    print_added(add_golden(log_to_read(log).snapshot(), chosen, dataset, columns, now), as_json=as_json)
