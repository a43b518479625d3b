"""What was recorded: variants' outputs, run through the checks as they stream by, and a judge's verdicts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.cell import as_text
from promptarena.definitions.duel import OutputsSource
from promptarena.definitions.recorded_judge import RecordedVerdicts
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.evaluation.call_facts import CallFacts
from promptarena.evaluation.checks import CheckGaveUpError, PreparedCheck
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.output_rows import first_outputs
from promptarena.evaluation.table import Row, content_of, read_rows

__all__ = [
    "FAILED",
    "MISSING",
    "NOT_APPLICABLE",
    "PASSED",
    "CheckedOutputs",
    "RepeatReader",
    "Verdicts",
    "check_outputs",
    "find_case",
    "load_verdicts",
]

Results = NDArray[np.int8]

FAILED, PASSED = 0, 1
MISSING = -1
"""No output."""
NOT_APPLICABLE = -2
"""The check is not of this case, or what it looks at is not known: an expected value, a fact of the call."""


@dataclass(frozen=True, slots=True)
class CheckedOutputs:
    """A variant's outputs, once they have passed by."""

    results: Results
    """Shape (checks, cases), each one of the codes above."""
    lengths: NDArray[np.float64]
    """Shape (cases,): characters; NaN where a case has no output."""

    @property
    def without(self) -> int:
        """Cases that have no output."""
        return int(np.isnan(self.lengths).sum())


def check_outputs(
    source: OutputsSource,
    folder: Path,
    dataset: Dataset,
    checks: Sequence[PreparedCheck],
    problems: DataProblems,
) -> CheckedOutputs:
    """Stream a variant's outputs through the checks; no output is kept."""
    path = folder / source.file
    results = np.full((len(checks), len(dataset)), MISSING, dtype=np.int8)
    lines: dict[int, int] = {}
    lengths = np.full(len(dataset), math.nan)
    given_up: set[str] = set()
    for row in first_outputs(source, path, problems, [source.output]):
        case = find_case(row, dataset, path, source.id, problems)
        if case is None:
            continue
        if case in lines:
            problems.add(
                path,
                f"The case {row.case!r} has two outputs; the first is on line {lines[case]}.",
                line=row.line,
                field=source.id,
                hint="Where the file holds several variants, say which one with `where`.",
            )
            continue
        lines[case] = row.line
        output = content_of(row.values.get(source.output))
        if output is None:
            continue
        lengths[case] = len(output)
        facts = _facts(row, path, problems)
        for number, check in enumerate(checks):
            if check.title in given_up:
                continue
            try:
                passed = check.passes(output, case, facts)
            except CheckGaveUpError as error:
                given_up.add(check.title)
                problems.add(path, str(error), line=row.line, hint=error.hint)
            else:
                results[number, case] = NOT_APPLICABLE if passed is None else int(passed)
    return CheckedOutputs(results, lengths)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Verdicts as columns of equal length."""

    case: NDArray[np.intp]
    first: NDArray[np.intp]
    """Number of the variant shown first."""
    second: NDArray[np.intp]
    first_score: NDArray[np.float64]
    """1 the first won, 1/2 tie, 0 the second won; meaningless where not `scored`."""
    scored: NDArray[np.bool_]
    undeclared: Mapping[str, int]
    """Texts that mean nothing, with how often they occur; these verdicts are not scored."""
    repeat: NDArray[np.intp] | None = None
    """Which of the variants' several answers to the case, from 0. None: there is one answer each."""
    again: NDArray[np.bool_] | None = None
    """Whether the very same prompt was asked once more: that measures the judge's noise and never counts for
    the outcome. None: nowhere."""


def load_verdicts(
    source: RecordedVerdicts,
    folder: Path,
    dataset: Dataset,
    variants: Sequence[str],
    problems: DataProblems,
) -> Verdicts:
    """Read recorded verdicts.

    An empty or missing verdict is not scored, and neither is a text that is no declared value nor a
    variant's name: a judge that could not be parsed said neither "tie" nor "lost". Where most texts are
    such, the declaration is wrong, and that is a problem.
    """
    path = folder / source.file
    reader = _VerdictReader(source, path, variants, problems)
    case_of: list[int] = []
    read: list[tuple[int, int, float | None]] = []
    repeats = RepeatReader(path, source.repeat, problems)
    for row in read_rows(source, path, problems, [source.first, source.second, source.verdict]):
        case = find_case(row, dataset, path, source.id, problems)
        verdict = reader.read(row)
        if case is not None and verdict is not None:
            case_of.append(case)
            read.append(verdict)
            repeats.take(row)
    reader.finish(len(read))
    return Verdicts(
        case=np.array(case_of, dtype=np.intp),
        first=np.array([first for first, _, _ in read], dtype=np.intp),
        second=np.array([second for _, second, _ in read], dtype=np.intp),
        first_score=np.array([-1.0 if score is None else score for *_, score in read], dtype=np.float64),
        scored=np.array([score is not None for *_, score in read], dtype=np.bool_),
        undeclared=dict(reader.undeclared.most_common()),
        repeat=repeats.numbers(),
    )


