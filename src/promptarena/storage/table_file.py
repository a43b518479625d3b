"""A data file as a table that can be queried: CSV, TSV (also .gz), Parquet, or a table of a DuckDB file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import duckdb
import ibis

from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import DataError, Location, Problem
from promptarena.storage.text_table import TextLayout, diagnose, line_of_row, read_layout
from promptarena.storage.warehouse import ROW, Warehouse, engine_errors_explained, fetch, out_of_room

__all__ = ["TableFile", "missing_columns", "open_table"]

Opener = Callable[[Path, str | None, Collection[str] | None, Warehouse], "TableFile"]

_TEXT_SUFFIXES: Final = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_DATABASE_SUFFIXES: Final = (".duckdb", ".db")
_ACCEPTED: Final = (
    "Accepted are .csv, .tsv (also .gz), .parquet, and a table of a DuckDB file as FILE.duckdb::TABLE."
)


@dataclass(frozen=True)
class TableFile:
    """An open data file. Close it after use: a temporary database goes with it."""

    path: Path
    rows: ibis.Table
    """The file's rows in its order; values of a text file are text. `ROW` numbers all but a view's."""
    warehouse: Warehouse
    layout: TextLayout | None = None
    """For a text file."""

    def locate(self, row: int | None, column: str | None = None) -> Location:
        """Where a row (from 0) and a column stand, for an error; a line is known only of a text file."""
        line = None
        if self.layout is not None and row is not None:
            line = line_of_row(self.path, self.layout, row)
        return Location(self.path, line=line, field=column)

    def close(self) -> None:
        """Let go of the file and remove what was temporary."""
        self.warehouse.close()

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_table(
    path: str | Path,
    table: str | None = None,
    *,
    columns: Collection[str] | None = None,
    memory: int | None = None,
) -> TableFile:
    """Open a data file.

    A text file is read once, whole, into a temporary database, as text: what a value means is decided by who
    asks for it, and no sample of the first lines decides what the last may hold. The other kinds are read in
    place.

    Args:
        path: the file; `FILE.duckdb::TABLE` names a table of a DuckDB file.
        table: the same, for a caller that has it apart.
        columns: what is needed of the file; other columns of a text file are not kept. By default all.
        memory: the engine's limit in bytes; what is more is spilled to temporary files.

    Raises:
        DataError: there is no such file, or it cannot be read whole as what its name says.
    """
    if table is None and isinstance(path, str) and "::" in path:
        path, table = path.rsplit("::", 1)
    file = Path(path)
    _refuse_unreadable(file)
    opener = _opener(file)
    warehouse = Warehouse(memory=memory)
    try:
        return opener(file, table, columns, warehouse)
    except BaseException:
        warehouse.close()
        raise


def missing_columns(wanted: Iterable[str], present: Collection[str], file: Path | None) -> list[Problem]:
    """A problem for each name that is wanted and not there, with the nearest that is."""
    there = [name for name in present if name and name != ROW]
    problems = []
    for name in dict.fromkeys(wanted):
        if name not in present:
            suggestion = did_you_mean(name, there)
            hint = f"{suggestion + ' ' if suggestion else ''}The columns are {listed(there, 30)}."
            problems.append(Problem(f"There is no column `{name}`.", Location(file), hint))
    return problems


def _refuse_unreadable(file: Path) -> None:
    if file.is_dir():
        hint = f"Name one file in it. {_ACCEPTED}"
        raise DataError("This is a folder, not a file.", where=Location(file), hint=hint)
    if not file.exists():
        neighbours = [entry.name for entry in file.parent.iterdir()] if file.parent.is_dir() else []
        raise DataError(
            "There is no such file.", where=Location(file), hint=did_you_mean(file.name, neighbours)
        )
    try:
        with file.open("rb") as opened:
            empty = not opened.read(1)
    except OSError as error:
        raise DataError(f"The file cannot be opened: {error.strerror}.", where=Location(file)) from error
    if empty:
        raise DataError("The file is empty.", where=Location(file))


def _opener(file: Path) -> Opener:
    name = file.name.lower()
    if name.endswith(_TEXT_SUFFIXES):
        return _open_text
    if name.endswith((".parquet", ".pq")):
        return _open_parquet
    if name.endswith(_DATABASE_SUFFIXES):
        return _open_database
    raise DataError("This kind of file is not known.", where=Location(file), hint=_ACCEPTED)


def _open_text(
    file: Path, table: str | None, columns: Collection[str] | None, warehouse: Warehouse
) -> TableFile:
    _refuse_table_name(file, table)
    layout = read_layout(file)
    kept = {i: name for i, name in enumerate(layout.names) if name and (columns is None or name in columns)}
    if columns is not None and (problems := missing_columns(columns, layout.names, file)):
        raise DataError(problems)
    if not kept:
        raise DataError("No column has a name.", where=Location(file, layout.blank_lines + 1))
    loaded = _load_text(file, layout, kept, warehouse)
    rows = loaded.select(
        **{name: loaded[f"c{i}"] for i, name in kept.items()}, **{ROW: loaded.rowid().cast("int64")}
    )
    opened = TableFile(file, rows, warehouse, layout)
    _refuse_no_rows(opened)
    _refuse_repeated_header(opened, tuple(kept.values()))
    return opened


def _load_text(file: Path, layout: TextLayout, kept: Collection[int], warehouse: Warehouse) -> ibis.Table:
    with engine_errors_explained():
        try:
            raw = warehouse.connection.read_csv(
                str(file),
                # Names of our own: a header may hold what a statement cannot.
                columns={f"c{i}": "string" for i in range(len(layout.names))},
                delim=layout.delimiter,
                quote='"',
                escape='"',
                header=True,
                skip=layout.blank_lines,
                auto_detect=False,
            )
            return warehouse.connection.create_table("rows", raw.select([f"c{i}" for i in kept]))
        except duckdb.Error as error:
            if out_of_room(error):
                raise
            raise diagnose(file, layout) or _unreadable(file, error) from error


def _open_parquet(
    file: Path, table: str | None, columns: Collection[str] | None, warehouse: Warehouse
) -> TableFile:
    _refuse_table_name(file, table)
    try:
        rows = warehouse.connection.read_parquet(str(file), file_row_number=True)
    except duckdb.Error as error:
        raise _unreadable(file, error) from error
    return _checked(TableFile(file, rows.rename({ROW: "file_row_number"}), warehouse), columns)


def _open_database(
    file: Path, table: str | None, columns: Collection[str] | None, warehouse: Warehouse
) -> TableFile:
    connection = warehouse.connection
    try:
        connection.attach(file, "source", read_only=True)
        listing = connection.table("tables", database=("system", "information_schema"))
        mine = listing.filter(listing.table_catalog == "source", listing.table_schema == "main")
        tables = sorted(mine.select("table_name").to_pyarrow()["table_name"].to_pylist())
    except duckdb.Error as error:
        raise _unreadable(file, error) from error
    if table is None and len(tables) == 1:
        table = tables[0]
    if table not in tables:
        problem = f"It has no table `{table}`." if table else "It is not said which table to read."
        hint = f"Write {file}::TABLE. The tables are {listed(tables, 30)}."
        raise DataError(problem, where=Location(file), hint=hint)
    rows = connection.table(table, database=("source", "main"))
    numbered = rows.mutate(**{ROW: rows.rowid().cast("int64")})
    try:
        numbered.limit(0).to_pyarrow()
    except duckdb.BinderException:  # a view's rows have no number
        numbered = rows
    return _checked(TableFile(file, numbered, warehouse), columns)


def _checked(opened: TableFile, columns: Collection[str] | None) -> TableFile:
    if problems := missing_columns(columns or (), opened.rows.columns, opened.path):
        raise DataError(problems)
    _refuse_no_rows(opened)
    return opened


def _refuse_table_name(file: Path, table: str | None) -> None:
    if table is not None:
        hint = "Leave the name of a table out: only a DuckDB file has tables."
        raise DataError(f"There is no table `{table}` in such a file.", where=Location(file), hint=hint)


def _refuse_no_rows(opened: TableFile) -> None:
    if fetch(opened.rows.limit(1)).num_rows == 0:
        raise DataError("It has columns but no rows.", where=Location(opened.path))


def _refuse_repeated_header(opened: TableFile, names: tuple[str, ...]) -> None:
    rows = opened.rows
    same = ibis.and_(*[rows[name] == name for name in names])
    found = rows.filter(same).aggregate(count=lambda t: t.count(), first=lambda t: t[ROW].min())
    [answer] = fetch(found).to_pylist()
    if answer["count"]:
        hint = "Were files joined? Remove every header but the first."
        message = f"The header is repeated inside the file ({answer['count']} times, here first)."
        raise DataError(message, where=opened.locate(answer["first"]), hint=hint)


def _unreadable(file: Path, error: duckdb.Error) -> DataError:
    text = str(error)
    first = text.strip().split("\n", 1)[0]
    if "Could not set lock" in text:
        hint = "Close the program that has it open for writing, or analyse a copy."
        return DataError("Another process holds this database.", where=Location(file), hint=hint)
    with file.open("rb") as opened:
        sqlite = opened.read(15) == b"SQLite format 3"
    if sqlite:
        hint = "Export the table as CSV or Parquet."
        return DataError("This is a SQLite database, not a DuckDB one.", where=Location(file), hint=hint)
    hint = "Was it copied whole? Take it from its source again."
    message = f"The file is damaged, or is not what its name says: {first.rstrip('.')}."
    return DataError(message, where=Location(file), hint=hint)
