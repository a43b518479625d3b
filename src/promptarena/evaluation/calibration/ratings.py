"""Ratings on file, of a judge or of people: scores of single answers, and verdicts on two.

Scores are records of `id`, `variant`, `score`, and `axis` where there are several; verdicts of `id`,
`first`, `second` (the variants, in the order shown) and `verdict` (first, second, tie, or a variant's
name). People's may have a `rater`, and a `probability` with which the answer was drawn for labelling. A
file may hold both kinds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.checks import as_text
from promptarena.definitions.recorded_judge import VerdictValues
from promptarena.definitions.suggestion import listed
from promptarena.definitions.table_source import TableSource
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.judges import PREFERENCE
from promptarena.evaluation.table import Row, read_rows

__all__ = ["Rating", "read_ratings"]

_ONE_AXIS: Final = "score"
"""The axis of scores that name none."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What one rater said of one answer, or of two in one display order."""

    case: str
    axis: str
    variant: str
    """Whose answer; of two, the one that comes first by name."""
    against: str | None
    """Of two, the other; `None` for a score."""
    value: float
    """The score; of two, 1 where `variant` won, 1/2 tie, 0 where it lost."""
    rater: str
    """Empty where the file names none."""
    shown_first: bool = True
    """Of two, whether `variant` was shown first."""
    probability: float | None = None
    """With which it was drawn to be labelled."""

    @classmethod
    def of_pair(
        cls,
        case: str,
        first: str,
        second: str,
        score: float,
        rater: str = "",
        probability: float | None = None,
    ) -> Rating:
        """What was said of two answers, `score` being 1 where the one shown first won, 0 where it lost."""
        if first < second:
            return cls(case, PREFERENCE, first, second, score, rater, True, probability)
        return cls(case, PREFERENCE, second, first, 1 - score, rater, False, probability)


def read_ratings(path: Path, problems: DataProblems) -> list[Rating]:
    """Read a file of ratings; what cannot be read is noted, and an empty score or verdict is left out."""
    ratings: list[Rating] = []
    seen: dict[tuple[object, ...], int] = {}
    for row in read_rows(TableSource(file=str(path)), path, problems):
        rating = _verdict(row, path, problems) if "verdict" in row.values else _score(row, path, problems)
        if rating is None:
            continue
        key = (rating.case, rating.axis, rating.variant, rating.against, rating.rater, rating.shown_first)
        if rating.rater and key in seen:
            problems.add(
                path,
                f"{rating.rater!r} rates the same thing twice; the first time on line {seen[key]}.",
                line=row.line,
                hint="Keep the one that counts.",
            )
            continue
        seen.setdefault(key, row.line)
        ratings.append(rating)
    if not ratings and not problems.concern(path):
        problems.add(path, "There is no score and no verdict in this file.")
    return ratings


def _score(row: Row, path: Path, problems: DataProblems) -> Rating | None:
    if not _has(row, path, problems, "variant", "score"):
        return None
    written = as_text(row.values["score"])
    if written in (None, ""):
        return None
    value = _number(row.values["score"])
    if value is None:
        problems.add(path, f"The score {written!r} is not a number.", line=row.line, field="score")
        return None
    axis = as_text(row.values.get("axis"))
    return Rating(
        case=row.case,
        axis=axis if isinstance(axis, str) and axis else _ONE_AXIS,
        variant=str(as_text(row.values["variant"])),
        against=None,
        value=value,
        rater=_rater(row.values),
        probability=_probability(row, path, problems),
    )


def _verdict(row: Row, path: Path, problems: DataProblems) -> Rating | None:
    if not _has(row, path, problems, "first", "second", "verdict"):
        return None
    first, second, said = (str(as_text(row.values[name])) for name in ("first", "second", "verdict"))
    if first == second:
        problems.add(path, f"{first!r} is compared with itself.", line=row.line)
        return None
    if row.values["verdict"] is None or not said:
        return None
    score = _meaning(said, first, second)
    if score is None:
        accepted = listed(["first", "second", "tie", first, second])
        problems.add(
            path,
            f"The verdict {said!r} is none of {accepted}.",
            line=row.line,
            field="verdict",
        )
        return None
    return Rating.of_pair(
        row.case, first, second, score, _rater(row.values), _probability(row, path, problems)
    )


def _meaning(said: str, first: str, second: str) -> float | None:
    """1 the first shown won, 1/2 tie, 0 the second; a variant's own name comes before a position's word."""
    if said in (first, second):
        return float(said == first)
    values, word = VerdictValues(), said.casefold()
    for texts, score in ((values.first, 1.0), (values.second, 0.0), (values.tie, 0.5)):
        if word in {text.casefold() for text in texts}:
            return score
    return None


def _has(row: Row, path: Path, problems: DataProblems, *names: str) -> bool:
    absent = [name for name in names if name not in row.values]
    if absent:
        problems.add(
            path,
            f"The record has no {listed(absent)}.",
            line=row.line,
            hint="Scores have id, variant, score (and axis); verdicts have id, first, second, verdict.",
        )
    return not absent


def _rater(values: Mapping[str, Any]) -> str:
    found = as_text(values.get("rater"))
    return found if isinstance(found, str) else ""


def _probability(row: Row, path: Path, problems: DataProblems) -> float | None:
    written = row.values.get("probability")
    if written is None or written == "":
        return None
    value = _number(written)
    if value is None or not 0 < value <= 1:
        problems.add(
            path,
            f"The probability {written!r} of being labelled is not above 0 and at most 1.",
            line=row.line,
            field="probability",
        )
        return None
    return value


def _number(written: Any) -> float | None:
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return None
    try:
        value = float(written)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) else None