class RepeatReader:
    """Reads which of several answers a row is about, from a column that may be absent."""

    def __init__(self, path: Path, column: str, problems: DataProblems) -> None:
        self._path, self._column, self._problems = path, column, problems
        self._taken: list[int] = []
        self._labels: set[int] = set()

    def take(self, row: Row) -> None:
        """Read one row that counts."""
        found = as_text(row.values.get(self._column))
        number = 0
        if isinstance(found, str) and found:
            if not (found.isascii() and found.isdigit() and len(found) < 6):
                self._problems.add(
                    self._path,
                    f"A repeat is a whole number, such as 0, 1, 2; found {found!r}.",
                    line=row.line,
                    field=self._column,
                    hint="Where the column means something else, name another with `repeat`.",
                )
            else:
                number = int(found)
        self._taken.append(number)
        self._labels.add(number)

    def numbers(self) -> NDArray[np.intp] | None:
        """For each row taken its repeat, from 0 in the order of the labels; None where there is only one."""
        if len(self._labels) < 2:
            return None
        return np.searchsorted(sorted(self._labels), self._taken).astype(np.intp)


class _VerdictReader:
    """Reads one row after the other as (first variant, second variant, score of the first)."""

    def __init__(
        self, source: RecordedVerdicts, path: Path, variants: Sequence[str], problems: DataProblems
    ) -> None:
        self.undeclared: Counter[str] = Counter()
        self._source, self._path, self._problems = source, path, problems
        self._names = variants
        self._numbers = {name: number for number, name in enumerate(variants)}
        values = source.values
        self._meanings = {
            text.casefold(): score
            for texts, score in ((values.first, 1.0), (values.second, 0.0), (values.tie, 0.5))
            for text in texts
        }
        self._lacking: dict[str, list[int]] = {source.first: [], source.second: []}
        self._present: set[str] = set()

    def read(self, row: Row) -> tuple[int, int, float | None] | None:
        first, second = self._variant(row, self._source.first), self._variant(row, self._source.second)
        if first is None or second is None:
            return None
        if first == second:
            self._problems.add(self._path, f"{self._names[first]!r} is compared with itself.", line=row.line)
            return None
        found = as_text(row.values.get(self._source.verdict))
        text = found if isinstance(found, str) else content_of(found)
        if not text:
            return first, second, None
        score = self._meanings.get(text.casefold())
        winner = self._numbers.get(text)
        if score is None and winner is None:
            self.undeclared[text if len(text) <= 40 else text[:37] + "..."] += 1
        elif score is None and winner not in (first, second):
            self._problems.add(
                self._path,
                f"The verdict names {text!r}, who is not one of the two.",
                line=row.line,
                field=self._source.verdict,
            )
            return None
        elif score is None:
            score = float(winner == first)
        return first, second, score

    def finish(self, verdicts: int) -> None:
        """Tell what only shows once all rows are read."""
        for column, lines in self._lacking.items():
            for line in lines if column in self._present else ():
                self._problems.add(self._path, "The variant is missing.", line=line, field=column)
        if self.undeclared.total() * 2 > verdicts:
            shown = listed(text for text, _ in self.undeclared.most_common(10))
            self._problems.add(
                self._path,
                f"Most verdicts are none of the declared values; found: {shown}.",
                field=self._source.verdict,
                hint="Say what they mean: values: {first: ..., second: ..., tie: ...}.",
            )

    def _variant(self, row: Row, column: str) -> int | None:
        if column not in row.values:
            self._lacking[column].append(row.line)
            return None
        self._present.add(column)
        name = as_text(row.values[column])
        number = self._numbers.get(name) if isinstance(name, str) else None
        if number is None:
            hint = did_you_mean(name, self._numbers) if isinstance(name, str) else None
            self._problems.add(
                self._path,
                f"There is no variant {name!r}; declared: {listed(self._numbers)}.",
                line=row.line,
                field=column,
                hint=hint or "Other variants' verdicts are left out with `where`.",
            )
        return number


def _facts(row: Row, path: Path, problems: DataProblems) -> CallFacts:
    """What a row says of the call in columns of the facts' own names; what is no such value is noted."""
    amounts: dict[str, float | None] = {}
    for name in ("latency_ms", "ttft_ms", "cost_usd"):
        written = as_text(row.values.get(name))
        try:
            amounts[name] = float(written) if written else None
        except (TypeError, ValueError):
            amounts[name] = math.nan
        if not 0 <= (amounts[name] or 0) < math.inf:
            amounts[name] = None
            problems.add(
                path, f"Expected a number of 0 or more; found {written!r:.60}.", line=row.line, field=name
            )
    reason = as_text(row.values.get("finish_reason"))
    return CallFacts(
        **amounts,
        finish_reason=reason if isinstance(reason, str) and reason else None,
        tool_calls=_tool_calls(row, path, problems),
    )


def _tool_calls(row: Row, path: Path, problems: DataProblems) -> tuple[Mapping[str, Any], ...] | None:
    written = row.values.get("tool_calls")
    if written is None or written == "":
        return None
    found = written
    if isinstance(written, str):
        try:
            found = json.loads(written)
        except (ValueError, RecursionError):
            found = None
    if isinstance(found, list) and all(isinstance(call, dict) for call in found):
        return tuple(found)
    problems.add(
        path,
        f"Tool calls are a list of mappings, as providers give them; found {written!r:.60}.",
        line=row.line,
        field="tool_calls",
    )
    return None


def find_case(row: Row, dataset: Dataset, path: Path, column: str, problems: DataProblems) -> int | None:
    """The number of a row's case; a case that the dataset does not have is noted, and None."""
    case = dataset.index.get(row.case)
    if case is None and row.case not in dataset.elsewhere:
        problems.add(
            path,
            f"The case {row.case!r} is not in the dataset {dataset.path.name}.",
            line=row.line,
            field=column,
        )
    return case
