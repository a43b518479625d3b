"""Recorded scores of single answers on the axes of a rubric."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from promptarena.definitions.checks import as_text
from promptarena.definitions.recorded_judge import RecordedScores
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.recorded import RepeatReader, find_case
from promptarena.evaluation.scores import AxisScores
from promptarena.evaluation.table import Row, read_rows

__all__ = ["load_scores"]

_LONGEST: Final = 40


def load_scores(
    source: RecordedScores,
    folder: Path,
    dataset: Dataset,
    variants: Sequence[str],
    problems: DataProblems,
) -> tuple[AxisScores, ...]:
    """Read recorded scores, axes in the order in which they first occur.

    An empty score, or a text that is no number, is not scored: a judge that could not be parsed did not give
    the lowest level. Where most are such, the declaration is wrong, and that is a problem; so are a score off
    the scale and an answer that is scored twice on one axis.
    """
    reader = _ScoreReader(source, folder / source.file, variants, problems)
    for row in read_rows(source, reader.path, problems, [source.variant, source.axis, source.score]):
        case = find_case(row, dataset, reader.path, source.id, problems)
        if case is not None:
            reader.take(case, row)
    return reader.finish(len(dataset))


class _ScoreReader:
    """Gathers rows as columns, and makes axes of them."""

    def __init__(
        self, source: RecordedScores, path: Path, variants: Sequence[str], problems: DataProblems
    ) -> None:
        self.path = path
        self._source, self._variants, self._problems = source, variants, problems
        self._numbers = {name: number for number, name in enumerate(variants)}
        self._axes: dict[str, int] = {}
        self._rows: list[tuple[int, int, int, float, int]] = []
        self._repeats = RepeatReader(path, source.repeat, problems)
        self._unread: Counter[str] = Counter()

    def take(self, case: int, row: Row) -> None:
        variant, axis = self._variant(row), as_text(row.values.get(self._source.axis))
        if variant is None:
            return
        if not isinstance(axis, str) or not axis:
            self._problems.add(self.path, "The axis is missing.", line=row.line, field=self._source.axis)
            return
        number = self._axes.setdefault(axis, len(self._axes))
        self._rows.append((case, variant, number, self._score(row), row.line))
        self._repeats.take(row)

    def finish(self, cases: int) -> tuple[AxisScores, ...]:
        if self._unread.total() * 2 > len(self._rows):
            shown = listed(text for text, _ in self._unread.most_common(10))
            self._problems.add(
                self.path, f"Most scores are no numbers; found: {shown}.", field=self._source.score
            )
        found = self._repeats.numbers()
        repeats = np.zeros(len(self._rows), dtype=np.intp) if found is None else found
        width = int(repeats.max(initial=0)) + 1
        values = np.full((len(self._axes), len(self._variants), cases, width), math.nan)
        lines = np.zeros(values.shape, dtype=np.int64)
        for (case, variant, axis, score, line), repeat in zip(self._rows, repeats, strict=True):
            at = (axis, variant, case, int(repeat))
            if lines[at]:
                self._problems.add(
                    self.path,
                    f"This answer is scored twice on this axis; the first is on line {lines[at]}.",
                    line=line,
                    field=self._source.axis,
                    hint="Say which of a variant's several answers is meant in a column `repeat`.",
                )
                continue
            lines[at], values[at] = line, score
        low, high = self._source.scale
        return tuple(
            AxisScores(
                axis=name,
                low=low,
                high=high,
                values={each: values[number, at] for each, at in self._numbers.items()},
                scored={each: ~np.isnan(values[number, at]) for each, at in self._numbers.items()},
                asked={each: lines[number, at] > 0 for each, at in self._numbers.items()},
            )
            for name, number in self._axes.items()
        )

    def _score(self, row: Row) -> float:
        """NaN where it is not scored."""
        written = as_text(row.values.get(self._source.score))
        text = written.strip() if isinstance(written, str) else ""
        if not text:
            return math.nan
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            self._unread[text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."] += 1
            return math.nan
        low, high = self._source.scale
        if not low <= score <= high:
            self._problems.add(
                self.path,
                f"The score {score:g} is off the scale of {low:g} to {high:g}.",
                line=row.line,
                field=self._source.score,
                hint="Say what the scale is: scale: [lowest, highest].",
            )
        return score

    def _variant(self, row: Row) -> int | None:
        name = as_text(row.values.get(self._source.variant))
        number = self._numbers.get(name) if isinstance(name, str) else None
        if number is None:
            self._problems.add(
                self.path,
                f"There is no variant {name!r}; declared: {listed(self._numbers)}."
                if name
                else "The variant is missing.",
                line=row.line,
                field=self._source.variant,
                hint=(did_you_mean(name, self._numbers) if isinstance(name, str) else None)
                or "Other variants' scores are left out with `where`.",
            )
        return number
