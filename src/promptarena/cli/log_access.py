"""The log of the project that a command is called in, or the one that was named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from promptarena.storage.event_log import EventLog, LogReader

__all__ = ["LogOption", "log_to_read", "log_to_write"]

LogOption = Annotated[
    Path | None,
    typer.Option(
        "--log", help="The log's folder; by default .arena/log beside arena.yaml.", metavar="FOLDER"
    ),
]


def log_to_read(named: Path | None) -> LogReader:
    """Open a log to look at it.

    Raises:
        DefinitionError: none was named, and there is no arena.yaml here or above.
    """
    from promptarena.storage.event_log import LogReader

    if named is not None:
        return LogReader(named)
    from promptarena.definitions.project import find_project
    from promptarena.wiring import log_beside

    return LogReader(log_beside(find_project(Path.cwd()).parent))


def log_to_write(named: Path | None) -> EventLog:
    """Open a log to add to it, making it if need be. A log that was named keeps no content.

    Raises:
        DefinitionError: none was named, and arena.yaml is missing or wrong.
        StorageError: the folder cannot be written to.
    """
    if named is not None:
        from promptarena.storage.event_log import EventLog

        return EventLog(named)
    from promptarena.definitions.project import load_project
    from promptarena.wiring import open_log

    return open_log(load_project(Path.cwd()))
