"""The golden dataset of a duel: which cases there are, in which version, and what checks need to know."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.content_hash import canonical_json
from promptarena.definitions.dataset_source import DatasetSource
from promptarena.errors import DataError, Location
from promptarena.evaluation.cases import Case, read_cases
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.table import content_of, read_rows

__all__ = ["Dataset", "load_dataset"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Cases, numbered in the order of their file. Inputs are not kept: they may exceed memory."""

    path: Path
    index: dict[str, int]
    """Number of the case, by id."""
    columns: dict[str, list[str | None]]
    """Values of the columns that checks refer to, one a case; None where the case has none."""
    version: str = ""
    """SHA-256 of the cases' content: the same in any format, layout and order of the same cases."""
    weights: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """Shape (cases,): how much each counts."""
    segments: dict[str, list[str | None]] = field(default_factory=dict)
    """By declared segment, the value of each case."""
    tags: list[tuple[str, ...]] = field(default_factory=list)
    """Of each case."""
    clusters: list[str | None] = field(default_factory=list)
    """What each case is part of; None where it says nothing. Empty where no column is declared."""
    elsewhere: frozenset[str] = frozenset()
    """Ids of the other part, where there is a holdout: known, and not of this dataset."""
    source: DatasetSource | None = None
    folder: Path = Path()

    def __len__(self) -> int:
        return len(self.index)

    def cases(self) -> Iterator[Case]:
        """Stream the cases again, with their inputs, in the order of `index`.

        Raises:
            DataError: the file is not what it was when the dataset was loaded.
        """
        assert self.source is not None, "made without a file"
        problems = DataProblems()
        seen = 0
        for case in read_cases(self.source, self.folder, problems):
            if self.index.get(case.id) != seen:
                break
            seen += 1
            yield case
        problems.raise_any()
        if seen != len(self):
            raise DataError(
                "The dataset was changed while it was read.",
                where=Location(self.path),
                hint="Run again; what is paid for is kept.",
            )


def load_dataset(
    source: DatasetSource, folder: Path, columns: Sequence[str] = (), *, sealed: bool = False
) -> Dataset:
    """Read a dataset once through.

    Args:
        source: the declaration.
        folder: what its file names are relative to.
        columns: columns to keep.
        sealed: load the declared holdout in its place; `open_holdout` counts that.

    Raises:
        DefinitionError: the file of its template cannot be read.
        DataError: every problem of the file, up to a limit: unreadable, no cases, an id twice or missing,
            no input, a template variable that a case lacks, a case that is in the holdout too.
    """
    problems = DataProblems()
    other = source.sealed
    if sealed:
        assert other is not None, "a definition without a holdout has nothing sealed"
        source, other = other, source.model_copy(update={"holdout": None})
    elsewhere = _ids(other, folder, problems) if other is not None else frozenset()
    loading = _Loading(source, folder, problems, columns, elsewhere)
    for case in read_cases(source, folder, problems, tuple(columns)):
        loading.add(case)
    problems.raise_any()
    return loading.dataset()


class _Loading:
    """A dataset while it is read."""

    def __init__(
        self,
        source: DatasetSource,
        folder: Path,
        problems: DataProblems,
        columns: Sequence[str],
        elsewhere: frozenset[str],
    ) -> None:
        self._source, self._folder, self._problems = source, folder, problems
        self._path = folder / source.file
        self._elsewhere = elsewhere
        self._lines: dict[str, int] = {}
        self._index: dict[str, int] = {}
        self._kept: dict[str, list[str | None]] = {name: [] for name in columns}
        self._segments: dict[str, list[str | None]] = {name: [] for name in source.segments}
        self._tags: list[tuple[str, ...]] = []
        self._clusters: list[str | None] = []
        self._weights: list[float] = []
        self._digests: list[bytes] = []

    def add(self, case: Case) -> None:
        if case.id in self._index:
            self._problems.add(
                self._path,
                f"The case {case.id!r} is there twice; the first is on line {self._lines[case.id]}.",
                line=case.line,
                field=self._source.id,
                hint="Every case needs an id of its own.",
            )
            return
        if case.id in self._elsewhere:
            self._problems.add(
                self._path,
                f"The case {case.id!r} is in the dataset and in its holdout.",
                line=case.line,
                field=self._source.id,
                hint="What was seen while the change was made cannot be held out; keep it in one of the two.",
            )
            return
        self._index[case.id] = len(self._index)
        self._lines[case.id] = case.line
        for name, values in self._kept.items():
            values.append(content_of(case.variables.get(name)))
        for name, values in self._segments.items():
            value = case.segments.get(name)
            values.append(None if value is None else sys.intern(value))
        self._tags.append(tuple(map(sys.intern, case.tags)))
        self._weights.append(case.weight)
        if self._source.cluster is not None:
            self._clusters.append(content_of(case.variables.get(self._source.cluster)) or None)
        self._digests.append(_digest(case.variables))

    def dataset(self) -> Dataset:
        return Dataset(
            self._path,
            self._index,
            self._kept,
            version=_version(self._digests),
            weights=np.array(self._weights, dtype=np.float64),
            segments=self._segments,
            tags=self._tags,
            clusters=self._clusters,
            elsewhere=self._elsewhere,
            source=self._source,
            folder=self._folder,
        )


def _ids(source: DatasetSource, folder: Path, problems: DataProblems) -> frozenset[str]:
    return frozenset(row.case for row in read_rows(source, folder / source.file, problems))


def _digest(values: Mapping[str, Any]) -> bytes:
    """Of one case, by the texts that a CSV file would hold; an empty cell there is an absent value here."""
    texts = {name: content_of(value) for name, value in values.items()}
    said = {name: text for name, text in texts.items() if text}
    return sha256(canonical_json(said).encode("utf-8", "surrogatepass")).digest()


def _version(digests: Sequence[bytes]) -> str:
    """Of the cases as a set: ids tell them apart, so their order says nothing."""
    return sha256(b"promptarena/dataset/1\n" + b"".join(sorted(digests))).hexdigest()
