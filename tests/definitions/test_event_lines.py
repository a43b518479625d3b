from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.event_lines import (
    MAX_EVENT_BYTES,
    EventError,
    decode_events,
    decode_line,
    encode_entries,
    encode_events,
    encoded,
)
from promptarena.definitions.events import Content, Event, Exposure, Generation, Measurement

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_WIRE: dict[str, Any] = {
    "kind": "measurement",
    "ts": "2026-03-01T12:00:00Z",
    "name": "rating",
    "target_kind": "request",
    "target": "r1",
    "source": "human",
    "value": 4,
}


def _body(*objects: object) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in objects)


def _problems(*objects: object) -> list[str]:
    with pytest.raises(EventError) as caught:
        decode_events(_body(*objects))
    return [str(problem) for problem in caught.value.problems]


@given(
    st.lists(
        st.one_of(
            st.builds(
                Measurement,
                ts=st.datetimes(timezones=st.just(UTC)),
                name=st.text(min_size=1, max_size=20),
                target_kind=st.just("user"),
                target=st.text(min_size=1, max_size=20),
                source=st.sampled_from(["code", "judge", "human", "business"]),
                value=st.one_of(st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
                label=st.none() | st.text(),
            ),
            st.builds(
                Content,
                ts=st.just(_NOW),
                request_id=st.text(min_size=1, max_size=20),
                input=st.recursive(st.text() | st.integers(-9, 9), lambda inner: st.lists(inner, max_size=3)),
            ),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_events_come_back_as_they_were_in_one_line_each(events: list[Event]) -> None:
    lines = encode_events(events)
    assert lines.count(b"\n") == len(events)
    assert [decode_line(line) for line in lines.splitlines()] == events
    assert decode_events(lines) == events
    assert encode_events(events, checked=True) == lines


def test_a_json_array_is_read_like_lines() -> None:
    assert len(decode_events(json.dumps([_WIRE, _WIRE]).encode())) == 2


def test_an_event_without_an_id_is_given_one_and_received_at_is_not_the_clients() -> None:
    (event,) = decode_events(_body({**_WIRE, "received_at": "2020-01-01T00:00:00Z"}))
    assert event.received_at is None
    assert event.event_id != decode_events(_body(_WIRE))[0].event_id


def test_a_word_that_is_none_of_a_few_is_told_with_them() -> None:
    assert _problems({**_WIRE, "source": "robot"}) == [
        "line:1 (source): invalid enum value 'robot'. Accepted: `code`, `judge`, `human`, `business`.",
    ]


def test_all_mistakes_of_all_events_come_at_once_with_line_field_and_suggestion() -> None:
    problems = _problems(
        _WIRE,
        {**_WIRE, "value": "four", "targt": "r1", "source": "humam"},
        {"kind": "mesurement"},
        {"kind": "generation", "ts": "yesterday", "feature": ""},
    )
    assert problems == [
        "line:2 (targt): unknown field. Did you mean `target`?",
        "line:2 (source): invalid enum value 'humam'. Did you mean `human`?",
        "line:2 (value): expected `bool | float | null`, got `str`",
        "line:3 (kind): 'mesurement' is not a kind of event. "
        "Accepted: `exposure`, `generation`, `measurement`, `content`.",
        "line:4 (ts): invalid RFC3339 encoded datetime",
        "line:4 (request_id): a required field is missing",
        "line:4 (feature): expected `str` of length >= 1",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ts": "2026-03-01T12:00:00"}, "timezone"),
        ({"ts": 1772366400}, "expected `datetime`"),
        ({"ts": "0001-01-01T00:00:00+05:00"}, "not a moment in UTC"),
        ({"event_id": "order-17"}, "not an event id"),
        ({"value": None}, "needs a value or a label"),
        ({"sampling_probability": 0}, "> 0"),
        ({"sampling_probability": 1.5}, "<= 1"),
        ({"position": -1}, ">= 0"),
        ({"position": 1.5}, "expected `int | null`"),
        ({"kind": None}, "has no kind"),
    ],
)
def test_what_breaks_the_schema_is_refused_with_its_reason(change: dict[str, Any], message: str) -> None:
    (problem,) = _problems({**_WIRE, **change})
    assert message in problem


@pytest.mark.parametrize(
    "body", [b"{", b"[1", b"3", b'"text"', b"\xff\xfe", b'{"kind":"measurement"', b"[[]]", b"null"]
)
def test_what_is_no_event_at_all_is_refused_without_a_traceback_of_ours(body: bytes) -> None:
    with pytest.raises(EventError) as caught:
        decode_events(body)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            Measurement(ts=_NOW, name="a", target_kind="b", target="c", source="code", value=float("nan")),
            "NaN",
        ),
        (Measurement(ts=_NOW, name="a", target_kind="b", target="c", source="code", value="4"), "got `str`"),  # type: ignore[arg-type]
        (Generation(ts=_NOW, request_id="r", feature="f", cost_usd=float("inf")), "infinity"),
        (Generation(ts=_NOW, request_id="r", feature="f", input_tokens=-1), ">= 0"),
        (Generation(ts=_NOW, request_id="r\ud800", feature="f"), "surrogate"),
        (Generation(ts=datetime(2026, 1, 1), request_id="r", feature="f"), "timezone"),  # noqa: DTZ001
        (Content(ts=_NOW, request_id="r", input={"deep": [1, float("nan")]}), "NaN"),
        (Content(ts=_NOW, request_id="r", input=object()), "cannot be written as JSON"),
        (Content(ts=_NOW, request_id="r", input=msgspec.Raw(b'{\n"a":1}')), "line break"),
        (Content(ts=_NOW, request_id="r", input=msgspec.Raw(b'{"a":')), "passed on as JSON"),
        (Content(ts=_NOW, request_id="r", input=[msgspec.Raw(b'"\0"')]), "passed on as JSON"),
        (Content(ts=_NOW, request_id="r", input="x" * MAX_EVENT_BYTES), "bytes long"),
        ("text", "str is not an event"),
    ],
)
def test_an_event_built_with_wrong_values_is_refused_before_it_is_written(event: Any, message: str) -> None:
    good = Generation(ts=_NOW, request_id="r", feature="f")
    with pytest.raises(EventError, match=message) as caught:
        encode_events([good, event])
    if message != "line break":
        assert "[1]" in str(caught.value)


