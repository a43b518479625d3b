"""The bit-parallel distance against the dynamic programme that defines it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promptarena.evaluation.edit_distance import levenshtein

TEXTS = st.text(alphabet="abcé\U0001f600", max_size=40)


def by_definition(one: str, other: str) -> int:
    """Wagner and Fischer 1974, a row at a time."""
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        above, row = row, [number]
        for place, right in enumerate(other, 1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (left != right)))
    return row[-1]


@given(TEXTS, TEXTS)
def test_it_is_the_distance_that_is_defined(one: str, other: str) -> None:
    assert levenshtein(one, other) == by_definition(one, other)


@given(TEXTS, TEXTS, TEXTS)
def test_it_is_a_metric(one: str, other: str, third: str) -> None:
    assert levenshtein(one, other) == levenshtein(other, one)
    assert (levenshtein(one, other) == 0) == (one == other)
    assert levenshtein(one, third) <= levenshtein(one, other) + levenshtein(other, third)


def test_longer_texts_than_a_machine_word() -> None:
    one, other = "ab" * 500, "ba" * 500 + "x"
    assert levenshtein(one, other) == by_definition(one, other) == 2
