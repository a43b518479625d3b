"""Events as Arrow: one fixed schema a kind, in sealed files, in tails and in what readers are given.

Text, numbers and moments stand as they are; `segments` and `slots` are maps of text to text; what may be any
JSON (attributes, params, content) is JSON text, for engines differ in what else they could make of it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec
import pyarrow as pa

from promptarena.definitions.events import EVENT_TYPES, Event, Kind

__all__ = ["events_to_table", "schema_of", "table_to_events"]

_INSTANT: Final = pa.timestamp("us", tz="UTC")
_TEXT_MAP: Final = pa.map_(pa.string(), pa.string())
_PLAIN: Final = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), datetime: _INSTANT}


@cache
def schema_of(kind: Kind) -> pa.Schema:
    """The columns of one kind of event, `event_id`, `ts` and `received_at` first.

    >>> schema_of("exposure").field("segments").type
    MapType(map<string, string>)
    """
    fields = msgspec.structs.fields(EVENT_TYPES[kind])
    first = ("event_id", "ts", "received_at")
    ordered = sorted(fields, key=lambda field: first.index(field.name) if field.name in first else len(first))
    return pa.schema([pa.field(field.name, _column(field.type)[0]) for field in ordered])


def events_to_table(kind: Kind, events: Sequence[Event]) -> pa.Table:
    """Stored events of one kind, in the order given."""
    columns = {field.name: _column(field.type) for field in msgspec.structs.fields(EVENT_TYPES[kind])}
    schema = schema_of(kind)
    arrays = []
    for name in schema.names:
        column, convert = columns[name]
        values = map(attrgetter(name), events)
        converted = (None if value is None else convert(value) for value in values) if convert else values
        arrays.append(pa.array(converted, type=column, size=len(events)))
    return pa.Table.from_arrays(arrays, schema=schema)


def table_to_events(kind: Kind, table: pa.Table) -> list[Event]:
    """The events of a table with the columns of `schema_of`; a truth value comes back as 1.0 or 0.0."""
    declared = EVENT_TYPES[kind]
    back = {
        field.name: _BACK.get(_column(field.type)[1], _as_is) for field in msgspec.structs.fields(declared)
    }
    return [
        msgspec.convert(
            {name: back[name](value) for name, value in row.items() if value is not None}, declared
        )
        for row in table.to_pylist()
    ]


@cache
def _column(declared: Any) -> tuple[pa.DataType, Callable[[Any], Any] | None]:
    """A field's column and what is done to its values, from its declared type."""
    core = _core(declared)
    if core is datetime:
        return _INSTANT, _in_utc
    if core in _PLAIN:
        return _PLAIN[core], None
    if get_origin(core) is Literal:
        return pa.string(), None
    if _is_number_or_truth(core):
        return pa.float64(), float
    if get_origin(core) is dict and get_args(core) == (str, str):
        return _TEXT_MAP, _pairs
    return pa.string(), _json


def _core(declared: Any) -> Any:
    """A declared type without its constraints, and without the `None` that says it may be missing."""
    if get_origin(declared) is Annotated:
        return _core(get_args(declared)[0])
    if get_origin(declared) in (Union, types.UnionType):
        parts = [part for part in get_args(declared) if part is not types.NoneType]
        if len(parts) == 1:
            return _core(parts[0])
    return declared


def _is_number_or_truth(core: Any) -> bool:
    return set(get_args(core)) == {float, bool, types.NoneType}


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _pairs(mapping: dict[str, str]) -> list[tuple[str, str]]:
    return list(mapping.items())


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _as_is(value: Any) -> Any:
    return value


_BACK: Final[dict[Any, Callable[[Any], Any]]] = {_pairs: dict, _json: msgspec.json.decode}
"""What undoes a conversion."""
