"""A small project to begin with: it validates as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from promptarena.errors import Location, Problem, UsageError

__all__ = ["scaffold"]

_FILES: Final = "scaffold_files"


def scaffold(folder: Path, force: bool = False) -> list[Path]:
    """Write arena.yaml, metrics.yaml, an experiment, its prompts and a golden dataset into a folder.

    Args:
        folder: made if it is not there.
        force: write over files of the same names; other files always stay.

    Returns:
        The files written.

    Raises:
        UsageError: a file is there already (every one is named, and nothing is written), or the folder cannot
            be written to (what was newly made is taken away again).
    """
    texts = {folder / name: source for name, source in _sources(files("promptarena.definitions") / _FILES)}
    if not force and (there := [path for path in texts if path.exists()]):
        hint = "Choose another folder, or write over it with --force."
        raise UsageError([Problem("This file is there already.", Location(path), hint) for path in there])
    made: list[Path] = []
    path = folder
    try:
        for path, source in texts.items():
            for above in reversed(path.parents):
                if not above.exists():
                    above.mkdir()
                    made.append(above)
            if not path.exists():
                made.append(path)
            path.write_bytes(source.read_bytes())
    except OSError as error:
        for new in reversed(made):
            _remove(new)
        raise UsageError(f"This cannot be written: {error.strerror}.", where=Location(path)) from None
    return list(texts)


def _sources(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _sources(entry, f"{above}{entry.name}/")
        else:
            yield above + entry.name, entry


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
    except OSError:
        return  # the reason is told already; what is left does no harm
