"""Delimited text as it stands in a file: its header, and the line of what is wrong with it."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

from promptarena.errors import DataError, Location, Problem

__all__ = ["TextLayout", "diagnose", "line_of_row", "read_layout"]

_DELIMITERS: Final = (",", ";", "\t", "|")
_CHUNK: Final = 1 << 20
_LONGEST_FIELD: Final = 1 << 30
_WIDE_ENCODINGS: Final = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}
_FORMATS: Final = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip",
    b"SQLite format 3": "a SQLite database",
    b"(\xb5/\xfd": "compressed with Zstandard",
}
_UNPACKING_ERRORS: Final = (gzip.BadGzipFile, EOFError, zlib.error)
_SAVE_AS_CSV: Final = "Save it as CSV in UTF-8 (in Excel: `CSV UTF-8`)."


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How a delimited file is laid out."""

    names: tuple[str, ...]
    """The header's names, one a column, as written."""
    delimiter: str
    blank_lines: int
    """Empty lines before the header."""


def read_layout(path: Path) -> TextLayout:
    """Read the header of a delimited file.

    Raises:
        DataError: the file is empty, is no UTF-8 text, or two columns have one name.
    """
    _refuse_other_formats(path)
    text = _head(path)
    lines = list(io.StringIO(text, newline=""))
    blank = sum(1 for _ in itertools.takewhile(lambda line: not line.strip("\r\n"), lines))
    if blank == len(lines):
        hint = "The first line names the columns, each further one is a row."
        raise DataError("The file is empty.", where=Location(path), hint=hint)
    tabs = ".tsv" in path.suffixes
    delimiter = "\t" if tabs else max(_DELIMITERS, key=lambda mark: len(_record(lines[blank:], mark)))
    names = tuple(name.strip() for name in _record(lines[blank:], delimiter))
    _refuse_doubled(path, blank + 1, names)
    return TextLayout(names, delimiter, blank)


def line_of_row(path: Path, layout: TextLayout, row: int) -> int | None:
    """The line, from 1, on which a row begins (from 0, the header not counted)."""
    with _text(path, errors="replace") as file, _any_field_size():
        reader = csv.reader(file, delimiter=layout.delimiter)
        for number, (line, _) in enumerate(_records(reader, layout), start=-1):
            if number == row:
                return line
    return None


def diagnose(path: Path, layout: TextLayout) -> DataError | None:
    """Why an engine could not read the file: the first thing wrong with it, by a slow and strict look."""
    try:
        problem = _encoding_problem(path) or _structure_problem(path, layout) or _line_end_problem(path)
    except _UNPACKING_ERRORS as error:
        return _cannot_unpack(path, error)
    return DataError(problem) if problem else None


