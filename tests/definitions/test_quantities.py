from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from promptarena.definitions.quantities import Duration, Margin, Number, Whole, parse_duration, parse_share
from promptarena.definitions.secret_guard import looks_secret
from promptarena.definitions.suggestion import did_you_mean, listed, nearest


@given(thousandths=st.integers(0, 100_000))
def test_a_percentage_is_exactly_its_decimal_fraction(thousandths: int) -> None:
    percent = f"{thousandths // 1000}.{thousandths % 1000:03d}%"
    fraction = float(f"{thousandths // 100_000}.{thousandths % 100_000:05d}")
    assert parse_share(percent) == fraction
    assert Margin.model_validate(percent) == Margin(value=fraction, relative=True)


@pytest.mark.parametrize("written", ["ten", "10", "-1%", "101%", -0.1, 1.1, True, None, [0.1]])
def test_what_is_no_share_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        parse_share(written)


@given(seconds=st.integers(0, 10**8))
def test_a_duration_survives_being_written_and_read(seconds: int) -> None:
    adapter = TypeAdapter[timedelta](Duration)
    duration = timedelta(seconds=seconds)
    assert adapter.validate_python(f"{seconds}s") == duration
    assert parse_duration(f"{seconds}s") == duration


@pytest.mark.parametrize("written", ["5", 5, "5 y", "h", "-5m", "", None])
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(written)


@pytest.mark.parametrize("written", [True, "1", float("inf"), None])
def test_a_number_is_a_finite_number(written: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter[float](Number).validate_python(written)
    with pytest.raises(ValidationError):
        TypeAdapter[int](Whole).validate_python(written)


def test_margins_print_as_they_are_written() -> None:
    assert [str(Margin.model_validate(written)) for written in (300, 0.02, "2%", "0.5%")] == [
        *("300", "0.02", "2%", "0.5%")
    ]


def test_the_nearest_name_is_suggested_and_a_far_one_is_not() -> None:
    assert nearest("Latency-P95", ["latency_p95", "latency_p99"]) == "latency_p95"
    assert did_you_mean("latncy_p95", ["latency_p95", "cost_usd"]) == "Did you mean `latency_p95`?"
    assert did_you_mean("colour", ["latency_p95", "cost_usd"]) is None
    assert listed([f"m{n}" for n in range(5)], most=3) == "`m0`, `m1`, `m2` and 2 more"
    assert listed([]) == "none"


@given(duration=st.timedeltas(timedelta(0), timedelta(days=4_000)))
def test_a_duration_reads_back_as_it_was_written(duration: timedelta) -> None:
    adapter = TypeAdapter(Duration)
    assert adapter.validate_python(adapter.dump_python(duration)) == duration


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-0123456789abcdefghij",
        "use AKIAABCDEFGHIJKLMNOP here",
        "ghp_" + "a1" * 18,
        "Authorization: Bearer abcdefghijklmnop1234",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_known_kinds_of_keys_look_secret(text: str) -> None:
    assert looks_secret(text)


@pytest.mark.parametrize(
    "text", ["OPENAI_API_KEY", "task-list", "Bearer tokens are secret.", "risk-averse-wording-here"]
)
def test_ordinary_words_do_not(text: str) -> None:
    assert not looks_secret(text)
