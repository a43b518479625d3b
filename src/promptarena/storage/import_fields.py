"""Which column of a file is which field of an event, and a row as the event that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import msgspec

from promptarena.definitions.event_id import event_id_for
from promptarena.definitions.events import EVENT_TYPES, Event
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import Problem, UsageError
from promptarena.storage.field_values import Reader, part_reader, readers_of

__all__ = ["ColumnMap", "FieldPlan", "read_column_map"]

_TYPES: Final[dict[str, type[Event]]] = dict(EVENT_TYPES.items())
_GIVEN_BY_THE_LOG: Final = "received_at"
_OWN_PARTS: Final = ("attributes", "segments", "slots", "params")
"""Fields that are mappings: `segments.tier` is an entry of one."""
_SAYS_WHAT: Final = {"measurement": "name", "exposure": "experiment"}
"""One row of a file may become several events: one for each name that something was measured by."""


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """What a user says of a file's columns. A column of a field's own name needs no word."""

    columns: dict[str, str] = field(default_factory=dict)
    """Field to column; `segments.tier` and the like are fields, and so is `kind`."""
    constants: dict[str, str] = field(default_factory=dict)
    """Field to the one value that all rows have, as text."""
    key: tuple[str, ...] = ()
    """Columns that together name an event in its source."""
    zone: tzinfo | None = None
    """Of moments that do not say theirs."""


def read_column_map(
    maps: Iterable[str], sets: Iterable[str], key: Iterable[str], kind: str | None, zone: str | None
) -> ColumnMap:
    """What was said on a command line.

    >>> read_column_map(["ts=created_at"], ["source=human"], [], "measurement", None).columns
    {'ts': 'created_at'}

    Args:
        maps: `field=column` each.
        sets: `field=value` each.
        kind: the same as a set `kind`.
        zone: a name of the IANA's list.

    Raises:
        UsageError: with everything that is not so, or is said twice.
    """
    problems: list[Problem] = []
    columns = _assignments("--map", maps, problems)
    constants = _assignments("--set", sets, problems)
    if kind is not None:
        constants["kind"] = kind
    said = None
    if zone is not None:
        try:
            said = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            close = did_you_mean(zone, available_timezones())
            hint = close or "Write it as in Europe/Berlin, or UTC."
            problems.append(Problem(f"--timezone {zone!r} is not known here.", hint=hint))
    if problems:
        raise UsageError(problems)
    return ColumnMap(columns, constants, tuple(key), said)


def _assignments(option: str, written: Iterable[str], problems: list[Problem]) -> dict[str, str]:
    read: dict[str, str] = {}
    for text in written:
        name, equals, what = text.partition("=")
        name = name.strip()
        if not equals or not name or not what:
            problems.append(Problem(f"{option} {text!r}: expected FIELD=..., such as {option} ts=..."))
        elif name in read:
            problems.append(Problem(f"{option} names the field `{name}` twice."))
        else:
            read[name] = what
    return read


class FieldPlan:
    """Makes events of rows."""

    def __init__(self, said: ColumnMap, columns: Sequence[str] | None) -> None:
        """Make a plan.

        Args:
            columns: the file's, where all rows have the same ones.

        Raises:
            UsageError: with everything that was said of fields and does not fit.
        """
        self._said = said
        self._columns = columns
        self.kind: str | None = said.constants.get("kind")
        problems = [*self._wrong_kind(), *self._wrong_fields(), *self._not_to_be_had()]
        if problems:
            raise UsageError(problems)
        self._readers = {kind: readers_of(declared, said.zone) for kind, declared in _TYPES.items()}
        self._sources = {kind: self._sources_of(kind) for kind in _TYPES}
        self._fixed = {kind: list(self._fixed_of(kind)) for kind in _TYPES}

    def column_of(self, name: str) -> str | None:
        """The column that a field is read from, if any; of `segments.tier`, or of `segments` as a whole."""
        if name in self._said.columns:
            return self._said.columns[name]
        return None if name in self._said.constants else name

    def uses(self, kind: str) -> set[str]:
        """The columns that say something of events of this kind."""
        kind_column = self.column_of("kind")
        used = {column for _, _, column, _ in self._sources[kind]} if kind in self._sources else set()
        return used | set(self._said.key) | ({kind_column} if kind_column else set())

    def event(self, row: dict[str, Any], *, textual: bool) -> dict[str, Any]:
        """A row as the fields of an event, which the schema is to check.

        It has an `event_id` unless it has no moment to make one of.

        Args:
            textual: an empty value is none.
        """
        kind = self.kind or row.get(self.column_of("kind") or "")
        if not isinstance(kind, str) or kind not in _TYPES:
            return {} if kind is None or kind == "" else {"kind": kind}
        fields: dict[str, Any] = {"kind": kind}
        for name, part, column, reader in self._sources[kind]:
            value = row.get(column)
            if value is None or (textual and value == ""):
                continue
            _put(fields, name, part, reader(value))
        for name, part, value in self._fixed[kind]:
            _put(fields, name, part, value)
        self._name(fields, row)
        return fields

    def _name(self, fields: dict[str, Any], row: dict[str, Any]) -> None:
        """Give the event its id: by the key, as its source does, or by all that the row says."""
        ts = fields.get("ts")
        if not isinstance(ts, datetime) or ts.tzinfo is None:
            return
        kind = fields["kind"]
        if self._said.key:
            what: list[Any] = [fields.get(_SAYS_WHAT.get(kind, "")), *map(row.get, self._said.key)]
        elif "event_id" in fields:
            return
        else:
            what = [fields, row]
        key = msgspec.json.encode([kind, *what], enc_hook=str, order="deterministic").decode()
        try:
            fields["event_id"] = event_id_for(key, ts)
        except OverflowError:  # a moment that is none in UTC, as the schema will say
            return

    def _sources_of(self, kind: str) -> list[tuple[str, str, str, Reader]]:
        """Field, entry of it, column and reader; wholes before their entries."""
        readers = self._readers[kind]
        names = [name for name in readers if name != _GIVEN_BY_THE_LOG]
        wholes = [(name, self.column_of(name)) for name in names]
        parted = dict.fromkeys(name for name in (*(self._columns or ()), *self._said.columns) if "." in name)
        parts = [(name, self.column_of(name)) for name in parted]
        found = []
        for dotted, column in (*wholes, *parts):
            name, _, part = dotted.partition(".")
            if (
                column is None
                or name not in readers
                or (self._columns is not None and column not in self._columns)
            ):
                continue
            if part and name not in _OWN_PARTS:
                continue
            found.append((name, part, column, part_reader(name) if part else readers[name]))
        return found

    def _fixed_of(self, kind: str) -> Iterator[tuple[str, str, Any]]:
        """Field, entry of it, and the value that all rows have."""
        readers = self._readers[kind]
        for said, text in self._said.constants.items():
            name, _, part = said.partition(".")
            if name in readers:
                yield name, part, (part_reader(name) if part else readers[name])(text)

    def _wrong_kind(self) -> list[Problem]:
        if self.kind is not None and self.kind not in EVENT_TYPES:
            hint = did_you_mean(self.kind, EVENT_TYPES) or f"Accepted: {listed(EVENT_TYPES)}."
            return [Problem(f"{self.kind!r} is not a kind of event.", hint=hint)]
        column = self.column_of("kind")
        if self.kind is None and self._columns is not None and column not in self._columns:
            return [
                Problem(
                    "It is not said what kind of events the rows are.",
                    hint=f"Give --kind (one of {listed(EVENT_TYPES)}), or a column `kind`.",
                )
            ]
        return []

    def _wrong_fields(self) -> list[Problem]:
        kinds = [self.kind] if self.kind in EVENT_TYPES else list(EVENT_TYPES)
        accepted = {"kind"} | {name for kind in kinds for name in _TYPES[kind].__struct_fields__}
        accepted.discard(_GIVEN_BY_THE_LOG)
        problems = []
        for name in (*self._said.columns, *self._said.constants):
            whole, _, part = name.partition(".")
            if name == _GIVEN_BY_THE_LOG:
                problems.append(
                    Problem(f"`{name}` is stamped by the log and by nobody else.", hint="Map `ts`.")
                )
            elif whole not in accepted or (part and whole not in _OWN_PARTS) or name.endswith("."):
                hint = did_you_mean(name, accepted) or f"Accepted: {listed(sorted(accepted), 50)}."
                problems.append(Problem(f"Such events have no field `{name}`.", hint=hint))
        both = self._said.columns.keys() & self._said.constants.keys()
        problems += [Problem(f"`{name}` is both mapped and set.") for name in sorted(both)]
        return problems

    def _not_to_be_had(self) -> list[Problem]:
        """Fields that every event of the kind must have and no row will."""
        if self._columns is None or self.kind not in EVENT_TYPES:
            return []
        declared = _TYPES[self.kind]
        problems = []
        for known in msgspec.structs.fields(declared):
            named = known.name in self._said.constants or known.name in self._said.columns
            if known.required and not named and known.name not in self._columns:
                message = f"There is no column `{known.name}`, which every {self.kind} must have."
                hint = f"Give --map {known.name}=COLUMN or --set {known.name}=VALUE; the columns are "
                problems.append(Problem(message, hint=f"{hint}{listed(self._columns, 30)}."))
        return problems


def _put(fields: dict[str, Any], name: str, part: str, value: Any) -> None:
    if not part:
        fields[name] = value
    elif isinstance(whole := fields.get(name, {}), dict):
        fields[name] = {**whole, part: value}
