"""The golden dataset of a duel: which cases there are, and what checks need to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.definitions.dataset_source import DatasetSource
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

    def __len__(self) -> int:
        return len(self.index)


def load_dataset(source: DatasetSource, folder: Path, columns: Sequence[str] = ()) -> Dataset:
    """Read a dataset once through.

    Args:
        source: the declaration.
        folder: what its file name is relative to.
        columns: columns to keep.

    Raises:
        DataError: every problem of the file, up to a limit: unreadable, no cases, an id twice or missing,
            no input.
    """
    path = folder / source.file
    problems = DataProblems()
    lines: dict[str, int] = {}
    index: dict[str, int] = {}
    kept: dict[str, list[str | None]] = {name: [] for name in columns}
    needed = (*columns, *([source.input] if source.input else []))
    without_input: list[int] = []
    has_inputs = False
    for row in read_rows(source, path, problems, needed):
        if row.case in index:
            problems.add(
                path,
                f"The case {row.case!r} is there twice; the first is on line {lines[row.case]}.",
                line=row.line,
                field=source.id,
                hint="Every case needs an id of its own.",
            )
            continue
        index[row.case] = len(index)
        lines[row.case] = row.line
        for name, values in kept.items():
            values.append(content_of(row.values.get(name)))
        if source.input:
            has_inputs = has_inputs or source.input in row.values
            if not (content_of(row.values.get(source.input)) or "").strip():
                without_input.append(row.line)
    if has_inputs:
        for line in without_input:
            problems.add(path, "The case has no input.", line=line, field=source.input)
    problems.raise_any()
    return Dataset(path, index, kept)
