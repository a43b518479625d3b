"""Checks at work: does an output pass?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptarena.definitions.checks import CheckKind, ColumnValue, LengthRule, LengthUnit, OutputCheck
from promptarena.errors import DefinitionError, Location
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.time_limit import within_time

__all__ = ["PreparedCheck", "prepare_check"]

Test = Callable[[str, int], bool | None]
"""(output, number of the case) -> passed; None where the dataset lacks what to compare with."""


@dataclass(frozen=True, slots=True)
class PreparedCheck:
    """A check with its pattern compiled and its schema read."""

    title: str
    test: Test
    negated: bool

    def passes(self, output: str, case: int) -> bool | None:
        """Whether an output passes; None where the dataset lacks what to compare with.

        Raises:
            TooSlowError: a pattern took too long.
        """
        found = self.test(output, case)
        return None if found is None else found != self.negated


def prepare_check(check: OutputCheck, dataset: Dataset, folder: Path) -> PreparedCheck:
    """Make a declared check ready to run.

    Args:
        check: the declaration.
        dataset: holds the columns that checks refer to.
        folder: what the file name of a schema is relative to.

    Raises:
        DefinitionError: a schema cannot be read or is none.
    """
    fold = str.casefold if check.ignore_case else str
    test: Test
    match check.kind:
        case CheckKind.EQUALS:
            test = _compare(
                check.value, dataset, lambda output, wanted: fold(output.strip()) == fold(wanted.strip())
            )
        case CheckKind.CONTAINS if isinstance(check.value, tuple):
            texts = [fold(text) for text in check.value]
            join = any if check.negated else all

            def test(output: str, _case: int) -> bool:
                return join(text in fold(output) for text in texts)
        case CheckKind.CONTAINS:
            test = _compare(check.value, dataset, lambda output, wanted: fold(wanted) in fold(output))
        case CheckKind.REGEX:
            pattern = re.compile(check.value, re.IGNORECASE if check.ignore_case else 0)

            def test(output: str, _case: int) -> bool:
                return within_time(lambda: pattern.search(output) is not None, len(output))
        case CheckKind.JSON_SCHEMA:
            test = _json_schema(check.value, folder)
        case CheckKind.LENGTH:
            test = _length(check.value)
    return PreparedCheck(check.title, test, check.negated)


def _compare(value: ColumnValue | str, dataset: Dataset, holds: Callable[[str, str], bool]) -> Test:
    if isinstance(value, str):
        return lambda output, _case: holds(output, value)
    column = dataset.columns[value.column]

    def test(output: str, case: int) -> bool | None:
        wanted = column[case]
        return None if wanted is None else holds(output, wanted)

    return test


def _length(rule: LengthRule) -> Test:
    def test(output: str, _case: int) -> bool:
        length = len(output.split()) if rule.unit is LengthUnit.WORDS else len(output)
        return rule.min <= length and (rule.max is None or length <= rule.max)

    return test


def _json_schema(value: dict[str, Any] | bool | str, folder: Path) -> Test:
    from jsonschema import Draft202012Validator, validators
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    schema = _read_schema(folder / value.removeprefix("file://")) if isinstance(value, str) else value
    where = Location(folder / value.removeprefix("file://")) if isinstance(value, str) else None
    kind = validators.validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise DefinitionError(f"This is not a JSON Schema: {error.message}.", where=where) from None
    # An empty registry: a schema that refers to another address is refused, never fetched.
    validator = kind(schema, registry=Registry())

    def test(output: str, _case: int) -> bool:
        try:
            found = json.loads(output, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return False
        try:
            return within_time(lambda: bool(validator.is_valid(found)), len(output))
        except Unresolvable as error:
            raise DefinitionError(
                f"The schema refers to {error.ref!r}, which is not in it.",
                where=where,
                hint="Put it under $defs.",
            ) from None
        except RecursionError:
            return False

    return test


def _refuse(name: str) -> None:
    raise ValueError(name)


def _read_schema(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DefinitionError(f"The schema cannot be read: {error.strerror}.", where=Location(path)) from None
    except json.JSONDecodeError as error:
        raise DefinitionError(
            f"The schema is not JSON: {error.msg}.", where=Location(path, error.lineno, error.colno)
        ) from None
    except (ValueError, RecursionError) as error:
        raise DefinitionError(
            f"The schema is not JSON: {type(error).__name__}.", where=Location(path)
        ) from None
