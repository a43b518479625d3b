"""Records of a JSONL, CSV, YAML or Parquet file, one after the other, each with its line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.parquet_records import parquet_rows

__all__ = ["Record", "read_records"]

MAX_LINE: Final = 64 * 2**20
"""Bytes; a longer line is not read."""
MAX_YAML: Final = 20 * 2**20
"""Bytes; YAML is read whole."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record."""

    line: int
    """Where it begins, counted from 1; in a Parquet file the number of the row."""
    values: dict[str, Any]


def read_records(path: Path, problems: DataProblems) -> Iterator[Record]:
    """Stream a file's records; those that cannot be read are noted and left out.

    The suffix says the format: .jsonl and .ndjson, .csv and .tsv (first line: column names), .yaml and .yml
    (a list of mappings), .parquet and .pq. Values are JSON's, YAML's or Parquet's own; in CSV they are text.
    """
    readers = {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".csv": _csv,
        ".tsv": _csv,
        ".yaml": _yaml,
        ".yml": _yaml,
        ".parquet": _parquet,
        ".pq": _parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        problems.add(
            path,
            f"Files of records end in {', '.join(readers)}; this one ends in {path.suffix or 'nothing'}.",
        )
        return
    try:
        yield from reader(path, problems)
    except FileNotFoundError:
        problems.add(path, "There is no such file.", hint="File names are relative to the definition.")
    except IsADirectoryError:
        problems.add(path, "This is a folder; records are in a file.")
    except OSError as error:
        problems.add(path, f"The file cannot be read: {error.strerror}.")


class _UnreadableError(Exception):
    """The rest of the file cannot be read; the problem is noted."""


def _lines(path: Path, problems: DataProblems) -> Iterator[str]:
    """Decoded lines with their ends. Only "\\n" ends one: text in JSON may hold other separators."""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE + 1):
            number += 1
            if len(raw) > MAX_LINE:
                problems.add(path, f"The line is longer than {MAX_LINE:,} bytes.", line=number)
                raise _UnreadableError
            if number == 1:
                if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    problems.add(path, "The file is UTF-16.", hint="Save it as UTF-8.")
                    raise _UnreadableError
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                problems.add(
                    path,
                    f"The file is not UTF-8: byte 0x{raw[error.start]:02x} does not belong here.",
                    line=number,
                    column=len(raw[: error.start].decode("utf-8", "replace")) + 1,
                    hint="Save the whole file as UTF-8; parts of it may come from another source.",
                )
                raise _UnreadableError from None


def _json_lines(path: Path, problems: DataProblems) -> Iterator[Record]:
    lines = _lines(path, problems)
    number = 0
    while True:
        try:
            text = next(lines)
        except (StopIteration, _UnreadableError):
            return
        number += 1
        if not text.strip():
            continue
        try:
            value = _DECODER.decode(text)
        except json.JSONDecodeError as error:
            problems.add(path, f"This is not JSON: {error.msg}.", line=number, column=error.colno)
        except (ValueError, RecursionError) as error:
            told = "values are nested too deeply" if isinstance(error, RecursionError) else str(error)
            problems.add(path, f"This is not JSON that can be used: {told}.", line=number)
        else:
            if isinstance(value, dict):
                yield Record(number, value)
            else:
                problems.add(path, 'A record is a JSON object, {"name": value}.', line=number)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value")


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is written twice")
    return result


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_repeated_keys)
"""One for all lines: `json.loads` would make one for each."""


def _csv(path: Path, problems: DataProblems) -> Iterator[Record]:
    # The module's own limit, 128 KB a cell, is less than a long answer.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE))
    reader = csv.reader(
        _lines(path, problems), delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True
    )
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except (StopIteration, _UnreadableError):
            return
        except csv.Error as error:
            problems.add(path, f"This is not CSV: {error}.", line=line, hint="Check the quotes.")
            return
        if not cells:
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if repeated := sorted({name for name in header if header.count(name) > 1}):
                problems.add(path, f"The column {repeated[0]!r} is there twice.", line=line)
                return
        elif len(cells) != len(header):
            problems.add(
                path,
                f"The row has {len(cells)} cells where the first line names {len(header)} columns.",
                line=line,
                hint="Text that holds a comma or a line break stands in quotes.",
            )
        elif [cell.strip() for cell in cells] == header:
            problems.add(path, "The first line is repeated here.", line=line, hint="Remove this line.")
        else:
            yield Record(line, dict(zip(header, cells, strict=True)))


def _parquet(path: Path, problems: DataProblems) -> Iterator[Record]:
    for number, values in enumerate(parquet_rows(path, problems), 1):
        yield Record(number, values)


def _yaml(path: Path, problems: DataProblems) -> Iterator[Record]:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = "".join(_lines(path, problems))
    except _UnreadableError:
        return
    if len(text) > MAX_YAML:
        problems.add(
            path, f"A YAML file of records holds at most {MAX_YAML:,} characters.", hint="Use JSONL instead."
        )
        return
    try:
        yaml = YAML(typ="safe", pure=True)
        top = yaml.compose(text)
        if top is None:
            return
        if top.id != "sequence":
            problems.add(path, "A YAML file of records is a list of mappings.", line=1)
            return
        for node in top.value:
            value = SafeConstructor(loader=yaml).construct_object(node, deep=True)
            if isinstance(value, dict):
                yield Record(node.start_mark.line + 1, {str(key): item for key, item in value.items()})
            else:
                problems.add(path, "A record is a mapping, `name: value`.", line=node.start_mark.line + 1)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        problems.add(path, f"This is not YAML: {error.problem}.", **place)
    except (YAMLError, ValueError, RecursionError) as error:
        problems.add(path, f"This is not YAML: {type(error).__name__}.")
