"""Writing a report to disk, whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from promptarena.errors import Location, UsageError

__all__ = ["write_whole"]


def write_whole(text: str, path: Path) -> None:
    """Write a file aside and rename it into place, so that nobody ever reads half of it.

    Raises:
        UsageError: the folder is missing or cannot be written to, or the path is a folder.
    """
    path = Path(path)
    where = Location(file=path)
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
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Newlines as they are: the page's policy names the hashes of its scripts.
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise UsageError(
            f"The report cannot be written: {error.strerror or error}.",
            where=where,
            hint="Choose a folder that you may write to, with room left.",
        ) from error
