"""Events as lines on a terminal, and what became of an import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from promptarena.definitions.events import Event, Kind
    from promptarena.storage.event_import import Imported, Progress
    from promptarena.storage.manifest import Counts

__all__ = ["print_counts", "print_event", "print_imported", "shown_progress"]


def print_event(event: Event, *, as_json: bool) -> None:
    """One event as one line, at once, also into a pipe."""
    import msgspec

    sys.stdout.write(f"{msgspec.json.encode(event).decode() if as_json else _line(event)}\n")
    sys.stdout.flush()


def print_counts(kinds: dict[Kind, int], counts: Counts, *, as_json: bool) -> None:
    """How many events there are, and what happened to some."""
    import msgspec

    happened = msgspec.to_builtins(counts)
    if as_json:
        typer.echo(msgspec.json.encode({"events": kinds, "counts": happened}).decode())
        return
    for name, number in {**kinds, **happened}.items():
        typer.echo(f"{name:<12}{number:>14,}")


def print_imported(done: Imported, *, as_json: bool) -> None:
    """What an import did."""
    import msgspec

    from promptarena.definitions.events import EVENT_TYPES
    from promptarena.definitions.suggestion import did_you_mean

    if as_json:
        typer.echo(msgspec.json.encode(done).decode())
        return
    kinds = ", ".join(f"{number:,} of kind {kind}" for kind, number in done.kinds.items())
    rows = (
        "1 row is in the log as an event"
        if done.rows == 1
        else f"{done.rows:,} rows are in the log as events"
    )
    typer.echo(f"{rows}: {kinds}.")
    typer.echo("The same file imported again adds nothing.")
    if done.erased:
        typer.echo(f"{done.erased:,} rows are about somebody who was erased, and were left out.")
    if done.unsampled:
        typer.echo(f"{done.unsampled:,} rows are content that is not kept, by `content` in arena.yaml.")
    if done.unused:
        fields = [
            field
            for kind, declared in EVENT_TYPES.items()
            if kind in done.kinds
            for field in declared.__struct_fields__
        ]
        meant = " ".join(hint for column in done.unused if (hint := did_you_mean(column, fields)))
        typer.echo(f"Columns that were not used: {_plain(', '.join(done.unused))}. {meant}".rstrip())


@contextmanager
def shown_progress(*, wanted: bool) -> Iterator[Progress | None]:
    """A bar on standard error where that is a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        tasks = {stage: bars.add_task(stage, total=1.0) for stage in ("checking", "writing")}
        yield lambda stage, share: bars.update(tasks[stage], completed=share)


def _line(event: Event) -> str:
    moment = event.ts.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    kind = type(event).__name__.lower()
    return f"{moment}Z  {kind:<11}  {_plain('  '.join(_said(event)))}"


def _said(event: Event) -> Iterator[str]:
    """What a person looks for first."""
    from promptarena.definitions.events import Content, Exposure, Generation
    from promptarena.storage.tombstones import identities

    about = " ".join(dict.fromkeys(f"{who.kind}:{who.id}" for who in identities(event)))
    if isinstance(event, Exposure):
        yield f"{event.experiment} {event.variant} ({event.stage})"
    elif isinstance(event, Generation):
        served = f" {event.experiment} {event.variant}" if event.experiment else ""
        yield f"{event.feature}{served}" + ("" if event.role == "served" else f" ({event.role})")
        if event.latency_ms is not None:
            yield f"{event.latency_ms:,.0f} ms"
        if event.error is not None:
            yield f"error: {event.error}"
    elif not isinstance(event, Content):
        yield " ".join(
            [
                event.name,
                *(str(one) for one in (event.value, event.label) if one is not None),
                f"({event.source})",
            ]
        )
    yield about


def _plain(text: str) -> str:
    """Nothing that a sender wrote may steer a terminal."""
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in text)
