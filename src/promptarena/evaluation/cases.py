"""The cases of a golden dataset, one after the other: what a model is asked, and what is known besides.

`read_cases` streams; nothing of a case is kept. `load_dataset` has read the file whole before and found it
good, so a run may begin to pay.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.cell import as_text
from promptarena.definitions.dataset_source import DatasetSource
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.table import Row, content_of, read_rows
from promptarena.evaluation.templates import Message, PreparedTemplate, RenderError, prepare_template

__all__ = ["Case", "read_cases", "texts_in"]

_DOCUMENT_TEXTS: Final = ("text", "content", "page_content")
"""Keys under which retrieval libraries hold a document's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case."""

    id: str
    line: int
    """Where it stands in its file, counted from 1; of a Parquet file, its row."""
    input: str | tuple[Message, ...] | None
    """What the model is asked: a text, or the messages of a chat. None where no input is declared."""
    variables: Mapping[str, Any]
    """The whole record, for templates of variants."""
    context: tuple[str, ...] = ()
    """Source documents."""
    reference: str | None = None
    """The expected answer."""
    tags: tuple[str, ...] = ()
    segments: Mapping[str, str] = field(default_factory=dict)
    """By column; a case without a value is in none."""
    weight: float = 1.0
    """How much it counts, more than 0."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """The input as a chat; empty where there is none."""
        if self.input is None:
            return ()
        return ({"role": "user", "content": self.input},) if isinstance(self.input, str) else self.input

    def asked(self, template: PreparedTemplate | None) -> tuple[Message, ...]:
        """What a variant is asked: the input, or what its own template makes of the record.

        Raises:
            RenderError: the template cannot be filled.
        """
        if template is None:
            return self.messages
        filled = template.render(self.variables)
        return ({"role": "user", "content": filled},) if isinstance(filled, str) else filled

    @property
    def text(self) -> str:
        """The input as people and judges read it."""
        if self.input is None:
            return ""
        if isinstance(self.input, str):
            return self.input
        return "\n\n".join(f"{said['role']}: {content_of(said.get('content')) or ''}" for said in self.input)


def read_cases(
    source: DatasetSource, folder: Path, problems: DataProblems, columns: tuple[str, ...] = ()
) -> Iterator[Case]:
    """Stream a dataset's cases in the order of its file. Ids are not compared: see `load_dataset`.

    Args:
        source: the declaration.
        folder: what its file names are relative to.
        problems: what is wrong goes here; a case that something is wrong with is left out.
        columns: further columns that somebody needs; one that no record has is noted.

    Raises:
        DefinitionError: the template's file cannot be read.
    """
    reader = _CaseReader(source, folder, problems)
    for row in read_rows(source, folder / source.file, problems, (*columns, *source.columns)):
        if (case := reader.read(row)) is not None:
            yield case
    reader.finish()


class _CaseReader:
    """Makes cases of rows."""

    def __init__(self, source: DatasetSource, folder: Path, problems: DataProblems) -> None:
        self._source, self._problems = source, problems
        self._path = folder / source.file
        self._template: PreparedTemplate | None = None
        if source.template is not None:
            self._template = prepare_template(source.template, folder)
        self._without_input: list[int] = []
        self._has_inputs = False

    def read(self, row: Row) -> Case | None:
        source, values = self._source, row.values
        found = self._input(row)
        weight = self._weight(row)
        if weight is None or (found is None and (source.input or source.template)):
            return None
        return Case(
            id=row.case,
            line=row.line,
            input=found,
            variables=values,
            context=_documents(values.get(source.context)) if source.context else (),
            reference=content_of(values.get(source.reference)) if source.reference else None,
            tags=texts_in(values.get(source.tags)) if source.tags else (),
            segments=_segments(values, source.segments),
            weight=weight,
        )

    def finish(self) -> None:
        """Tell what only counts once it is known that the column is there."""
        if self._has_inputs:
            for line in self._without_input:
                self._problems.add(self._path, "The case has no input.", line=line, field=self._source.input)

    def _input(self, row: Row) -> str | tuple[Message, ...] | None:
        if self._template is not None:
            try:
                return self._template.render(row.values)
            except RenderError as error:
                self._problems.add(self._path, str(error), line=row.line)
                return None
        if self._source.input is None:
            return None
        self._has_inputs = self._has_inputs or self._source.input in row.values
        written = row.values.get(self._source.input)
        found = _structure(written)
        if _is_chat(found):
            return tuple(found)
        if isinstance(written, list):
            self._problems.add(
                self._path,
                "The input is a list, but not of chat messages.",
                line=row.line,
                field=self._source.input,
                hint="A message is {role: user, content: ...}.",
            )
            return None
        text = content_of(written)
        if not (text or "").strip():
            self._without_input.append(row.line)
            return None
        return text

    def _weight(self, row: Row) -> float | None:
        """None after a problem."""
        written = row.values.get(self._source.weight) if self._source.weight else None
        if written is None or (isinstance(written, str) and not written.strip()):
            return 1.0
        try:
            weight = math.nan if isinstance(written, bool) else float(written)
        except (TypeError, ValueError):
            weight = math.nan
        if math.isfinite(weight) and weight > 0:
            return weight
        self._problems.add(
            self._path,
            f"A weight is a number of more than 0; found {content_of(written)!r}.",
            line=row.line,
            field=self._source.weight,
            hint="Leave a case that must not count out by `where`.",
        )
        return None


def _structure(value: Any) -> Any:
    """A list that a text cell holds as JSON, as a list; anything else as it is."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            read = json.loads(value)
        except (ValueError, RecursionError):
            return value
        # A text such as "[1]" or "[sic]" stays text: lists of messages, documents and texts are meant.
        return read if any(isinstance(item, dict | str) for item in read) else value
    return value


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(item, dict)
            and isinstance(item.get("role"), str)
            and ("content" in item or "tool_calls" in item)
            for item in value
        )
    )


def _documents(value: Any) -> tuple[str, ...]:
    found = _structure(value)
    texts = (_document(item) for item in (found if isinstance(found, list) else [found]))
    return tuple(text for text in texts if text and text.strip())


def _document(value: Any) -> str | None:
    if isinstance(value, dict):
        for name in _DOCUMENT_TEXTS:
            if isinstance(value.get(name), str):
                return str(value[name])
    return content_of(value)


def texts_in(value: Any, *, apart: bool = True) -> tuple[str, ...]:
    """The texts of a cell, each once: of a list, or of a text with commas between.

    >>> texts_in("late, parcel"), texts_in('["late, very", 7]'), texts_in("late, parcel", apart=False)
    (('late', 'parcel'), ('late, very', '7'), ('late, parcel',))

    Args:
        value: the cell.
        apart: whether a comma parts a text.
    """
    found = _structure(value)
    whole = content_of(found) or ""
    written = found if isinstance(found, list) else whole.split(",") if apart else [whole]
    texts = (str(as_text(content_of(text) or "")) for text in written)
    return tuple(dict.fromkeys(text for text in texts if text))


def _segments(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    found = {name: content_of(values.get(name)) for name in names}
    return {name: value.strip() for name, value in found.items() if value is not None and value.strip()}
