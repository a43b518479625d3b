"""promptfoo's tests, inline or in files, as cases: variables, metadata and what is asserted.

CSV columns are those of promptfoo 0.121 (its `testCaseFromCsvRow`): `__expected`, `__expected1`, ...,
`__metadata:key`, `__metadata:key[]`, `__description`, `__metric`, `__config:__expected1:threshold`,
`__prefix`, `__suffix`; every other column is a variable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.document import Document, FieldPath, read_document
from promptarena.errors import DefinitionError, Location
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.promptfoo.assertions import Assertion, from_cell, from_mapping
from promptarena.evaluation.promptfoo.configuration import read_file
from promptarena.evaluation.promptfoo.leftovers import Leftovers
from promptarena.evaluation.records import read_records

__all__ = ["TestCase", "read_tests"]

_TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".yaml", ".yml", ".parquet")
_MOST_COMBINATIONS: Final = 10_000
_CARRIED: Final = ("vars", "assert", "description", "metadata")
_CONFIG: Final = re.compile(r"__config:__expected(\d*):threshold")


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test."""

    where: Location
    variables: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    assertions: tuple[Assertion, ...] = ()


def read_tests(document: Document, left: Leftovers) -> list[TestCase]:
    """All tests, `defaultTest` beneath each of them.

    Raises:
        DataError: a file of tests cannot be read.
    """
    default = _default(document, left)
    written = document.data.get("tests", [{}])
    items = written if isinstance(written, list) else [written]
    found: list[TestCase] = []
    for number, item in enumerate(items):
        at: FieldPath = ("tests", number) if isinstance(written, list) else ("tests",)
        if isinstance(item, str):
            found += _from_file(item, document, at, left)
        elif isinstance(item, dict):
            found.append(_of_mapping(item, document, at, left))
        else:
            left.add("A test that is no mapping is not carried over.", document.position(at))
    whole = [
        replace(
            each,
            variables={**default.variables, **each.variables},
            metadata={**default.metadata, **each.metadata},
            assertions=(*default.assertions, *each.assertions),
        )
        for each in found
    ]
    return [one for each in whole for one in _combined(each, left)]


def _default(document: Document, left: Leftovers) -> TestCase:
    written = document.data.get("defaultTest", {})
    if isinstance(written, str):
        path = document.path.parent / written.removeprefix("file://")
        try:
            other = read_document(path)
        except DefinitionError:
            left.add(
                f"The default test {written} cannot be read; it is not carried over.",
                document.position(("defaultTest",)),
            )
            return TestCase(document.position(("defaultTest",)))
        return _of_mapping(other.data, other, (), left)
    if not isinstance(written, dict):
        return TestCase(document.position(("defaultTest",)))
    return _of_mapping(written, document, ("defaultTest",), left)


def _of_mapping(item: dict[str, Any], document: Document, at: FieldPath, left: Leftovers) -> TestCase:
    for name in item:
        if name not in _CARRIED:
            left.add(f"`{name}` of a test is not carried over.", document.position((*at, name), key=True))
    written = item.get("assert", [])
    assertions: list[Assertion] = []
    for number, each in enumerate(written if isinstance(written, list) else []):
        where = document.position((*at, "assert", number))
        each = _referred(each, document)
        if isinstance(each, dict) and each.get("type") == "assert-set":
            left.add("An `assert-set` is not carried over: each of its checks stands alone here.", where)
        elif isinstance(each, dict) and (found := from_mapping(each, where, left)) is not None:
            assertions.append(found)
        elif not isinstance(each, dict):
            left.add("An assertion that is no mapping is not carried over.", where)
    variables = item.get("vars", {})
    if not isinstance(variables, dict):
        left.add("`vars` that are no mapping are not carried over.", document.position((*at, "vars")))
        variables = {}
    metadata = item.get("metadata", {})
    if isinstance(metadata, dict) and "conversationId" in metadata:
        told = "Tests of one `conversationId` are turns of one conversation; here each case stands alone."
        hint = "A case's input may be a whole chat: a list of messages."
        left.add(told, document.position((*at, "metadata", "conversationId"), key=True), hint)
    description = item.get("description")
    return TestCase(
        document.position(at),
        {name: _variable(value, document, (*at, "vars", name), left) for name, value in variables.items()},
        metadata if isinstance(metadata, dict) else {},
        description if isinstance(description, str) else None,
        tuple(assertions),
    )


