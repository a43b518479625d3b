"""The same events are chosen from what is stored and from what comes; listing is newest first, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptarena.definitions.events import EVENT_TYPES, Content, Event, Exposure, Generation, Measurement
from promptarena.errors import UsageError
from promptarena.storage.arrow_schema import events_to_table, table_to_events
from promptarena.storage.content_policy import ContentPolicy
from promptarena.storage.event_filter import FACTS, EventFilter, read_filter, read_since
from promptarena.storage.event_list import events_of_each_kind, newest_events
from promptarena.storage.event_log import EventLog

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

ids = st.sampled_from(["a", "b", "c"])
maybe = st.none() | ids
moments = st.integers(0, 5).map(lambda minutes: NOW + timedelta(minutes=minutes))
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
exposures = st.builds(
    Exposure,
    ts=moments,
    experiment=ids,
    definition_hash=ids,
    stage=ids,
    epoch=st.just(0),
    variant=ids,
    propensity=st.just(0.5),
    unit_kind=ids,
    unit_id=ids,
    attributes=st.dictionaries(ids, st.integers(0, 9) | st.booleans() | ids),
    segments=st.dictionaries(ids, ids),
    slots=st.none() | st.dictionaries(ids, ids),
    request_id=maybe,
)
generations = st.builds(
    Generation,
    ts=moments,
    request_id=ids,
    feature=ids,
    user_id=maybe,
    session_id=maybe,
    conversation_id=maybe,
    experiment=maybe,
    params=st.none() | st.dictionaries(st.text(max_size=3), anything, max_size=2),
    latency_ms=st.none() | st.floats(0, 1e6),
    stream=st.none() | st.booleans(),
    retry_count=st.integers(0, 3),
)
measurements = st.builds(
    Measurement,
    ts=moments,
    name=ids,
    target_kind=ids,
    target=ids,
    against=maybe,
    source=st.just("code"),
    value=st.floats(-9, 9),
    label=maybe,
)
contents = st.builds(Content, ts=moments, request_id=ids, user_id=maybe, input=anything, output=anything)
any_events = st.lists(st.one_of(exposures, generations, measurements, contents), max_size=12)
filters = st.builds(
    EventFilter,
    kinds=st.lists(st.sampled_from([*FACTS, "content"]), min_size=1, unique=True).map(tuple),
    experiment=maybe,
    unit=maybe,
    since=st.none() | moments,
)


@settings(max_examples=10)
@given(sent=any_events, wanted=filters, last=st.integers(1, 15), sealed=st.integers(0, 12))
def test_a_stored_event_is_listed_where_it_would_be_shown_as_it_comes(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Event], wanted: EventFilter, last: int, sealed: int
) -> None:
    with EventLog(tmp_path_factory.mktemp("log"), content=ContentPolicy(1.0)) as log:
        log.append(sent[:sealed])
        log.seal()
        log.append(sent[sealed:])
        log.append(sent[:3])  # again
        snapshot = log.snapshot()
    kinds = tuple(EVENT_TYPES[kind] for kind in wanted.kinds)
    right = [event for event in sent if isinstance(event, kinds) and wanted.matches(event)]
    right.sort(key=lambda event: (event.ts, event.event_id), reverse=True)
    found = newest_events(snapshot, wanted, last)
    assert all(event.received_at is not None for event in found)
    assert [msgspec.structs.replace(event, received_at=None) for event in found] == right[:last]
    assert events_of_each_kind(snapshot) == {
        kind: sum(isinstance(event, declared) for event in sent) for kind, declared in EVENT_TYPES.items()
    }


@given(sent=any_events)
def test_events_come_back_from_their_table_as_they_were(sent: list[Event]) -> None:
    for kind, declared in EVENT_TYPES.items():
        mine = [event for event in sent if isinstance(event, declared)]
        assert table_to_events(kind, events_to_table(kind, mine)) == mine


def test_a_filter_takes_in_its_own_moment_and_every_id_that_an_event_is_about() -> None:
    call = Generation(ts=NOW, request_id="r", feature="f", user_id="u", session_id="s", conversation_id="c")
    assert EventFilter(since=NOW).matches(call)
    assert not EventFilter(since=NOW + timedelta(microseconds=1)).matches(call)
    assert all(EventFilter(unit=id_).matches(call) for id_ in ("r", "u", "s", "c"))
    assert not EventFilter(unit="f").matches(call)
    assert not EventFilter(experiment="f").matches(call)
    duel = Measurement(
        ts=NOW, name="n", target_kind="request", target="r", against="q", source="judge", value=1.0
    )
    assert all(EventFilter(unit=id_).matches(duel) for id_ in ("r", "q"))
    assert not EventFilter(experiment="n").matches(duel)


def test_since_is_a_moment_or_a_duration() -> None:
    assert read_since("2h", NOW) == NOW - timedelta(hours=2)
    assert read_since("2026-01-31", NOW) == datetime(2026, 1, 31, tzinfo=UTC)
    assert read_since("2026-01-31T12:00:00", NOW) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert read_since("2026-01-31T12:00:00+01:00", NOW) == datetime(2026, 1, 31, 11, tzinfo=UTC)
    for wrong in ("yesterday", "", "2 fortnights", "9999999999w"):
        with pytest.raises(UsageError, match="--since"):
            read_since(wrong, NOW)


def test_a_kind_that_is_none_is_suggested_and_no_kind_leaves_out_content() -> None:
    assert read_filter([], None, None, None, NOW).kinds == FACTS
    assert read_filter(["content", "content"], None, None, "1h", NOW) == EventFilter(
        ("content",), since=NOW - timedelta(hours=1)
    )
    with pytest.raises(UsageError, match="Did you mean `exposure`"):
        read_filter(["exposures"], None, None, None, NOW)
