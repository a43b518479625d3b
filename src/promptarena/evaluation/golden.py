"""Real traffic becomes golden cases: what was kept, redacted, each request once, with its source."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.events import Content, Generation
from promptarena.definitions.project import Project
from promptarena.errors import Location, StorageError, UsageError
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.records import read_records
from promptarena.storage.arrow_schema import table_to_events
from promptarena.storage.log_relation import events_relation
from promptarena.storage.redaction import REDACTIONS, redacted
from promptarena.storage.snapshot import Snapshot
from promptarena.storage.warehouse import Warehouse, fetch

__all__ = ["Added", "Chosen", "Columns", "add_golden", "refuse_without_content"]

_SOURCE: Final = "request_id"
"""The column that says which request a case was."""
_HOW: Final = "Write into arena.yaml: content: {sample: 10%, retention: 30d, redact: [email, phone, card]}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which requests; what is not said accepts all."""

    requests: tuple[str, ...] = ()
    """These; then nothing else is asked of them."""
    feature: str | None = None
    measurement: str | None = None
    """Only those of which, or of whose conversation, this was measured ..."""
    least: float | None = None
    """... with at least this value ..."""
    most: float | None = None
    """... and at most this one."""
    since: datetime | None = None
    """The earliest `ts` of their content."""
    limit: int = 20
    """How many, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where in the dataset the parts of a request go."""

    id: str = "id"
    input: str = "input"
    output: str = "output"
    """What was answered then; no reference until somebody has looked at it."""
    context: str = "context"


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What came of it."""

    dataset: Path
    added: tuple[str, ...]
    """Requests, as they stand in the file now."""
    known: tuple[str, ...]
    """Requests that were in it already."""
    without_content: tuple[str, ...]
    """Requests that were asked for by id, and of which nothing is kept."""


def refuse_without_content(project: Project) -> None:
    """Refuse where a project keeps nothing of questions and answers.

    Raises:
        UsageError: it keeps none; says how to turn it on.
    """
    if project.content is None or project.content.sample == 0:
        raise UsageError(
            "This project keeps no content of requests, so there is nothing to make cases of.",
            where=Location(project.file, field="content"),
            hint=f"{_HOW} Requests from then on are kept.",
        )


def add_golden(snapshot: Snapshot, chosen: Chosen, dataset: Path, columns: Columns, now: datetime) -> Added:
    """Append requests to a dataset.

    All of it is redacted once more, whatever was when it was written: a dataset is shared more widely
    than a log.

    Args:
        snapshot: of the log.
        chosen: which requests.
        dataset: a .jsonl file; made where there is none.
        columns: of that file.
        now: when it is added.

    Raises:
        UsageError: the dataset is no file that lines can be appended to.
        DataError: the dataset cannot be read, or the log cannot.
        StorageError: it cannot be written.
    """
    if dataset.suffix.lower() not in (".jsonl", ".ndjson"):
        raise UsageError(
            "Cases are appended to JSON lines.", where=Location(dataset), hint="Name a .jsonl file."
        )
    with Warehouse() as warehouse:
        contents = _contents(snapshot, chosen, warehouse)
        calls = _calls(snapshot, [content.request_id for content in contents], warehouse)
    found = {content.request_id for content in contents}
    rows = {
        content.request_id: _row(content, calls.get(content.request_id), columns, now)
        for content in reversed(contents)
    }
    known = _append(dataset, rows, columns)
    return Added(
        dataset=dataset,
        added=tuple(request for request in rows if request not in known),
        known=tuple(request for request in rows if request in known),
        without_content=tuple(request for request in chosen.requests if request not in found),
    )


def _contents(snapshot: Snapshot, chosen: Chosen, warehouse: Warehouse) -> list[Content]:
    """The newest first; of a request with several contents the first that was received."""
    import ibis

    contents = events_relation(warehouse.connection, snapshot.tables("content"))
    if chosen.requests:
        contents = contents.filter(contents.request_id.isin(list(chosen.requests)))
    if chosen.since is not None:
        contents = contents.filter(contents.ts >= ibis.literal(chosen.since))
    if chosen.feature is not None:
        calls = events_relation(warehouse.connection, snapshot.tables("generation"))
        mine = calls.filter((calls.feature == chosen.feature) & (calls.role == "served"))
        contents = contents.semi_join(mine, "request_id")
    if chosen.measurement is not None:
        said = events_relation(warehouse.connection, snapshot.tables("measurement"))
        said = said.filter(said.name == chosen.measurement)
        if chosen.least is not None:
            said = said.filter(said.value >= chosen.least)
        if chosen.most is not None:
            said = said.filter(said.value <= chosen.most)
        of_requests = said.filter(said.target_kind == "request")
        of_conversations = said.filter(said.target_kind == "conversation")
        by_request = contents.semi_join(of_requests, contents.request_id == of_requests.target)
        by_conversation = contents.semi_join(
            of_conversations, contents.conversation_id == of_conversations.target
        )
        contents = by_request.union(by_conversation, distinct=True)
    limit = max(chosen.limit, len(chosen.requests))
    newest = contents.order_by(ibis.desc("ts"), ibis.desc("event_id")).limit(limit)
    events = table_to_events("content", fetch(newest.select(*contents.columns)))
    first: dict[str, Content] = {}
    for event in events:
        assert isinstance(event, Content)
        if event.input is not None:  # an answer alone is no case
            first.setdefault(event.request_id, event)
    return list(first.values())


def _calls(snapshot: Snapshot, requests: Sequence[str], warehouse: Warehouse) -> dict[str, Generation]:
    calls = events_relation(warehouse.connection, snapshot.tables("generation"))
    mine = fetch(calls.filter(calls.request_id.isin(list(requests) or [""])).select(*calls.columns))
    return {
        event.request_id: event
        for event in table_to_events("generation", mine)
        if isinstance(event, Generation)
    }


def _row(content: Content, call: Generation | None, columns: Columns, now: datetime) -> dict[str, Any]:
    source: dict[str, Any] = {
        _SOURCE: content.request_id,
        "happened": content.ts.isoformat(),
        "added": now.isoformat(),
    }
    if call is not None:
        named = {"feature": call.feature, "experiment": call.experiment, "variant": call.variant}
        source |= {name: value for name, value in named.items() if value is not None}
    said = {
        columns.id: content.request_id,
        columns.input: _plain_input(content.input),
        columns.context: content.context,
        columns.output: content.output,
        "tool_calls": content.tool_calls,
    }
    kept = {name: value for name, value in said.items() if value is not None}
    clean = {
        name: value if name == columns.id else redacted(value, REDACTIONS) for name, value in kept.items()
    }
    return clean | {"source": source}


def _plain_input(value: Any) -> Any:
    """A chat of one message by a user is what it says."""
    match value:
        case [{"role": "user", "content": str() as text}]:
            return text
        case _:
            return value


def _append(dataset: Path, rows: Mapping[str, Mapping[str, Any]], columns: Columns) -> set[str]:
    """Append those rows whose request is not there; gives the requests that are."""
    try:
        dataset.parent.mkdir(parents=True, exist_ok=True)
        with dataset.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            known = set(_requests(dataset, columns)) if dataset.stat().st_size else set()
            new = [row for request, row in rows.items() if request not in known]
            if new:
                file.seek(0, os.SEEK_END)
                lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in new)
                file.write((b"" if _ends_in_newline(dataset) else b"\n") + lines.encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())
            return known & rows.keys()
    except OSError as error:
        message = f"The dataset cannot be written: {error.strerror}."
        raise StorageError(message, where=Location(dataset)) from error


def _requests(dataset: Path, columns: Columns) -> Iterator[str]:
    """The requests that a dataset's cases come from, and its cases' ids."""
    problems = DataProblems()
    for record in read_records(dataset, problems):
        source = record.values.get("source")
        if isinstance(source, dict):
            yield str(source.get(_SOURCE))
        yield str(record.values.get(columns.id))
    problems.raise_any()


def _ends_in_newline(path: Path) -> bool:
    size = path.stat().st_size
    if size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
