from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.event_id import event_id_for, is_event_id, new_event_id, time_of_event_id

_MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)


@given(_MOMENTS)
def test_a_name_is_a_version_7_uuid_to_the_standard_library_and_keeps_its_time(at: datetime) -> None:
    name = new_event_id(at)
    parsed = UUID(name)
    assert str(parsed) == name
    assert parsed.variant == "specified in RFC 4122"
    assert (parsed.int >> 76) & 0xF == 7
    assert timedelta(0) <= at - time_of_event_id(name) < timedelta(milliseconds=1)


@given(_MOMENTS, _MOMENTS)
def test_names_sort_by_time(one: datetime, other: datetime) -> None:
    if other - one >= timedelta(milliseconds=1):
        assert new_event_id(one) < new_event_id(other)


def test_names_of_one_moment_differ() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert len({new_event_id(at) for _ in range(20_000)}) == 20_000


@given(st.text(), st.text(), _MOMENTS)
def test_a_key_and_a_time_always_give_the_same_name_and_other_keys_another(
    key: str, other: str, ts: datetime
) -> None:
    try:
        key.encode(), other.encode()
    except UnicodeEncodeError:
        return
    assert event_id_for(key, ts) == event_id_for(key, ts)
    assert (event_id_for(key, ts) == event_id_for(other, ts)) == (key == other)
    assert is_event_id(event_id_for(key, ts))


@pytest.mark.parametrize(
    "text", ["", "order-17", "019C1159-7000-7B3F-8B01-DC250833D03B", "019c1159-7000-4b3f-8b01-dc250833d03b"]
)
def test_other_texts_are_no_names(text: str) -> None:
    assert not is_event_id(text)
    with pytest.raises(ValueError, match="not an event id"):
        time_of_event_id(text)


def test_times_outside_of_the_prefix_share_its_ends() -> None:
    assert time_of_event_id(new_event_id(datetime(1900, 1, 1, tzinfo=UTC))).year == 1970
