"""A file of things that happened, added to the log: all of it, or, where anything is wrong, none.

The file is read twice, in batches: once to find what is wrong, once to append. Every event is named by what
it says, so that importing a file twice, or going on after a failure, adds nothing a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec

from promptarena.definitions.event_lines import MAX_EVENT_BYTES, EventError, decode_events
from promptarena.definitions.events import Event
from promptarena.errors import DataError, Location, Problem
from promptarena.storage.event_log import EventLog
from promptarena.storage.import_fields import ColumnMap, FieldPlan
from promptarena.storage.import_rows import Row, Rows, open_rows
from promptarena.storage.table_file import missing_columns

__all__ = ["MOST_PROBLEMS", "Imported", "Progress", "import_events"]

MOST_PROBLEMS: Final = 20
"""Mistakes that are told together; then reading stops."""

Progress: TypeAlias = Callable[[str, float], None]
"""Told what is being done (`checking`, `writing`) and what share of the file is done (0 to 1)."""

_SEAL_EVERY: Final = 50
"""Batches; until they are sealed events cost every reader memory."""
_MOST_COLUMNS: Final = 1_000
_HINTS: Final = {
    "ts": "Write 2026-01-31T12:00:00Z, or seconds since 1970; for times without a zone give --timezone.",
    "event_id": "If the source has names of its own, give their column with --key.",
    "kind": "Give --kind if all rows are of one.",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    rows: int
    """Of the file, each of which was an event; equal ones count once in the log."""
    kinds: dict[str, int]
    """Rows by kind of event."""
    unused: tuple[str, ...]
    """Columns that no event has anything of."""
    erased: int
    """Rows about somebody who was erased: not written."""
    unsampled: int
    """Content that the project does not keep: not written."""


def import_events(path: str, said: ColumnMap, log: EventLog, *, progress: Progress | None = None) -> Imported:
    """Import a file as events.

    Memory is bounded, whatever the file's size, but for the disk that the engine takes to hold a CSV file.

    Args:
        path: CSV, TSV, JSON lines (also .gz), Parquet, or FILE.duckdb::TABLE.
        said: which column is which field; a column of a field's own name needs no word.

    Raises:
        UsageError: what was said does not fit the events or the file.
        DataError: the file cannot be read, or with up to `MOST_PROBLEMS` mistakes; nothing was imported then.
        StorageError: the log cannot be written. Import again: what did get there counts once.
    """
    tell = progress or (lambda _stage, _share: None)
    rows = open_rows(path)
    try:
        plan = FieldPlan(said, rows.columns)
        importing = _Importing(rows, plan, said)
        importing.check(tell)
        erased, unsampled = log.dropped.erased, log.dropped.unsampled
        for number, (share, events) in enumerate(importing.events(), start=1):
            log.append(events, checked=True)
            if number % _SEAL_EVERY == 0:
                log.seal()
            tell("writing", share)
        log.seal()
        return Imported(
            rows=importing.kinds.total(),
            kinds=dict(sorted(importing.kinds.items())),
            unused=importing.unused(),
            erased=log.dropped.erased - erased,
            unsampled=log.dropped.unsampled - unsampled,
        )
    finally:
        rows.close()


class _Importing:
    """One file on its way."""

    def __init__(self, rows: Rows, plan: FieldPlan, said: ColumnMap) -> None:
        self._rows = rows
        self._plan = plan
        self._said = said
        self._told: set[str] = set()
        self._seen: dict[str, None] = dict.fromkeys(rows.columns or ())
        self.kinds: Counter[str] = Counter()
        self._refuse_missing()

    def check(self, tell: Progress) -> None:
        """Read everything once.

        Raises:
            DataError: with what is wrong.
        """
        problems: list[Problem] = []
        for share, rows in self._rows.batches():
            problems += self._wrong_in(rows)
            if len(problems) >= MOST_PROBLEMS:
                more = Problem(f"Reading stopped after {MOST_PROBLEMS} mistakes; there may be more.")
                raise DataError([*problems[:MOST_PROBLEMS], more])
            tell("checking", share)
        if not problems and not self.kinds:
            raise DataError("It has no rows.", where=self._rows.place(0, None)[0])
        if problems:
            raise DataError(problems)
        self._refuse_missing()

    def events(self) -> Iterator[tuple[float, list[Event]]]:
        """The events in batches, each with the share of the file that is read then."""
        for share, rows in self._rows.batches():
            if problems := [self._unread(row) for row in rows if row.wrong]:
                raise DataError(problems)  # somebody has changed the file since it was checked
            if rows:
                yield share, decode_events(b"\n".join(self._lines(rows)))

    def unused(self) -> tuple[str, ...]:
        """Columns that no event has anything of."""
        used = {column for kind in self.kinds for column in self._plan.uses(kind)}
        return tuple(column for column in self._seen if column not in used)

    def _refuse_missing(self) -> None:
        """Columns that were named and are not there; of JSON lines known only at the end."""
        if not self._seen:
            return
        named = [*self._said.columns.values(), *self._said.key]
        if problems := missing_columns(named, self._seen, self._rows.place(0, None)[0].file):
            raise DataError(problems)

    def _wrong_in(self, rows: Sequence[Row]) -> Iterator[Problem]:
        readable = [row for row in rows if not row.wrong]
        lines = self._lines(readable)
        wrong: dict[int, list[Problem]] = {row.at: [self._unread(row)] for row in rows if row.wrong}
        for row, line in zip(readable, lines, strict=True):
            if len(line) > MAX_EVENT_BYTES:
                long = f"the event would be {len(line):,} bytes long, more than {MAX_EVENT_BYTES:,}"
                wrong[row.at] = [self._problem(row, Problem(long), {})]
            if self._said.key and not any(row.values.get(name) not in (None, "") for name in self._said.key):
                wrong[row.at] = [self._problem(row, Problem("the key is empty"), {}, self._said.key[0])]
        if lines:
            try:
                for event in decode_events(b"\n".join(lines)):
                    self.kinds[str(type(event).__struct_config__.tag)] += 1
            except EventError as error:
                self._sort_in(error, readable, wrong)
        if self._rows.columns is None and len(self._seen) < _MOST_COLUMNS:
            self._seen.update(dict.fromkeys(name for row in readable for name in row.values))
        for at in sorted(wrong):
            yield from wrong[at]

    def _sort_in(self, error: EventError, rows: Sequence[Row], wrong: dict[int, list[Problem]]) -> None:
        for problem in error.problems:
            if sum(map(len, wrong.values())) > MOST_PROBLEMS:
                return
            place = problem.where or Location()
            if place.field in self._said.constants:  # the same in every row: told once, of none
                if place.field not in self._told:
                    self._told.add(place.field)
                    said = f"--set {place.field}={self._said.constants[place.field]}: {problem.message}."
                    wrong.setdefault(-1, []).append(Problem(said, hint=problem.hint))
                continue
            row = rows[(place.line or 1) - 1]
            fields = self._plan.event(row.values, textual=self._rows.textual)
            wrong.setdefault(row.at, []).append(self._problem(row, problem, fields))

    def _lines(self, rows: Sequence[Row]) -> list[bytes]:
        textual = self._rows.textual
        return [
            msgspec.json.encode(self._plan.event(row.values, textual=textual), enc_hook=str) for row in rows
        ]

    def _unread(self, row: Row) -> Problem:
        place, before = self._rows.place(row.at, None)
        return Problem(f"{before}{row.wrong}", place)

    def _problem(
        self, row: Row, problem: Problem, fields: dict[str, Any], column: str | None = None
    ) -> Problem:
        """What the schema says of a row's event, said of the file."""
        field = problem.where.field if problem.where else None
        if field is not None:
            column = self._plan.column_of(field)
        place, before = self._rows.place(row.at, column or field)
        found = row.values.get(column or "", fields.get(field)) if field else None
        message = problem.message
        if found not in (None, ""):
            message = f"`{found!s:.60}` is no `{field}`: {message}"
        elif field is not None and field != column:
            message = f"{message} (`{field}`)"
        return Problem(f"{before}{message}.", place, _HINTS.get(field or "", problem.hint))
