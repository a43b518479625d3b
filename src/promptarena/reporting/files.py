"""Writing a report to disk, whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from promptarena.errors import Location, UsageError

__all__ = ["write_whole"]


def write_whole(text: str, path: Path) -> None:
    """Write a file aside and rename it into place, so that nobody ever reads half of it.

    UTF-8, newlines as they are; what is no valid Unicode is written as an escape. Where the path is a link,
    it stays one and the file that it names is replaced.

    Raises:
        UsageError: the folder is missing or cannot be written to, or what is there is no regular file: a
            folder, a device, a pipe.
    """
    where = Location(file=path)
    target = Path(os.path.realpath(path))
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        if path.is_dir():
            raise UsageError(
                "This is a folder, not a file to write a report to.", where=where, hint="Name a file in it."
            )
        if path.exists() and not path.is_file():
            # Renaming would put a file in its place: as root even over /dev/null, for the whole system.
            raise UsageError(
                "This is a device, a pipe or a socket, not a file to write a report to.",
                where=where,
                hint="Name a file; --json goes to standard output.",
            )
        if not path.parent.is_dir():
            raise UsageError(
                f"The report cannot be written: there is no folder {path.parent}.",
                where=where,
                hint="Create it first, or choose another place.",
            )
        try:
            _write_through(text.encode("utf-8", "backslashreplace"), aside)
            aside.replace(target)
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