def _refuse_other_formats(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(16)
    zipped = path.suffix.lower() == ".gz"
    for magic, what in _FORMATS.items():
        if start.startswith(magic) and not (zipped and magic == b"\x1f\x8b"):
            hint = "Name it .csv.gz." if "gzip" in what else _SAVE_AS_CSV
            raise DataError(f"This is {what}, not delimited text.", where=Location(path), hint=hint)
    for mark, encoding in _WIDE_ENCODINGS.items():
        if start.startswith(mark):
            raise DataError(f"The text is {encoding}, not UTF-8.", where=Location(path), hint=_SAVE_AS_CSV)
    if b"\0" in start and not zipped:
        raise DataError("This is a binary file, not delimited text.", where=Location(path))


def _head(path: Path) -> str:
    """Enough of the file's text to hold the header."""
    try:
        with _bytes(path) as file:
            start = file.read(_CHUNK)
    except _UNPACKING_ERRORS as error:
        raise _cannot_unpack(path, error) from error
    try:
        # A chunk may end inside a character; a header does not, or the file has no line end in a million
        # bytes.
        return codecs.getincrementaldecoder("utf-8-sig")().decode(start, final=len(start) < _CHUNK)
    except UnicodeDecodeError as error:
        line = start[: error.start].count(b"\n") + 1
        if line > 1:
            return start[: error.start].decode("utf-8-sig")
        raise DataError(_not_utf8(path, line, start[error.start])) from error


def _cannot_unpack(path: Path, error: Exception) -> DataError:
    hint = "Was it copied whole? Unpack it with gzip, or take it from its source again."
    return DataError(f"The file cannot be unpacked: {error}.", where=Location(path), hint=hint)


def _record(lines: list[str], delimiter: str) -> list[str]:
    return next(csv.reader(lines, delimiter=delimiter), [])


def _refuse_doubled(path: Path, line: int, names: tuple[str, ...]) -> None:
    problems = []
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        first = seen.setdefault(name.lower(), number)
        if name and first != number:
            message = f"Columns {first} and {number} are both called `{name}`"
            case = "" if names[first - 1] == name else " (letter case does not tell columns apart)"
            hint = "Rename or remove one of them."
            problems.append(Problem(f"{message}{case}.", Location(path, line, field=name), hint))
    if problems:
        raise DataError(problems)


def _encoding_problem(path: Path) -> Problem | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, pending = 1, 0
    with _bytes(path) as file:
        for chunk in _chunks(file):
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # Positions count from the bytes that the decoder still held from the chunk before.
                at = error.start - pending
                return _not_utf8(path, line + chunk[: max(at, 0)].count(b"\n"), error.object[error.start])
            pending = len(decoder.getstate()[0])
            line += chunk.count(b"\n")
    return None


def _not_utf8(path: Path, line: int, byte: int) -> Problem:
    as_latin = bytes([byte]).decode("latin-1")
    meant = f" (`{as_latin}` in Latin-1)" if as_latin.isprintable() else ""
    hint = "Was it joined from files in different encodings? Save all of it as UTF-8."
    return Problem(f"Byte 0x{byte:02x}{meant} is not UTF-8.", Location(path, line), hint)


def _structure_problem(path: Path, layout: TextLayout) -> Problem | None:
    width = len(layout.names)
    with _text(path, errors="strict") as file, _any_field_size():
        reader = csv.reader(file, delimiter=layout.delimiter, strict=True)
        line = 0
        try:
            for line, record in _records(reader, layout):
                surplus = record[width:]
                if len(record) < width or any(surplus):
                    found = f"This line has {len(record)} fields, the header has {width}."
                    hint = f"Put values that hold `{layout.delimiter}` in double quotes."
                    return Problem(found, Location(path, line), hint)
        except csv.Error as error:
            hint = 'A value in double quotes ends with one; one inside it is written twice ("").'
            return Problem(f"Quotes do not match: {error}.", Location(path, line + 1), hint)
    return None


def _line_end_problem(path: Path) -> Problem | None:
    first: bytes | None = None
    with _bytes(path) as file:
        for number, line in enumerate(file, start=1):
            end = b"\r\n" if line.endswith(b"\r\n") else b"\n" if line.endswith(b"\n") else first
            first = first or end
            if end != first:
                hint = "Was it joined from files of different systems? Make all line ends the same."
                return Problem("Line ends change from here on.", Location(path, number), hint)
    return None


def _records(reader: Iterator[list[str]], layout: TextLayout) -> Iterator[tuple[int, list[str]]]:
    """Records, the header first, and the line of each. Empty lines are none (except of one column)."""
    begins = 1
    for record in reader:
        ends = reader.line_num  # type: ignore[attr-defined]  # csv's reader counts the lines it has taken
        if record or (len(layout.names) == 1 and begins > layout.blank_lines):
            yield begins, record
        begins = ends + 1


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces, then an empty one."""
    while chunk := file.read(_CHUNK):
        yield chunk
    yield b""


@contextmanager
def _bytes(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        if path.suffix.lower() != ".gz":
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast(IO[bytes], unpacked)


@contextmanager
def _text(path: Path, errors: str) -> Iterator[IO[str]]:
    with _bytes(path) as file:
        yield io.TextIOWrapper(file, encoding="utf-8-sig", errors=errors, newline="")


@contextmanager
def _any_field_size() -> Iterator[None]:
    """Let values be long: prompts and answers are."""
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
