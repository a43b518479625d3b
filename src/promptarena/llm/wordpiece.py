"""BERT's uncased tokenizer: words and marks apart, words in the longest pieces that the vocabulary has.

Devlin et al. 2019, "BERT", section 3 and their `tokenization.py`; the pieces are those of Wu et al. 2016,
section 4.1. What looks like a special token in a text, `[SEP]`, is text here and never the token: texts come
from strangers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["CLS", "SEP", "word_pieces"]

CLS: Final = "[CLS]"
SEP: Final = "[SEP]"
_UNKNOWN: Final = "[UNK]"
_LONGEST_WORD: Final = 100
_CJK: Final = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""Each of these characters is a word."""


def word_pieces(text: str, vocabulary: Mapping[str, int]) -> Iterator[int]:
    """The numbers of a text's pieces, without the tokens at its ends.

    Lazily: who needs the first 254 pieces of ten megabytes asks for no more.
    """
    for word in _words(text):
        yield from _pieces(word, vocabulary)


def _words(text: str) -> Iterator[str]:
    word: list[str] = []
    for character in text:
        category = unicodedata.category(character)
        code = ord(character)
        if character in "\t\n\r" or category == "Zs":
            if word:
                yield "".join(word)
            word = []
        elif code in (0, 0xFFFD) or category in ("Cc", "Cf", "Cs", "Co", "Cn"):
            continue
        elif any(first <= code <= last for first, last in _CJK):
            if word:
                yield "".join(word)
            word = []
            yield character
        else:
            for plain in unicodedata.normalize("NFD", character.lower()):
                if unicodedata.category(plain) == "Mn":
                    continue
                if _is_mark(plain):
                    if word:
                        yield "".join(word)
                    word = []
                    yield plain
                else:
                    word.append(plain)
    if word:
        yield "".join(word)


def _is_mark(character: str) -> bool:
    """Punctuation, and every other sign of ASCII."""
    if character.isascii():
        return not character.isalnum() and character.isprintable() and character != " "
    return unicodedata.category(character).startswith("P")


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    if len(word) > _LONGEST_WORD:
        return [vocabulary[_UNKNOWN]]
    found: list[int] = []
    start = 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = ("##" if start else "") + word[start:end]
            if piece in vocabulary:
                found.append(vocabulary[piece])
                start = end
                break
        else:
            return [vocabulary[_UNKNOWN]]
    return found
