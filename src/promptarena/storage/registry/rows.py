"""Records to rows and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects import postgresql, sqlite

from promptarena.definitions.course import Move, Status

__all__ = ["add", "insert_or_keep", "record_of", "values_of"]

Record = TypeVar("Record")

# What a column cannot hold as it is: JSON has no tuples, and text is no enumeration.
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "overrides": tuple,
    "ranges": lambda ranges: tuple((low, high) for low, high in ranges),
    "move": Move,
    "status": Status,
}


def values_of(record: Any) -> dict[str, Any]:
    """A record's fields by the name of their columns."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def record_of(kind: type[Record], row: Any) -> Record:
    """A row as a record."""
    plain = row._asdict()
    for name in _READERS.keys() & plain.keys():
        plain[name] = _READERS[name](plain[name])
    return kind(**plain)


def add(connection: Connection, table: Table, records: Iterable[Any]) -> None:
    """Insert rows.

    Raises:
        IntegrityError: one of them is there already.
    """
    for record in records:
        connection.execute(insert(table).values(values_of(record)))


def insert_or_keep(connection: Connection, table: Table, values: dict[str, Any], key: Sequence[str]) -> bool:
    """Insert a row unless there is one of that key; whether it was inserted."""
    # The two databases agree on the words, but each dialect has a class of its own for them.
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(values).on_conflict_do_nothing(index_elements=list(key))
    return connection.execute(statement).rowcount == 1
