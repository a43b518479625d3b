"""The story of one change: planned, judged on golden questions, tested on conversations, decided.

Everything in it was written or drawn for this project, and it says so.
"""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from promptarena.analysis.plan import plan
from promptarena.analysis.plan_flags import request_from_definition
from promptarena.analysis.table_analysis import Flags, analyze_table
from promptarena.definitions.readout import Readout
from promptarena.demo.conversations import RESOLUTION_EFFECT, write_conversations
from promptarena.errors import ArenaError
from promptarena.evaluation.duel import run_duel
from promptarena.reporting.html import write_html
from promptarena.reporting.text import print_text

__all__ = ["tell"]

_CONVERSATIONS: Final = 6_000
_DAILY: Final = 215
_COLUMNS: Final = "--unit conversation_id --variant variant --time started_at"

_OPENING: Final = (
    "[bold]A support bot gets a new prompt: cite the policy. Should it receive traffic?[/bold]\n\n"
    "All of this is synthetic. The shop, its policies, the 24 questions, both sets of answers and the "
    f"judgments were written for this project; the {_CONVERSATIONS:,} conversations are drawn by a seed. "
    f"Their true effect is {RESOLUTION_EFFECT * 100:+.0f} points on resolution; the analysis is not told."
)


def tell(folder: Path, console: Console | None = None) -> Readout:
    """Write the story's files, and go through plan, duel and analysis with them.

    Args:
        folder: where to write; files of an earlier telling are replaced.
        console: where to print.

    Raises:
        ArenaError: the folder cannot be written to.
    """
    console = console or Console()
    conversations = folder / "conversations.csv"
    definition = folder / "experiments" / "support-cites-policy.yaml"
    page = folder / "verdict.html"
    console.print(_OPENING, highlight=False)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        progress.add_task(f"Writing {_CONVERSATIONS:,} conversations to {conversations} ...", total=None)
        _write_files(folder, conversations)
    _step(console, "1. How much data would it take?", f"arena plan {definition} --daily-units {_DAILY}")
    print_text(plan(request_from_definition(definition, daily_units=_DAILY)), console)
    _step(console, "2. May it meet users at all? (the offline gate)", f"arena duel {folder / 'duel.yaml'}")
    print_text(run_duel(folder / "duel.yaml"), console)
    _step(
        console,
        "3. What do users say? (four weeks of conversations)",
        f"arena analyze {conversations} {_COLUMNS} --definition {definition} --html {page}",
    )
    readout = analyze_table(
        Flags(
            file=str(conversations),
            unit="conversation_id",
            variant="variant",
            time="started_at",
            definition=definition,
        )
    )
    print_text(readout, console)
    write_html(readout, page)
    _close(console, readout, folder, page)
    return readout


def _write_files(folder: Path, conversations: Path) -> None:
    try:
        with as_file(files("promptarena.demo") / "story_files") as source:
            shutil.copytree(source, folder, dirs_exist_ok=True)
        write_conversations(conversations, _CONVERSATIONS)
    except OSError as error:
        raise ArenaError(
            f"The demonstration cannot be written to {folder}: {error.strerror or error}.",
            hint="Name a folder that you may write to: arena demo FOLDER",
        ) from error


def _step(console: Console, title: str, command: str) -> None:
    console.print()
    console.rule(f"[bold]{title}[/bold]", align="left")
    console.print(f"$ {command}\n", highlight=False, style="dim", soft_wrap=True)


def _close(console: Console, readout: Readout, folder: Path, page: Path) -> None:
    """Hold the answer against the truth, which only a demonstration knows."""
    interval = readout.metrics[readout.primary].comparisons["treatment"].interval
    console.print()
    console.rule("[bold]The truth, which only a demonstration knows[/bold]", align="left")
    if interval is not None and None not in interval:
        low, high = (limit or 0.0 for limit in interval)
        word = "holds" if low <= RESOLUTION_EFFECT <= high else "misses"
        console.print(
            f"The conversations were drawn with {RESOLUTION_EFFECT * 100:+.1f} points on {readout.primary};"
            f" the interval from {low * 100:+.1f} to {high * 100:+.1f} points {word} it.",
            highlight=False,
        )
    console.print(f"\nThe readout as a page, with charts: [bold]{page}[/bold]", highlight=False)
    console.print(
        f"All files of the story are in {folder}; every command above can be run again.", highlight=False
    )