def _referred(written: Any, document: Document) -> Any:
    """What `$ref: '#/assertionTemplates/NAME'` names; anything else as it is."""
    name = written.get("$ref") if isinstance(written, dict) else None
    if not isinstance(name, str) or not name.startswith("#/"):
        return written
    path = tuple(name.removeprefix("#/").split("/"))
    return document.get(path) if document.holds(path) else written


def _variable(value: Any, document: Document, at: FieldPath, left: Leftovers) -> Any:
    """A variable; a `file://` is what the file holds."""
    if not (isinstance(value, str) and value.startswith("file://")):
        return value
    path = document.path.parent / value.removeprefix("file://")
    text = (
        read_file(path)
        if path.suffix not in (".py", ".js", ".ts", ".mjs", ".cjs", ".pdf", ".png", ".jpg")
        else None
    )
    if text is None:
        left.add(f"The variable {value} cannot be read as text; it is left as it is.", document.position(at))
        return value
    return text


def _from_file(name: str, document: Document, at: FieldPath, left: Leftovers) -> Iterator[TestCase]:
    folder, pattern = document.path.parent, name.removeprefix("file://")
    paths = sorted(folder.glob(pattern)) if any(sign in pattern for sign in "*?[") else [folder / pattern]
    if not paths or "://" in pattern or any(path.suffix not in (*_TABLES, ".json") for path in paths):
        left.add(
            f"The tests {name} are no file of records here; they are not carried over.", document.position(at)
        )
        return
    for path in paths:
        problems = DataProblems()
        if path.suffix == ".json":
            yield from _of_json(path, left)
            continue
        for record in read_records(path, problems):
            where = Location(path, record.line)
            if path.suffix in (".csv", ".tsv"):
                yield _of_row(record.values, where, left)
            else:
                yield _of_mapping(record.values, Document(path, record.values, values={(): where}), (), left)
        problems.raise_any()


def _of_json(path: Path, left: Leftovers) -> Iterator[TestCase]:
    text = read_file(path)
    try:
        found = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        left.add("This is no JSON list of tests; it is not carried over.", Location(path))
        return
    for item in found:
        if isinstance(item, dict):
            yield _of_mapping(item, Document(path, item, values={(): Location(path)}), (), left)


def _of_row(row: Mapping[str, Any], where: Location, left: Leftovers) -> TestCase:
    variables: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    assertions: list[Assertion] = []
    metric = str(row.get("__metric") or "").strip() or None
    thresholds: dict[int, float] = {}
    description = None
    for name, value in row.items():
        cell = str(value or "")
        if not cell.strip() and name.startswith("__"):
            continue
        if name.startswith("__expected"):
            assertions.append(from_cell(cell.strip(), metric, where))
        elif name.startswith("__metadata:") and name.endswith("[]"):
            parts = re.split(r"(?<!\\),", cell)
            metadata[name[len("__metadata:") : -2]] = [part.strip().replace("\\,", ",") for part in parts]
        elif name.startswith("__metadata:"):
            metadata[name.removeprefix("__metadata:")] = cell
        elif name == "__description":
            description = cell
        elif (told := _CONFIG.fullmatch(name)) and re.fullmatch(r"\d+(\.\d+)?", cell.strip()):
            thresholds[int(told[1] or 1) - 1] = float(cell)
        elif name == "__metric":
            continue
        elif name.startswith("__"):
            left.add(f"The column `{name}` is not carried over.", Location(where.file, 1, field=name))
        else:
            variables[name] = value
    checked = tuple(
        replace(each, threshold=thresholds.get(number, each.threshold))
        for number, each in enumerate(assertions)
    )
    return TestCase(where, variables, metadata, description, checked)


def _combined(test: TestCase, left: Leftovers) -> Iterator[TestCase]:
    """A variable that is a list stands for a test with each of its items, as in promptfoo."""
    lists = {name: value for name, value in test.variables.items() if isinstance(value, list) and value}
    if not lists:
        yield test
        return
    number = 1
    for value in lists.values():
        number *= len(value)
    if number > _MOST_COMBINATIONS:
        left.add(f"The lists of a test make {number:,} combinations; it is not carried over.", test.where)
        return
    for chosen in product(*lists.values()):
        yield replace(test, variables={**test.variables, **dict(zip(lists, chosen, strict=True))})
