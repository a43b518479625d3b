"""Whether an output is JSON, and of the shape that a schema asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from promptarena.errors import DefinitionError, Location
from promptarena.evaluation.time_limit import within_time

__all__ = ["is_json", "schema_test"]


def is_json(output: str) -> bool:
    """Whether a text is JSON as RFC 8259 has it: NaN and infinities are none."""
    try:
        json.loads(output, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def schema_test(value: dict[str, Any] | bool | str, folder: Path) -> Callable[[str], bool]:
    """What tells whether an output is JSON and valid.

    Args:
        value: a schema, `True` for any JSON, or the `file://` that holds one.
        folder: what that file's name is relative to.

    Raises:
        DefinitionError: the schema cannot be read or is none; the test raises it too, where the schema refers
            to what is not in it.
    """
    from jsonschema import Draft202012Validator, validators
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    if value is True:
        return is_json
    schema = _read_schema(folder / value.removeprefix("file://")) if isinstance(value, str) else value
    where = Location(folder / value.removeprefix("file://")) if isinstance(value, str) else None
    kind = validators.validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        raise DefinitionError(f"This is not a JSON Schema: {error.message}.", where=where) from None
    # An empty registry: a schema that refers to another address is refused, never fetched.
    validator = kind(schema, registry=Registry())

    def test(output: str) -> bool:
        try:
            found = json.loads(output, parse_constant=_refuse)
            return within_time(lambda: bool(validator.is_valid(found)), len(output))
        except Unresolvable as error:
            raise DefinitionError(
                f"The schema refers to {error.ref!r}, which is not in it.",
                where=where,
                hint="Put it under $defs.",
            ) from None
        except (ValueError, RecursionError):
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
