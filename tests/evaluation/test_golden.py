"""Golden cases out of a log: which requests, redacted, each once, with their source, never over what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.events import Content, Event, Generation, Measurement
from promptarena.definitions.project import load_project
from promptarena.errors import DataError, StorageError, UsageError
from promptarena.evaluation.dataset import load_dataset
from promptarena.evaluation.golden import Added, Chosen, Columns, add_golden, refuse_without_content
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.event_log import EventLog

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def request(number: int, rating: float | None, *, feature: str = "bot") -> Iterator[Event]:
    at, name = NOW + timedelta(minutes=number), f"r{number}"
    yield Generation(ts=at, request_id=name, feature=feature, conversation_id=f"c{number}", variant="control")
    yield Content(
        ts=at,
        request_id=name,
        conversation_id=f"c{number}",
        input=[{"role": "user", "content": f"I am ann{number}@example.org. Where is it?"}],
        output="We write to bob@shop.example.",
        context=[{"text": "call +44 20 7946 0958"}],
    )
    if rating is not None:
        kind, target = ("request", name) if number % 2 else ("conversation", f"c{number}")
        yield Measurement(ts=at, name="rating", target_kind=kind, target=target, source="human", value=rating)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    opened = EventLog(tmp_path / "log", content=ContentPolicy(sample=1.0, redact=frozenset()))
    for number, rating in enumerate([1.0, 5.0, 2.0, None, 1.5, 4.0]):
        opened.append(list(request(number, rating, feature="other" if number == 4 else "bot")))
    opened.append(Content(ts=NOW, request_id="r9", output="an answer alone"))
    return opened


def add(log: EventLog, dataset: Path, columns: Columns | None = None, **chosen: Any) -> Added:
    return add_golden(log.snapshot(), Chosen(**chosen), dataset, columns or Columns(), NOW)


def rows(dataset: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in dataset.read_text().splitlines()]


def test_a_request_becomes_a_case_redacted_and_with_its_source(log: EventLog, tmp_path: Path) -> None:
    done = add(log, tmp_path / "g.jsonl", requests=("r1", "unknown"))
    assert (done.added, done.known, done.without_content) == (("r1",), (), ("unknown",))
    [row] = rows(tmp_path / "g.jsonl")
    assert row == {
        "id": "r1",
        "input": "I am [email]. Where is it?",
        "context": [{"text": "call [phone]"}],
        "output": "We write to [email].",
        "source": {
            "request_id": "r1",
            "happened": "2026-03-01T12:01:00+00:00",
            "added": "2026-03-01T12:00:00+00:00",
            "feature": "bot",
            "variant": "control",
        },
    }
    [case] = load_dataset(DatasetSource(file="g.jsonl", input="input", context="context"), tmp_path).cases()
    assert (case.text, case.context) == ("I am [email]. Where is it?", ("call [phone]",))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"measurement": "rating", "most": 2.0}, ("r0", "r2", "r4")),
        ({"measurement": "rating", "most": 2.0, "feature": "bot"}, ("r0", "r2")),
        ({"measurement": "rating", "least": 4.0}, ("r1", "r5")),
        ({"measurement": "rating"}, ("r0", "r1", "r2", "r4", "r5")),
        ({"measurement": "csat"}, ()),
        ({"since": NOW + timedelta(minutes=4)}, ("r4", "r5")),
        ({"limit": 2}, ("r4", "r5")),
        ({"requests": ("r9",)}, ()),
    ],
)
def test_requests_are_chosen_by_what_was_said_of_them(
    log: EventLog, tmp_path: Path, chosen: dict[str, Any], expected: tuple[str, ...]
) -> None:
    assert add(log, tmp_path / "g.jsonl", **chosen).added == expected


def test_no_request_is_added_twice_whatever_stands_in_the_file(log: EventLog, tmp_path: Path) -> None:
    dataset = tmp_path / "golden" / "g.jsonl"
    dataset.parent.mkdir()
    dataset.write_text('{"id": "mine", "input": "by hand"}\n{"id": "r2", "input": "known by its id"}')
    assert add(log, dataset, limit=3).added == ("r3", "r4", "r5")
    again = add(log, dataset)
    assert (again.added, set(again.known)) == (("r0", "r1"), {"r2", "r3", "r4", "r5"})
    assert add(log, dataset).added == ()
    written = [row["id"] for row in rows(dataset)]
    assert len(written) == len(set(written)) == 7


def test_the_datasets_own_columns_are_used(log: EventLog, tmp_path: Path) -> None:
    columns = Columns(id="qid", input="question", output="said", context="documents")
    add(log, tmp_path / "g.jsonl", columns, requests=("r1",))
    assert list(rows(tmp_path / "g.jsonl")[0]) == ["qid", "question", "documents", "said", "source"]
    assert add(log, tmp_path / "g.jsonl", columns, requests=("r1",)).known == ("r1",)


def test_a_person_who_was_erased_becomes_no_case(log: EventLog, tmp_path: Path) -> None:
    log.erase("conversation", "c1")
    assert add(log, tmp_path / "g.jsonl", requests=("r1",)).without_content == ("r1",)
    assert not (tmp_path / "g.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("g.csv", None, UsageError, "Cases are appended to JSON lines. Name a .jsonl file."),
        ("g.jsonl", "{broken\n", DataError, "g.jsonl:1:2: This is not JSON"),
        ("a/g.jsonl", None, StorageError, "The dataset cannot be written"),
    ],
)
def test_a_file_that_cannot_be_added_to_is_told_and_left_alone(
    log: EventLog, tmp_path: Path, name: str, content: str | None, error: type[Exception], said: str
) -> None:
    (tmp_path / "a").write_text("a file in the folder's place")
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(error, match=said):
        add(log, tmp_path / name)
    if content is not None:
        assert (tmp_path / name).read_text() == content


def test_where_no_content_is_kept_it_says_how_to_turn_it_on(tmp_path: Path) -> None:
    text = "providers: {p: {base_url: 'http://127.0.0.1:1/v1'}}\nfeatures: {bot: {provider: p, model: m}}\n"
    (tmp_path / "arena.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"keeps no content .* content: \{sample: 10%"):
        refuse_without_content(load_project(tmp_path))
    (tmp_path / "arena.yaml").write_text(text + "content: {sample: 10%}\n")
    refuse_without_content(load_project(tmp_path))
