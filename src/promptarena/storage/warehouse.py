"""The embedded engine: DuckDB by way of Ibis, with bounded memory and a folder of its own for the rest."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import duckdb
import ibis

from promptarena.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ROW", "Warehouse", "engine_errors_explained", "fetch", "held", "out_of_room"]

ROW: Final = "__row__"
"""The column of a table from a file that says where in the file a row stands, from 0."""

_MOST_MEMORY: Final = 2 * 1024**3
_MEMORY_A_THREAD: Final = 125_000_000
"""Each thread has buffers of its own; with many threads and little memory nothing is left to work with."""


class Warehouse:
    """A DuckDB database in a temporary folder; what does not fit memory is spilled there. Close it."""

    def __init__(
        self, *, memory: int | None = None, folder: Path | None = None, ordered: bool = True
    ) -> None:
        """Open one.

        Args:
            memory: the engine's limit in bytes; by default 2 GiB or half of the machine's, whichever is less.
            folder: where to make the temporary folder; by default the system's place for such.
            ordered: whether rows keep the order of their file; holding a large table without costs half.

        Raises:
            DataError: the folder cannot be written to.
        """
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="promptarena-", dir=folder))
        except OSError as error:
            hint = "Name a writable folder in the environment variable TMPDIR."
            raise DataError(f"There is no place for temporary files: {error.strerror}.", hint=hint) from error
        limit = memory or _default_memory()
        self.connection: Any = ibis.duckdb.connect(
            self._folder / "warehouse.duckdb",
            memory_limit=f"{limit // 1024}KiB",
            threads=max(1, min(os.cpu_count() or 1, limit // _MEMORY_A_THREAD)),
            temp_directory=str(self._folder / "spill"),
            # Nothing is fetched from a network behind the user's back.
            autoinstall_known_extensions=False,
            preserve_insertion_order=ordered,
        )

        # Not when it is collected: a table of it may still be in use.
        atexit.register(self.close)

    def close(self) -> None:
        """Disconnect and remove the folder; closing twice does no harm. Left open, it is closed at exit."""
        atexit.unregister(self.close)
        self.connection.disconnect()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Warehouse:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def fetch(expression: ibis.Table) -> pa.Table:
    """Run a query whose answer is small.

    Raises:
        DataError: the engine could not read its data, or had not enough memory or disk.
    """
    with engine_errors_explained():
        return expression.to_pyarrow()


@contextmanager
def held(expression: ibis.Table) -> Iterator[ibis.Table]:
    """Run a query once and hold its answer, which may be large, in a temporary table of the same engine.

    Raises:
        DataError: as `fetch`.
    """
    backend = expression.get_backend()
    if backend.name == "pyspark":
        # It has no temporary tables, but keeps what it was asked for.
        with expression.cache() as cached:
            yield cached
        return
    name = f"held_{uuid.uuid4().hex}"
    with engine_errors_explained():
        table = backend.create_table(name, expression, temp=True)
    try:
        yield table
    finally:
        # Not `drop_table`: of Ibis 12 with sqlglot 30.18 or later it makes a statement without the table's
        # name.
        backend.raw_sql(f"DROP TABLE {name}")


@contextmanager
def engine_errors_explained() -> Iterator[None]:
    """Turn an engine's own errors into ours."""
    try:
        yield
    except duckdb.Error as error:
        if out_of_room(error):
            hint = "Give only the columns that are needed, or make room: memory, or disk for temporary files."
            raise DataError(f"The data does not fit: {_first_sentence(error)}", hint=hint) from error
        raise DataError(f"The data could not be read: {_first_sentence(error)}") from error


def out_of_room(error: duckdb.Error) -> bool:
    """Whether memory or the disk was too small, rather than the data wrong."""
    return isinstance(error, duckdb.OutOfMemoryException) or "No space left" in str(error)


def _first_sentence(error: duckdb.Error) -> str:
    line = str(error).strip().split("\n", 1)[0]
    return re.sub(r"^[A-Z][A-Za-z ]*Error: ", "", line).rstrip(".") + "."


def _default_memory() -> int:
    try:
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return _MOST_MEMORY
    return min(_MOST_MEMORY, physical // 2)
