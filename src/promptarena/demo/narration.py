"""How the live demonstration speaks: chapters, a bar with the simulated date, a line for every look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from promptarena.definitions.readout import Readout
from promptarena.evaluation.live.setup import RunCounts
from promptarena.storage.event_log import LogReader
from promptarena.storage.log_relation import events_relation
from promptarena.storage.warehouse import Warehouse, fetch

__all__ = ["Bar", "canary_line", "chapter", "look_line", "progress"]


class Bar:
    """A progress bar that can be told what is going on, and printed above."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def advance(self) -> None:
        """One more is done."""
        self._shown.advance(self._task)

    def progressed(self, counts: RunCounts) -> None:
        """As many calls of a run are done."""
        self._shown.update(self._task, completed=counts.done, total=max(counts.calls, counts.done))

    def says(self, what: str) -> None:
        """What is going on now."""
        self._shown.update(self._task, description=what)

    def print(self, line: str) -> None:
        """A line above the bar, which stays."""
        self._shown.console.print(line, highlight=False)


@contextmanager
def progress(console: Console, what: str, total: int | None) -> Iterator[Bar]:
    """Show a bar for as long as the block lasts."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        yield Bar(shown, shown.add_task(what, total=total))


def chapter(console: Console, title: str, command: str) -> None:
    """Begin a part of the story, with the command that does the same."""
    console.print()
    console.rule(f"[bold]{title}[/bold]", align="left")
    console.print(f"$ {command}\n", highlight=False, style="dim", soft_wrap=True)


def canary_line(log: LogReader) -> str:
    """What the log holds of the canary: who met what, and calls that failed."""
    with Warehouse() as warehouse:
        snapshot = log.snapshot()
        exposures = events_relation(warehouse.connection, snapshot.tables("exposure"))
        units = exposures.group_by("variant").agg(units=exposures.unit_id.nunique()).order_by("variant")
        met = ", ".join(f"{row['units']} met the {row['variant']}" for row in fetch(units).to_pylist())
        generations = events_relation(warehouse.connection, snapshot.tables("generation"))
        served = generations.filter(generations.role == "served")
        counted = fetch(served.agg(calls=served.count(), failed=served.error.count())).to_pylist()[0]
    return f"{met or 'nobody was enrolled'}; of {counted['calls']:,} calls {counted['failed']:,} failed."


def look_line(readout: Readout, week: int) -> str:
    """What a look at the end of a week found."""
    if not readout.looks:
        return f"Week {week}: too little information for a look."
    look = readout.looks[-1]
    zs = ", ".join("unknown" if z is None else f"{z:.2f}" for z in look.z.values())
    return (
        f"Week {week}: a look at {look.units:,} conversations ({look.fraction:.0%} of the information), "
        f"z {zs} against {look.critical_z:.2f}: [bold]{readout.verdict.status}[/bold]"
    )
