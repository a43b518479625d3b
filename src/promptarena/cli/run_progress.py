"""How far a live run is, on standard error: calls, cases, money, and when it will be done."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from promptarena.evaluation.live.setup import RunCounts

__all__ = ["RunProgress"]


class RunProgress:
    """A bar while its `with` block lasts; nothing where standard error is no terminal.

    Args:
        wanted: whether to show anything at all.
    """

    def __init__(self, wanted: bool = True) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("calls  ${task.fields[usd]:.4f}{task.fields[failed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (wanted and console.is_terminal),
        )
        self._task = self._progress.add_task("Asking", total=None, usd=0.0, failed="")

    def __enter__(self) -> RunProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def progressed(self, counts: RunCounts) -> None:
        """Another call is done."""
        self._progress.update(
            self._task,
            completed=counts.done,
            total=max(counts.calls, counts.done),
            description=f"Case {counts.complete:,} of {counts.cases:,}",
            usd=counts.usd,
            failed=f"  {counts.failed:,} failed" if counts.failed else "",
        )
