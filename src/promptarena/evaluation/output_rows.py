"""The rows of a file of outputs: which case each is of, and which of its several outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from promptarena.definitions.cell import as_text
from promptarena.definitions.duel_variant import OutputsSource
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.table import Row, read_rows

__all__ = ["all_outputs", "first_outputs"]


def first_outputs(
    source: OutputsSource, path: Path, problems: DataProblems, columns: Sequence[str]
) -> Iterator[Row]:
    """Stream the first output of each case; see `read_rows`."""
    for repeat, row in all_outputs(source, path, problems, columns):
        if repeat == 0:
            yield row


def all_outputs(
    source: OutputsSource, path: Path, problems: DataProblems, columns: Sequence[str]
) -> Iterator[tuple[int, Row]]:
    """Stream all outputs, each with its number, from 0; one without a number is the first."""
    named = (*columns, *([source.repeat] if source.repeat is not None else []))
    for row in read_rows(source, path, problems, named):
        written = as_text(row.values.get(source.repeat)) if source.repeat is not None else None
        if written in (None, ""):
            yield 0, row
        elif isinstance(written, str) and written.isdecimal():
            yield int(written), row
        else:
            problems.add(
                path,
                f"Several outputs of a case are numbered from 0; found {written!r:.40}.",
                line=row.line,
                field=source.repeat,
            )
