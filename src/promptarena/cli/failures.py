"""What a failed command prints, and its exit status."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Final

from promptarena.errors import ArenaError, MissingExtraError, Problem

__all__ = ["report_failure"]

_COULD_NOT_COMPLETE: Final = 4
_TRACEBACK_VARIABLE: Final = "ARENA_TRACEBACK"

# Which extra brings which import; what is not here is a dependency of the base install.
_EXTRA_OF: Final = {
    **dict.fromkeys(
        (
            "alembic",
            "duckdb",
            "ibis",
            "jinja2",
            "jsonschema",
            "msgspec",
            "numpy",
            "pyarrow",
            "pydantic",
            "ruamel",
            "scipy",
            "sqlalchemy",
        ),
        "local",
    ),
    **dict.fromkeys(("altair", "vl_convert"), "charts"),
    "psycopg": "postgres",
    "openai": "providers",
}


def report_failure(error: Exception, *, as_json: bool) -> int:
    """Print a failure to standard error, and as JSON to standard output where that was asked for.

    Returns:
        The exit status.
    """
    if isinstance(error, BrokenPipeError):
        # The reader of our output went away (`arena ... | head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if os.environ.get(_TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    problems, status = _explain(error)
    for problem in problems:
        print(f"arena: {problem}", file=sys.stderr)
    if len(problems) > 1:
        print(f"arena: {len(problems)} problems in all.", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"problems": [_as_dict(problem) for problem in problems]}}, indent=2))
    return status


def _explain(error: Exception) -> tuple[tuple[Problem, ...], int]:
    if isinstance(error, ArenaError):
        return error.problems, error.exit_status
    if isinstance(error, ModuleNotFoundError) and (extra := _EXTRA_OF.get((error.name or "").split(".")[0])):
        problem = Problem(
            f"This needs {error.name}, which is not installed.",
            hint=f"Run: pip install 'promptarena[{extra}]'",
        )
        return (problem,), MissingExtraError.exit_status
    message = f"{type(error).__name__}: {error}".strip(": ")
    hint = f"This is a bug of Prompt Arena; set {_TRACEBACK_VARIABLE}=1 to see where, and please report it."
    return (Problem(f"Could not be completed: {message}.", hint=hint),), _COULD_NOT_COMPLETE


def _as_dict(problem: Problem) -> dict[str, object]:
    where = problem.where
    return {
        "message": problem.message,
        "file": str(where.file) if where and where.file else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "field": where.field if where else None,
        "hint": problem.hint,
    }