def test_entries_are_encoded_together_and_what_cannot_be_is_told_apart() -> None:
    good = [Generation(ts=_NOW, request_id=str(at), feature="f") for at in range(4)]
    bad = Generation(ts=_NOW, request_id="r", feature="f", params={"a": object()})
    long = Content(ts=_NOW, request_id="r", input="x" * MAX_EVENT_BYTES)
    ready = encoded(encode_events(good[1:3]))
    assert encode_entries([good[0], ready, good[3]]) == (encode_events(good), {})
    lines, refused = encode_entries([good[0], bad, ready, long, good[3]])
    assert lines == encode_events(good)
    assert list(refused) == [1, 3]
    assert "(params): this cannot be written as JSON" in str(refused[1])
    assert f"bytes long, more than {MAX_EVENT_BYTES:,}" in str(refused[3])
    assert encode_entries([bad])[0] == b""
    assert list(encode_entries([good[0], long])[1]) == [1]


def test_many_entries_may_be_longer_together_than_one_may_be() -> None:
    half = Content(ts=_NOW, request_id="r", input="x" * (MAX_EVENT_BYTES // 2))
    entries = [half, encoded(encode_events([half])), half]
    assert encode_entries(entries) == (encode_events([half]) * 3, {})


def test_harmless_differences_are_no_mistakes() -> None:
    east = timezone(timedelta(hours=5))
    event = Content(ts=_NOW.astimezone(east), request_id="r", input=("a", "b"))
    (read,) = decode_events(encode_events([event]))
    assert read.ts == event.ts
    assert isinstance(read, Content)
    assert read.input == ["a", "b"]


def test_a_line_break_in_a_text_stays_within_its_line() -> None:
    event = Content(ts=_NOW, request_id="r", input="a\n{b}\r\n\u2028")
    assert encode_events([event]).count(b"\n") == 1
    assert decode_events(encode_events([event])) == [event]


def test_an_exposure_needs_a_probability() -> None:
    exposure = Exposure(
        ts=_NOW,
        event_id=new_event_id(),
        experiment="e",
        definition_hash="h",
        stage="ab",
        epoch=0,
        variant="control",
        propensity=0.0,
        unit_kind="user",
        unit_id="u",
    )
    with pytest.raises(EventError, match="propensity"):
        encode_events([exposure])
