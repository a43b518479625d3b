"""One way into the registry's database: short transactions, retried within a bound, failures in our words.

`write` may do its work more than once, so the work is such that a second time does no harm: rows have numbers
or ids of their own, and what is there already is recognised.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from promptarena.errors import StorageError
from promptarena.storage.durable_files import explained
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.faults import Fault, fault_of

__all__ = ["Database"]

Result = TypeVar("Result")

_FIRST_WAIT_S: Final = 0.01
_LONGEST_WAIT_S: Final = 0.25
_ONE_TRY_S: Final = 0.05
"""How long SQLite itself waits for a lock before the next try is ours."""
_KEEP_OUT_OF_GIT: Final = "*\n"


class Database:
    """A registry's database, SQLite or PostgreSQL.

    Args:
        address: where it is; the folder of a file is made if it is not there.
        patience_s: seconds that an operation goes on trying while another process holds a lock.

    Raises:
        StorageError: the file's folder cannot be made.
    """

    def __init__(self, address: Address, patience_s: float = 5.0) -> None:
        self.address = address
        self._patience_s = patience_s
        self._engine = _sqlite(address) if address.file is not None else _postgresql(address, patience_s)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Read in one transaction that sees one state of the database throughout.

        Raises:
            StorageError: the database cannot be reached or read, or stayed locked.
        """
        return self._persist(work, begin="DEFERRED", isolation="REPEATABLE READ")

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Write in one transaction: all of it, or nothing.

        Raises:
            StorageError: the database cannot be reached or written, or stayed locked; nothing was written.
            IntegrityError: what was to be unique is there already; for the caller to put into words.
        """
        return self._persist(work, begin="IMMEDIATE", isolation="READ COMMITTED")

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def _persist(self, work: Callable[[Connection], Result], *, begin: str, isolation: str) -> Result:
        deadline = time.monotonic() + self._patience_s
        wait = _FIRST_WAIT_S
        while True:
            try:
                return self._once(work, begin, isolation)
            except IntegrityError:
                raise
            except DBAPIError as error:
                fault = fault_of(error, self.address)
            except StatementError as error:
                # A value that no column holds, such as NaN within a look: the caller's own mistake.
                raise (error.orig or error) from None
            if not fault.passes or time.monotonic() + wait > deadline:
                raise self._failure(fault) from fault.cause
            # Spread out, or those who collided once collide again.
            time.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def _once(self, work: Callable[[Connection], Result], begin: str, isolation: str) -> Result:
        with self._engine.connect() as raw:
            options: dict[str, Any] = (
                {"arena_begin": begin} if self.dialect == "sqlite" else {"isolation_level": isolation}
            )
            connection = raw.execution_options(**options)
            with connection.begin():
                return work(connection)

    def _failure(self, fault: Fault) -> StorageError:
        text = fault.text
        if fault.passes:
            text = f"{text} This lasted for {self._patience_s:g} s; nothing was done."
        return StorageError(text, hint=fault.hint)


def _sqlite(address: Address) -> Engine:
    file = address.file
    assert file is not None
    try:
        if not file.parent.is_dir():
            file.parent.mkdir(parents=True)
            if file.parent.name.startswith("."):
                (file.parent / ".gitignore").write_text(_KEEP_OUT_OF_GIT, encoding="utf-8")
    except OSError as error:
        raise explained(error, "make the registry's folder", file.parent) from error
    # No pool: a connection that a fork inherits corrupts the file, and opening one costs little.
    engine = create_engine(address.url, poolclass=NullPool, json_serializer=_to_json, creator=_Opener(file))

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction; we do
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer takes its lock at once: one that reads first is later refused, not made to wait.
        connection.exec_driver_sql(
            f"BEGIN {connection.get_execution_options().get('arena_begin', 'DEFERRED')}"
        )

    return engine


class _Opener:
    """Opens the file; made by the first connection and by no later one, since a file that has gone is a loss
    that an empty one would hide."""

    def __init__(self, file: Path) -> None:
        self._name = quote(str(file))
        self._mode = "rwc"

    def __call__(self) -> sqlite3.Connection:
        connection = sqlite3.connect(f"file:{self._name}?mode={self._mode}", uri=True, timeout=_ONE_TRY_S)
        self._mode = "rw"
        return connection


def _postgresql(address: Address, patience_s: float) -> Engine:
    milliseconds = max(int(patience_s * 1000), 1)
    engine = create_engine(
        address.url,
        json_serializer=_to_json,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": max(int(patience_s), 2),
            "application_name": "promptarena",
            "options": f"-c lock_timeout={milliseconds} -c statement_timeout={10 * milliseconds}",
        },
    )
    os.register_at_fork(after_in_child=partial(_leave_connections_to_parent, weakref.ref(engine)))
    return engine


def _leave_connections_to_parent(engine: weakref.ref[Engine]) -> None:
    if (inherited := engine()) is not None:
        inherited.dispose(close=False)


_to_json: Final = partial(json.dumps, allow_nan=False)
