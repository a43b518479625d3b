"""Writing a report to disk, whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from promptarena.errors import Location, UsageError

__all__ = ["write_whole"]


def write_whole(text: str, path: Path) -> None:
    """Write a file aside and rename it into place, so that nobody ever reads half of it.

    UTF-8, newlines as they are; what is no valid Unicode is written as an escape.

    Raises:
        UsageError: the folder is missing or cannot be written to, or the path is a folder.
    """
    where = Location(file=path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.is_dir():
            raise UsageError(
                "This is a folder, not a file to write a report to.", where=where, hint="Name a file in it."
            )
        if not path.parent.is_dir():
            raise UsageError(
                f"The report cannot be written: there is no folder {path.parent}.",
                where=where,
                hint="Create it first, or choose another place.",
            )
        try:
            _write_through(text.encode("utf-8", "backslashreplace"), aside)
            aside.replace(path)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"The report cannot be written: {error.strerror or error}.",
            where=where,
            hint="Choose a folder that you may write to, with room left.",
        ) from error


def _write_through(content: bytes, path: Path) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
