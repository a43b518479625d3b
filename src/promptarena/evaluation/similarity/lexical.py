"""Similarity by letters and words alone. It knows no meaning: "not late" is very like "late"."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Final

__all__ = ["chrf", "rouge_l", "token_f1"]

_WORD: Final = re.compile(r"\w+")
_ARTICLES: Final = frozenset({"a", "an", "the"})
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_LONGEST_GRAM: Final = 6
_RECALL_WEIGHT: Final = 2.0


def rouge_l(output: str, reference: str) -> float:
    """F1 of the longest common subsequence of words: ROUGE-L of Lin 2004, "ROUGE: a package for automatic
    evaluation of summaries", equations 2 to 4 with beta 1; words in lower case, without stemming.

    >>> round(rouge_l("the parcel comes tomorrow", "The parcel will come tomorrow."), 4)
    0.6667

    Returns:
        In [0, 1]; 0 where a text has no word.
    """
    one, other = _WORD.findall(output.lower()), _WORD.findall(reference.lower())
    return _f(_common_subsequence(one, other), len(one), len(other))


def token_f1(output: str, reference: str) -> float:
    """F1 of words in common as SQuAD has it (Rajpurkar et al. 2016, section 6.1, and its script): in lower
    case, without punctuation and the English articles.

    >>> round(token_f1("It is the Eiffel Tower.", "Eiffel tower"), 4)
    0.6667

    Returns:
        In [0, 1]. Of two texts without a word left: 1.
    """
    one, other = _squad_words(output), _squad_words(reference)
    if not one and not other:
        return 1.0
    return _f(sum((Counter(one) & Counter(other)).values()), len(one), len(other))


def chrf(output: str, reference: str) -> float:
    """chrF2: F of character n-grams, n from 1 to 6, recall counted twice; white space left out.

    Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation", equation 1 with beta 2;
    precision and recall are averaged over those n for which both texts have n-grams, as in sacreBLEU 2.

    >>> round(chrf("kitten", "mitten"), 4)
    0.5917

    Returns:
        In [0, 1]; 0 where a text has no character.
    """
    one, other = "".join(output.split()), "".join(reference.split())
    precisions, recalls = [], []
    for n in range(1, min(_LONGEST_GRAM, len(one), len(other)) + 1):
        found, wanted = _grams(one, n), _grams(other, n)
        shared = sum((found & wanted).values())
        precisions.append(shared / (len(one) - n + 1))
        recalls.append(shared / (len(other) - n + 1))
    if not precisions or not any(precisions):
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    weight = _RECALL_WEIGHT**2
    return (1 + weight) * precision * recall / (weight * precision + recall)


def _f(shared: int, one: int, other: int) -> float:
    """F1 of counts: 2 PR / (P + R) with P = shared / one and R = shared / other."""
    return 2 * shared / (one + other) if shared else 0.0


def _squad_words(text: str) -> list[str]:
    return [word for word in text.lower().translate(_NO_PUNCTUATION).split() if word not in _ARTICLES]


def _grams(text: str, n: int) -> Counter[str]:
    return Counter(text[start : start + n] for start in range(len(text) - n + 1))


def _common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest, a row of the dynamic programme in the bits of a number.

    Hyyrö 2004, "Bit-parallel LCS-length computation revisited", figure 3.
    """
    places: dict[str, int] = {}
    for index, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << index
    everywhere = (1 << len(one)) - 1
    row = everywhere
    for word in other:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & everywhere
    return len(one) - row.bit_count()
