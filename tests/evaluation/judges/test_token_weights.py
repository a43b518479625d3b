from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evaluation.judges.asking import tokens_of

from promptarena.evaluation.judges.token_weights import number_places, weighted_score

TEXT = '{"seal": "1", "axes": {"tone": {"rationale": "4 of 5, \\"score\\": 2", "score": 4}}}'
PATH = ("axes", "tone", "score")
PLACE = (TEXT.rindex("4"), TEXT.rindex("4") + 1)


def weigh(odds: dict[str, float], text: str = TEXT, place: tuple[int, int] = PLACE) -> float | None:
    return weighted_score(text, place, tokens_of(text, place, odds), 1, 5)


def test_the_place_of_a_score_is_found_past_strings_that_look_like_one() -> None:
    assert number_places(TEXT, PATH) == PLACE


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5), st.integers(-99, 99) | st.text() | st.floats(-10, 10), max_size=6
    )
)
def test_every_number_of_an_object_is_found_where_it_stands(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    for name, number in value.items():
        place = number_places(text, (name,))
        if isinstance(number, str):
            assert place is None
        else:
            assert place is not None
            assert json.loads(text[slice(*place)]) == number


def test_a_score_is_the_mean_of_the_scale_weighted_by_probability() -> None:
    # Liu et al. 2023, equation 1, by hand: 0.7 x 4 + 0.2 x 5 + 0.1 x 3.
    assert weigh({"4": 0.7, "5": 0.2, "3": 0.1}) == pytest.approx(4.1)


def test_probability_off_the_scale_is_left_out_of_the_mean() -> None:
    odds = {"4": 0.5, "5": 0.25, "9": 0.1, "four": 0.1, "0": 0.05}
    assert weigh(odds) == pytest.approx((0.5 * 4 + 0.25 * 5) / 0.75)


def test_the_same_score_with_and_without_a_blank_is_one_score() -> None:
    assert weigh({"4": 0.4, " 4": 0.2, "5": 0.2, " 5": 0.2}) == pytest.approx(4.4)


def test_where_most_of_the_probability_is_no_score_there_is_no_weighing() -> None:
    assert weigh({"4": 0.3, "{": 0.6}) is None


def test_tokens_that_are_not_those_of_the_text_weigh_nothing() -> None:
    tokens = tokens_of(TEXT, PLACE, {"4": 0.9})
    assert weighted_score(TEXT + " ", PLACE, tokens, 1, 5) is None
    assert weighted_score(TEXT, PLACE, tokens[1:], 1, 5) is None
    assert weighted_score(TEXT, PLACE, [{"token": TEXT, "logprob": -0.1}], 1, 5) is None


def test_a_token_that_is_part_of_a_character_is_told_by_its_bytes() -> None:
    text = '{"r": "ü", "score": 4}'
    place = (text.index("4"), text.index("4") + 1)
    tokens = tokens_of(text, place, {"4": 0.8, "5": 0.2})
    at = text.index("ü")
    raw = "ü".encode()
    tokens[at : at + 1] = [
        {"token": "\ufffd", "bytes": [raw[0]], "logprob": -0.1},
        {"token": "\ufffd", "bytes": [raw[1]], "logprob": -0.1},
    ]
    assert weighted_score(text, place, tokens, 1, 5) == pytest.approx(4.2)


@given(st.lists(st.floats(0.001, 1), min_size=5, max_size=5))
def test_it_lies_on_the_scale_and_is_the_plain_expectation(weights: list[float]) -> None:
    total = sum(weights)
    odds = {str(score): weight / total for score, weight in zip((4, 1, 2, 3, 5), weights, strict=True)}
    found = weigh(odds)
    assert found is not None
    assert 1 <= found <= 5
    assert math.isclose(found, sum(int(score) * p for score, p in odds.items()), rel_tol=1e-9)
