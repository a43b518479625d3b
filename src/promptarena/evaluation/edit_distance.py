"""How many characters must be inserted, deleted or replaced to make one text of another."""

from __future__ import annotations

__all__ = ["levenshtein"]


def levenshtein(one: str, other: str) -> int:
    """The Levenshtein distance of two texts, in code points.

    A column of the dynamic programme at a time, held in the bits of two numbers: Myers 1999, "A fast
    bit-vector algorithm for approximate string matching", in the form of Hyyrö 2003, "A bit-vector algorithm
    for computing Levenshtein and Damerau edit distances", figure 8. Time grows with the product of the
    lengths over the bits of a machine word, memory with the shorter.

    >>> levenshtein("kitten", "sitting"), levenshtein("", "abc")
    (3, 3)
    """
    if one == other:
        return 0
    pattern, text = (one, other) if len(one) <= len(other) else (other, one)
    if not pattern:
        return len(text)
    places: dict[str, int] = {}
    for index, character in enumerate(pattern):
        places[character] = places.get(character, 0) | 1 << index
    everywhere = (1 << len(pattern)) - 1
    last = 1 << (len(pattern) - 1)
    rises, falls, distance = everywhere, 0, len(pattern)
    for character in text:
        matches = places.get(character, 0)
        diagonal = (((matches & rises) + rises) ^ rises) | matches | falls
        right_rises = falls | ~(diagonal | rises) & everywhere
        right_falls = rises & diagonal
        distance += bool(right_rises & last) - bool(right_falls & last)
        # The first row rises by one with every character: the distance to nothing.
        right_rises = (right_rises << 1 | 1) & everywhere
        right_falls = right_falls << 1 & everywhere
        rises = right_falls | ~(diagonal | right_rises) & everywhere
        falls = right_rises & diagonal
    return distance
