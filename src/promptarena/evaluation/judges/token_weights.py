"""Scores weighted by the probabilities of their tokens: score = sum over the scale of p(s) s (G-Eval: Liu et
al. 2023, "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment", section 2, equation 1).

The probabilities are those at the place in the answer where the score was written, after its rationale; they
are divided by their sum over the scale, since a little of the mass lies on tokens that are no score.
"""

from __future__ import annotations

import bisect
import json
import math
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

__all__ = ["LEAST_MASS", "number_places", "weighted_score"]

LEAST_MASS: Final = 0.5
"""Of probability on the scale; with less, what the model was about to write was no score."""
_STRING_OR_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)', re.DOTALL)


class _Numbered(float):
    """A number of a JSON text that knows which of them it is, in the order of the text."""

    number: int


def number_places(text: str, path: Sequence[str]) -> tuple[int, int] | None:
    """Where the number at the end of a path stands in the text of a JSON object.

    >>> number_places('{"why": "4 of 5", "axes": {"tone": {"score": 3}}}', ("axes", "tone", "score"))
    (45, 46)
    """
    count = 0

    def numbered(written: str) -> _Numbered:
        nonlocal count
        value = _Numbered(written)
        value.number = count
        count += 1
        return value

    found: Any = json.loads(text, parse_int=numbered, parse_float=numbered)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, _Numbered):
        return None
    places = [match.span(1) for match in _STRING_OR_NUMBER.finditer(text) if match.group(1)]
    return places[found.number] if len(places) == count else None


def weighted_score(
    text: str, place: tuple[int, int], logprobs: Sequence[Mapping[str, Any]], low: int, high: int
) -> float | None:
    """The expected score at a place of an answer.

    Args:
        text: the whole answer.
        place: where the score stands in it, in characters.
        logprobs: of the answer's tokens, with the likeliest alternatives of each.
        low: the lowest score of the scale; scores are whole numbers.
        high: the highest.

    Returns:
        In [low, high]; `None` where the tokens are not those of the text, the score is not one token, or less
        than `LEAST_MASS` lies on the scale.
    """
    pieces = [_bytes_of(entry) for entry in logprobs]
    if b"".join(pieces) != text.encode("utf-8", "surrogatepass"):
        return None
    ends = list(accumulate(map(len, pieces)))
    start = len(text[: place[0]].encode("utf-8", "surrogatepass"))
    entry = logprobs[bisect.bisect_right(ends, start)]
    if str(entry.get("token")).strip() != text[place[0] : place[1]]:
        return None
    mass: dict[int, float] = {}
    alternatives = {
        str(other.get("token")): other.get("logprob") for other in entry.get("top_logprobs") or ()
    }
    for token, logprob in ({str(entry.get("token")): entry.get("logprob")} | alternatives).items():
        written = token.strip()
        if not isinstance(logprob, int | float) or not re.fullmatch(r"-?\d{1,3}", written):
            continue
        if low <= int(written) <= high:
            mass[int(written)] = mass.get(int(written), 0.0) + math.exp(min(float(logprob), 0.0))
    total = sum(mass.values())
    if not total >= LEAST_MASS:
        return None
    return sum(score * weight for score, weight in mass.items()) / total


def _bytes_of(entry: Mapping[str, Any]) -> bytes:
    """A token's bytes; a token may hold part of a character, which its text cannot say."""
    raw = entry.get("bytes")
    if isinstance(raw, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in raw):
        return bytes(raw)
    return str(entry.get("token")).encode("utf-8", "surrogatepass")
