"""Tool calls as providers write them, held against those expected; matching against all assignments."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.check_rules import ExpectedCall
from promptarena.evaluation.tool_calls import MadeCall, calls_match, read_calls, read_expected


def expected(*calls: tuple[str, dict[str, Any]]) -> list[ExpectedCall]:
    return [ExpectedCall(name=name, arguments=arguments) for name, arguments in calls]


@pytest.mark.parametrize(
    "written",
    [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "find", "arguments": '{"id": 7, "deep": true}'},
        },
        {"type": "tool_use", "id": "t1", "name": "find", "input": {"id": 7, "deep": True}},
        {"type": "function_call", "name": "find", "arguments": '{"deep": true, "id": 7.0}'},
    ],
)
def test_every_form_of_a_call_is_read(written: dict[str, Any]) -> None:
    made = read_calls([written])
    assert made == [MadeCall("find", {"id": 7, "deep": True})]
    assert calls_match(expected(("find", {"id": 7})), made, exactly=True)
    assert not calls_match(expected(("find", {"id": "7"})), made, exactly=True)
    assert not calls_match(expected(("find", {"deep": 1})), made, exactly=True)
    assert not calls_match(expected(("find", {"other": 1})), made, exactly=True)


def test_arguments_that_are_no_json_match_no_expected_arguments() -> None:
    made = read_calls([{"function": {"name": "find", "arguments": "{broken"}}])
    assert calls_match(expected(("find", {})), made, exactly=False)
    assert not calls_match(expected(("find", {"id": 7})), made, exactly=False)


def test_the_same_call_expected_twice_must_be_made_twice() -> None:
    once = [MadeCall("find", {"id": 7})]
    wanted = expected(("find", {}), ("find", {"id": 7}))
    assert not calls_match(wanted, once, exactly=False)
    assert calls_match(wanted, [*once, MadeCall("find", {"id": 8})], exactly=True)


def test_others_are_allowed_unless_exactly_these_are_asked_for() -> None:
    made = [MadeCall("log", {}), MadeCall("find", {})]
    assert calls_match(expected(("find", {})), made, exactly=False)
    assert not calls_match(expected(("find", {})), made, exactly=True)


SMALL = st.dictionaries(st.sampled_from("ab"), st.integers(0, 1), max_size=2)
CALLS = st.lists(st.tuples(st.sampled_from(["f", "g"]), SMALL), max_size=4)


@given(wanted=CALLS, made=CALLS)
def test_a_match_is_found_exactly_where_some_assignment_is_one(wanted: Any, made: Any) -> None:
    calls = [MadeCall(name, arguments) for name, arguments in made]

    def fits(one: tuple[str, dict[str, int]], call: MadeCall) -> bool:
        return one[0] == call.name and one[1].items() <= call.arguments.items()

    by_definition = any(
        all(fits(one, call) for one, call in zip(wanted, chosen, strict=True))
        for chosen in permutations(calls, len(wanted))
    )
    assert calls_match(expected(*wanted), calls, exactly=False) == by_definition


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("find", ["find"]),
        ("find, send", ["find", "send"]),
        ('["find", {"name": "send", "arguments": {"a": 1}}]', ["find", "send"]),
        ('{"function": {"name": "find", "arguments": "{}"}}', ["find"]),
        ("[]", []),
        ("[{", None),
        ("[1]", None),
        ('[{"arguments": {}}]', None),
        (",", None),
    ],
)
def test_expected_calls_are_read_out_of_a_cell(text: str, names: list[str] | None) -> None:
    found = read_expected(text)
    assert (None if found is None else [call.name for call in found]) == names
