"""A declared file of records, read by its declaration: the rows that count, each with its case's id."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.cell import as_text
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.definitions.table_source import TableSource
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.records import read_records

__all__ = ["Row", "content_of", "read_rows"]

_MOST_VALUES: Final = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One record that counts."""

    line: int
    case: str
    """The case's id, as text."""
    values: dict[str, Any]


def read_rows(
    source: TableSource, path: Path, problems: DataProblems, columns: Sequence[str] = ()
) -> Iterator[Row]:
    """Stream the rows of a file that its `where` lets through.

    A column that no record has is noted, and so are a row without an id and a file or a `where` without rows.
    A row may lack one of `columns`; what that means is for the caller to say.

    Args:
        source: the declaration.
        path: where its file is.
        problems: what is wrong goes here, once the last row is read.
        columns: what the caller reads besides the id.
    """
    seen: Counter[str] = Counter()
    kept = 0
    met: dict[str, Counter[str]] = {name: Counter() for name in source.where}
    without_id: list[tuple[int, Any]] = []
    records = 0
    for record in read_records(path, problems):
        records += 1
        seen.update(record.values.keys())
        if not _passes(record.values, source, met):
            continue
        kept += 1
        case = as_text(record.values.get(source.id))
        if isinstance(case, str) and case:
            yield Row(record.line, case, record.values)
        else:
            without_id.append((record.line, case))
    if not records:
        if not problems.concern(path):
            problems.add(path, "The file holds no records that can be read.")
        return
    absent = [name for name in dict.fromkeys((source.id, *source.where, *columns)) if not seen[name]]
    for name in absent:
        problems.add(
            path,
            f"There is no column {name!r}; found: {listed(seen)}.",
            field=name,
            hint=_other_separator(seen) or did_you_mean(name, seen),
        )
    if source.id not in absent:
        for line, found in without_id:
            told = "The id is missing" if found in (None, "") else "The id is neither text nor a number"
            problems.add(path, f"{told}.", line=line, field=source.id)
    if not kept and not absent:
        for name, values in met.items():
            wanted = listed(source.where[name])
            common = listed(value for value, _ in values.most_common(_MOST_VALUES))
            problems.add(path, f"No record has {wanted} in {name!r}; found: {common}.", field=name)


def _other_separator(names: Iterable[str]) -> str | None:
    """What to do where the one column of a table holds all of their names."""
    only = list(names)
    if len(only) == 1 and (";" in only[0] or "\t" in only[0]):
        return "Its cells are parted by `;` or tabs: save it with commas, or with tabs as .tsv."
    return None


def content_of(value: Any) -> str | None:
    """An output or an expected value as text: structures as JSON, None where there is none."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return str(as_text(value))


def _passes(values: dict[str, Any], source: TableSource, met: dict[str, Counter[str]]) -> bool:
    passes = True
    for name, accepted in source.where.items():
        found = as_text(values.get(name))
        if found not in accepted:
            passes = False
        if isinstance(found, str) and (len(met[name]) < _MOST_VALUES or found in met[name]):
            met[name][found] += 1
    return passes
