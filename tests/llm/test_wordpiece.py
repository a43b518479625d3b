"""Pieces of words, as Hugging Face's `tokenizers` 0.23 gives them with the vocabulary of all-MiniLM-L6-v2."""

from __future__ import annotations

from itertools import islice

import pytest

from promptarena.llm.wordpiece import word_pieces

PUBLISHED = [
    ("I'm sorry!", ["i", "'", "m", "sorry", "!"]),
    ("Naïve CAFÉ", ["naive", "cafe"]),
    ("unaffable", ["una", "##ffa", "##ble"]),
    ("x" * 120, ["[UNK]"]),
    ("中文abc", ["中", "文", "abc"]),
    ("İstanbul 14 days", ["istanbul", "14", "days"]),
    ("a\u0301b\u200bc", ["abc"]),
    ("€5 don\u2019t", ["€", "##5", "don", "\u2019", "t"]),
    ("#refund_now", ["#", "ref", "##und", "_", "now"]),
    ("\tone\n two\u00a0three", ["one", "two", "three"]),
    ("", []),
]
PIECES = ["[UNK]", "[CLS]", "[SEP]", "[", "]", "sep", *(piece for _, pieces in PUBLISHED for piece in pieces)]
VOCABULARY = {piece: number for number, piece in enumerate(dict.fromkeys(PIECES))}


@pytest.mark.parametrize(("text", "pieces"), PUBLISHED)
def test_texts_fall_into_the_published_pieces(text: str, pieces: list[str]) -> None:
    names = list(VOCABULARY)
    assert [names[number] for number in word_pieces(text, VOCABULARY)] == pieces


def test_a_word_without_pieces_is_unknown_as_a_whole() -> None:
    assert list(word_pieces("unaffordable", VOCABULARY)) == [VOCABULARY["[UNK]"]]


def test_what_looks_like_a_special_token_is_text() -> None:
    found = list(word_pieces("[SEP]", VOCABULARY))
    assert found == [VOCABULARY["["], VOCABULARY["sep"], VOCABULARY["]"]]


def test_no_more_of_a_long_text_is_read_than_is_asked_for() -> None:
    assert len(list(islice(word_pieces("sorry " * 5_000_000, VOCABULARY), 254))) == 254
