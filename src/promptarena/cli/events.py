"""`arena events`: look at the log, follow it, and bring what happened elsewhere into it."""

from __future__ import annotations

from typing import Annotated

import typer

from promptarena.cli.log_access import LogOption, log_to_read, log_to_write
from promptarena.cli.options import AsJson

__all__ = ["register"]

_Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", help="exposure, generation, measurement, content; all but content.", metavar="KIND"
    ),
]
_Experiment = Annotated[
    str | None, typer.Option(help="Exposures and generations of this experiment.", metavar="NAME")
]
_Unit = Annotated[
    str | None, typer.Option(help="About this unit, user, session, conversation or request.", metavar="ID")
]
_Since = Annotated[
    str | None, typer.Option(help="From this moment on, or so long ago (2h, 7d).", metavar="WHEN")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    events = typer.Typer(help="List, follow and import what happened.", no_args_is_help=True)
    events.command("list")(list_events)
    events.command("follow")(follow)
    events.command("counts")(counts)
    events.command("import")(import_file)
    app.add_typer(events, name="events")


def list_events(
    kind: _Kinds = None,
    experiment: _Experiment = None,
    unit: _Unit = None,
    since: _Since = None,
    last: Annotated[int, typer.Option(help="How many.", min=1, max=1_000_000)] = 20,
    log: LogOption = None,
    as_json: AsJson = False,
) -> None:
    """Print the last events by when they happened, newest first; with --json one JSON object a line."""
    from promptarena.cli.event_rendering import print_event
    from promptarena.definitions.clock import SystemClock
    from promptarena.storage.event_filter import read_filter
    from promptarena.storage.event_list import newest_events

    wanted = read_filter(kind or (), experiment, unit, since, SystemClock().now())
    found = newest_events(log_to_read(log).snapshot(), wanted, last)
    for event in found:
        print_event(event, as_json=as_json)
    if not found:
        typer.echo("No event of the log is as asked; `arena events counts` says what there is.", err=True)


def follow(
    kind: _Kinds = None,
    experiment: _Experiment = None,
    unit: _Unit = None,
    log: LogOption = None,
    as_json: AsJson = False,
) -> None:
    """Print events as they come, until Ctrl-C."""
    from promptarena.cli.event_rendering import print_event
    from promptarena.definitions.clock import SystemClock
    from promptarena.storage.event_filter import read_filter

    wanted = read_filter(kind or (), experiment, unit, None, SystemClock().now())
    try:
        for event in log_to_read(log).follow(kinds=wanted.kinds):
            if wanted.matches(event):
                print_event(event, as_json=as_json)
    except KeyboardInterrupt:  # how a person says that they have seen enough
        return


def counts(log: LogOption = None, as_json: AsJson = False) -> None:
    """Count the events of each kind, and the torn, refused, duplicate, late, ahead and erased ones."""
    from promptarena.cli.event_rendering import print_counts
    from promptarena.storage.event_list import events_of_each_kind

    snapshot = log_to_read(log).snapshot()
    print_counts(events_of_each_kind(snapshot), snapshot.counts, as_json=as_json)


def import_file(
    file: Annotated[str, typer.Argument(help="CSV, TSV, JSON lines, Parquet, or FILE.duckdb::TABLE.")],
    kind: Annotated[
        str | None, typer.Option(help="What all rows are; else a column `kind` says it.", metavar="KIND")
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="Which column is a field of another name.", metavar="FIELD=COLUMN"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field that is the same in all rows.", metavar="FIELD=VALUE"),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Column that names an event in its source; the whole row.", metavar="COLUMN"),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of times without one, such as Europe/Berlin.", metavar="ZONE")
    ] = None,
    log: LogOption = None,
    as_json: AsJson = False,
) -> None:
    """Add a file's rows to the log as events: all of them or, where anything is wrong, none.

    Columns are fields of the same name, or by --map; `ts` says when it happened. Importing a file again adds
    nothing.
    """
    from promptarena.cli.event_rendering import print_imported, shown_progress
    from promptarena.storage.event_import import import_events
    from promptarena.storage.import_fields import read_column_map

    said = read_column_map(map_ or (), set_ or (), key or (), kind, timezone)
    with log_to_write(log) as opened, shown_progress(wanted=not as_json) as progress:
        done = import_events(file, said, opened, progress=progress)
    print_imported(done, as_json=as_json)
