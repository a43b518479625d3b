from __future__ import annotations

import math
from typing import Any

import pytest

from promptarena.assignment.eligibility import Rules, as_text
from promptarena.definitions.eligibility import Condition


def admits(eligibility: dict[str, Any], attributes: dict[str, Any]) -> bool:
    return Rules({name: Condition.model_validate(said) for name, said in eligibility.items()}).admit(
        attributes
    )


@pytest.mark.parametrize(
    ("eligibility", "attributes", "expected"),
    [
        ({}, {}, True),
        ({}, {"tier": "free"}, True),
        # one value, a list of values
        ({"tier": "free"}, {"tier": "free"}, True),
        ({"tier": "free"}, {"tier": "plus"}, False),
        ({"tier": "free"}, {"tier": "Free"}, False),
        ({"tier": "free"}, {"tier": "free "}, False),
        ({"tier": "free"}, {}, False),
        ({"tier": "free"}, {"tier": None}, False),
        ({"tier": "free"}, {"tier": ""}, False),
        ({"tier": ["free", "plus"]}, {"tier": "plus"}, True),
        ({"tier": ["free", "plus"]}, {"tier": "team"}, False),
        # all conditions must hold
        ({"tier": "free", "country": "DE"}, {"tier": "free", "country": "DE"}, True),
        ({"tier": "free", "country": "DE"}, {"tier": "free", "country": "FR"}, False),
        ({"tier": "free", "country": "DE"}, {"country": "DE"}, False),
        # not: the attribute may be absent
        ({"cohort": {"not": "internal"}}, {"cohort": "public"}, True),
        ({"cohort": {"not": "internal"}}, {"cohort": "internal"}, False),
        ({"cohort": {"not": ["internal", "test"]}}, {"cohort": "test"}, False),
        ({"cohort": {"not": "internal"}}, {}, True),
        ({"cohort": {"not": "internal"}}, {"cohort": None}, True),
        # in and not together
        ({"country": {"in": ["DE", "FR"], "not": "FR"}}, {"country": "DE"}, True),
        ({"country": {"in": ["DE", "FR"], "not": "FR"}}, {"country": "FR"}, False),
        ({"country": {"in": ["DE", "FR"], "not": "FR"}}, {}, False),
        # types are lost on the wire
        ({"level": 3}, {"level": 3}, True),
        ({"level": 3}, {"level": 3.0}, True),
        ({"level": 3}, {"level": "3"}, True),
        ({"level": "3"}, {"level": 3}, True),
        ({"level": 3}, {"level": 3.5}, False),
        ({"level": 2.5}, {"level": "2.5"}, True),
        ({"level": 10**30}, {"level": 10**30}, True),
        ({"beta": True}, {"beta": True}, True),
        ({"beta": True}, {"beta": "true"}, True),
        ({"beta": True}, {"beta": 1}, False),
        ({"beta": 1}, {"beta": True}, False),
        ({"beta": False}, {"beta": False}, True),
        ({"beta": False}, {}, False),
        ({"beta": {"not": True}}, {"beta": "true"}, False),
        # what cannot be read is kept out
        ({"tier": "free"}, {"tier": ["free"]}, False),
        ({"cohort": {"not": "internal"}}, {"cohort": ["internal"]}, False),
        ({"cohort": {"not": "internal"}}, {"cohort": {"name": "public"}}, False),
        ({"level": {"not": 3}}, {"level": math.nan}, False),
        ({"level": {"not": 3}}, {"level": math.inf}, False),
    ],
)
def test_a_unit_takes_part_where_all_conditions_hold(
    eligibility: dict[str, Any], attributes: dict[str, Any], expected: bool
) -> None:
    assert admits(eligibility, attributes) is expected


def test_no_conditions_are_falsy_so_that_nobody_is_asked() -> None:
    assert not Rules({})
    assert Rules({"tier": Condition.model_validate("free")})


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), ("", ""), (-0.0, "0"), (1e16, "10000000000000000"), (0.1, "0.1"), (b"a", None), ((), None)],
)
def test_scalars_have_one_spelling(value: object, text: str | None) -> None:
    assert as_text(value) == text
