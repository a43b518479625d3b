"""Files that a definition names: `file://prompts/cite.md`, `golden/support.jsonl`.

A name is relative to the file that says it; what is not there is looked for from the top of the project, so
that experiments in a folder of their own can name `file://prompts/cite.md` beside them or at the top. Nothing
outside the project's folder is ever read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from promptarena.definitions.document import FieldPath
from promptarena.definitions.suggestion import did_you_mean
from promptarena.definitions.validation import Mistakes

__all__ = ["SCHEME", "find_file", "with_file_texts"]

SCHEME: Final = "file://"
MAX_BYTES: Final = 1_000_000


def find_file(written: str, root: Path, mistakes: Mistakes, at: FieldPath) -> Path | None:
    """The file that a definition names; `None` after noting the mistake if there is none.

    Args:
        written: the name, with or without `file://`.
        root: the project's folder.
        mistakes: of the file that says it.
        at: where it says it.
    """
    name = written.removeprefix(SCHEME)
    folders = list(dict.fromkeys((mistakes.document.path.parent.resolve(), root.resolve())))
    if not name.strip():
        mistakes.add("A file's name is empty.", *at, hint="Write for example file://prompts/cite.md")
        return None
    try:
        found = [(folder / name).resolve() for folder in folders]
        inside = [path for path in found if path.is_relative_to(folders[-1])]
        file = next((path for path in inside if path.is_file()), None)
        folder = any(path.is_dir() for path in inside)
    except (OSError, RuntimeError, ValueError) as error:
        mistakes.add(f"The file {name!r} cannot be read: {error}.", *at)
        return None
    if Path(name).is_absolute() or (file is None and found[0] not in inside):
        hint = "Name it relative to this file, within the folder of arena.yaml."
        mistakes.add(f"The file {name!r} is outside the project.", *at, hint=hint)
        return None
    if file is None and folder:
        mistakes.add(f"{name!r} is a folder; a file is wanted.", *at)
    elif file is None:
        looked = " and ".join(dict.fromkeys(str(path.parent) for path in inside))
        mistakes.add(f"There is no file {name!r}; looked in {looked}.", *at, hint=_sibling(inside))
    return file


def _sibling(wanted: list[Path]) -> str | None:
    """A file beside one that is wanted, with nearly its name."""
    for path in wanted:
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        if hint := did_you_mean(path.name, beside):
            return hint
    return None


def read_text(path: Path, written: str, mistakes: Mistakes, at: FieldPath) -> str | None:
    """A file's text, with line ends as `\\n` so that a checkout on another system is the same text."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        mistakes.add(f"The file {written!r} cannot be read: {error.strerror}.", *at)
        return None
    if len(raw) > MAX_BYTES:
        mistakes.add(f"The file {written!r} holds more than {MAX_BYTES:,} bytes.", *at)
        return None
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        mistakes.add(f"The file {written!r} is not UTF-8 (line {line}).", *at, hint="Save it as UTF-8.")
        return None
    if not text.strip():
        mistakes.add(f"The file {written!r} is empty.", *at)
        return None
    return text


def with_file_texts(value: Any, root: Path, mistakes: Mistakes, at: FieldPath) -> Any:
    """The value with every `file://` text in it, at any depth, replaced by what that file holds."""
    if isinstance(value, str) and value.startswith(SCHEME):
        path = find_file(value, root, mistakes, at)
        name = value.removeprefix(SCHEME)
        return read_text(path, name, mistakes, at) if path else None
    if isinstance(value, dict):
        return {key: with_file_texts(item, root, mistakes, (*at, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = (with_file_texts(item, root, mistakes, (*at, index)) for index, item in enumerate(value))
        return type(value)(items)
    return value
