"""A file's rows, a batch at a time, with the place of each: JSON lines, or a table in any of its forms."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol, cast

import msgspec

from promptarena.definitions.event_lines import MAX_EVENT_BYTES
from promptarena.errors import DataError, Location

__all__ = ["Row", "Rows", "open_rows"]

_LINE_SUFFIXES: Final = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_BATCH: Final = 2_000
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError)
_UNPACKING: Final = (gzip.BadGzipFile, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file."""

    at: int
    """Its line from 1 (JSON lines) or its number from 0 (a table)."""
    values: dict[str, Any]
    """By column."""
    wrong: str | None = None
    """Why it could not be read."""


class Rows(Protocol):
    """An open file, which can be read more than once."""

    columns: tuple[str, ...] | None
    """None where every row may have others."""
    textual: bool
    """Whether values are text whatever they mean, and an empty one is none."""

    def batches(self) -> Iterator[tuple[float, list[Row]]]:
        """The rows in order, some thousands at a time, and the share of the file that is read then."""

    def place(self, at: int, column: str | None) -> tuple[Location, str]:
        """Where a row stands, and what to say before a message where a location cannot."""

    def close(self) -> None:
        """Let go of the file."""


def open_rows(path: str) -> Rows:
    """Open a file by what its name says it is.

    Args:
        path: `.jsonl` and `.ndjson` (also .gz), or whatever `open_table` takes.

    Raises:
        DataError: it cannot be read.
    """
    name = path.lower()
    if name.endswith(_LINE_SUFFIXES):
        return _Lines(Path(path))
    if name.endswith((".json", ".json.gz")):
        hint = "Write one JSON object a line, and name the file .jsonl."
        raise DataError("This is not known to be JSON lines.", where=Location(Path(path)), hint=hint)
    return _Table(path)


class _Lines:
    """One JSON object a line; empty lines are none."""

    columns: tuple[str, ...] | None = None
    textual = False

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._size = max(path.stat().st_size, 1)
            path.open("rb").close()
        except OSError as error:
            raise DataError(f"The file cannot be opened: {error.strerror}.", where=Location(path)) from error

    def batches(self) -> Iterator[tuple[float, list[Row]]]:
        rows: list[Row] = []
        with self._path.open("rb") as raw:
            zipped = self._path.suffix.lower() == ".gz"
            file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if zipped else raw
            for number, line in self._numbered(file):
                if line.strip():
                    rows.append(_row(number, line))
                if len(rows) == _BATCH:
                    yield min(raw.tell() / self._size, 1.0), rows
                    rows = []
        yield 1.0, rows

    def place(self, at: int, column: str | None) -> tuple[Location, str]:
        return Location(self._path, line=at, field=column), ""

    def close(self) -> None:
        """Nothing is held between readings."""

    def _numbered(self, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
        number = 0
        try:
            while line := file.readline(MAX_EVENT_BYTES + 1):
                number += 1
                if len(line) > MAX_EVENT_BYTES:
                    message = f"The line is longer than {MAX_EVENT_BYTES:,} bytes."
                    hint = "Is it one JSON array? Write one object a line."
                    raise DataError(message, where=Location(self._path, number), hint=hint)
                yield number, line
        except _UNPACKING as error:
            hint = "Was it copied whole?"
            message = f"The file cannot be unpacked: {error}."
            raise DataError(message, where=Location(self._path, number + 1), hint=hint) from error


def _row(number: int, line: bytes) -> Row:
    try:
        values = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))
    except _UNREADABLE as error:
        return Row(number, {}, f"This is not JSON: {error}.")
    if not isinstance(values, dict):
        return Row(number, {}, f"An event is a JSON object, not {values!r:.60}.")
    return Row(number, values)


class _Table:
    """A table, of which the engine gives some thousand rows at a time."""

    def __init__(self, path: str) -> None:
        import ibis.expr.datatypes as dt

        from promptarena.storage.table_file import open_table
        from promptarena.storage.warehouse import ROW

        self._table = open_table(path)
        self._row = ROW
        rows = self._table.rows
        # Python has no nanoseconds.
        coarse = {
            name: rows[name].cast(dt.Timestamp(timezone=kind.timezone, scale=6))
            for name, kind in rows.schema().items()
            if kind.is_timestamp()
        }
        self._rows = rows.mutate(**coarse) if coarse else rows
        self.columns: tuple[str, ...] | None = tuple(name for name in rows.columns if name != ROW)
        self.textual = self._table.layout is not None

    def batches(self) -> Iterator[tuple[float, list[Row]]]:
        from promptarena.storage.warehouse import engine_errors_explained, fetch

        total = fetch(self._rows.aggregate(n=self._rows.count()))["n"][0].as_py()
        done = 0
        connection = self._table.warehouse.connection
        with engine_errors_explained():
            # Not `to_pyarrow_batches`: of Ibis 12 it calls what DuckDB 1.5 warns of.
            for batch in connection.raw_sql(connection.compile(self._rows)).to_arrow_reader(_BATCH):
                found = batch.to_pylist()
                numbers = [values.pop(self._row, done + at) for at, values in enumerate(found)]
                done += len(found)
                yield done / total, [Row(at, values) for at, values in zip(numbers, found, strict=True)]

    def place(self, at: int, column: str | None) -> tuple[Location, str]:
        if self.textual:
            return self._table.locate(at, column), ""
        return Location(self._table.path, field=column), f"Row {at + 1}: "

    def close(self) -> None:
        self._table.close()
