"""What a failed command prints, and its exit status."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from promptarena.errors import ArenaError, MissingExtraError, Problem

__all__ = ["reader_may_leave", "report_exit", "report_failure"]

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
    **dict.fromkeys(("aiohttp", "openai"), "providers"),
}


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Go on after printing where the reader goes away before its end (`arena ... | head`)."""
    try:
        yield
        if sys.stdout is not None:  # as it is where a shell closed it
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        if not _reader_left(error):
            raise
        _print_to_nobody()


def report_exit(left: SystemExit, *, as_json: bool) -> None:
    """Before a command ends as the command line library has it: tell its complaint as JSON too.

    The library prints a wrong or missing option to standard error itself, and leaves.

    Raises:
        SystemExit: with the status that was meant; 0 where the reader of our output went away.
    """
    if _reader_left(left):
        _print_to_nobody()
        raise SystemExit(0) from None
    complaint = left.__context__
    # Of its own class in some versions of the library and of click's in others; all can put it in words.
    if as_json and (format_message := getattr(complaint, "format_message", None)) is not None:
        path = getattr(getattr(complaint, "ctx", None), "command_path", "arena")
        _print_json((Problem(format_message(), hint=f"Try `{path} --help`."),))
    with reader_may_leave():
        pass  # what is still in the buffer
    raise left


def report_failure(error: Exception, *, as_json: bool) -> int:
    """Print a failure to standard error, and as JSON to standard output where that was asked for.

    Returns:
        The exit status.
    """
    if isinstance(error, BrokenPipeError):
        _print_to_nobody()
        return 0
    if os.environ.get(_TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    problems, status = _explain(error)
    for problem in problems:
        print(f"arena: {problem}", file=sys.stderr)
    if len(problems) > 1:
        print(f"arena: {len(problems)} problems in all.", file=sys.stderr)
    if as_json:
        _print_json(problems)
    return status


def _reader_left(error: BaseException) -> bool:
    """The console and the command line library make an exit with status 1 of a broken pipe."""
    pipe = error.__context__ if isinstance(error, SystemExit) else error
    return isinstance(pipe, BrokenPipeError)


def _print_to_nobody() -> None:
    """The reader of our output went away: what is still to be printed, at exit too, must not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_json(problems: Iterable[Problem]) -> None:
    try:
        print(json.dumps({"error": {"problems": [_as_dict(problem) for problem in problems]}}, indent=2))
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # standard error has it too, and so has the status
        _print_to_nobody()


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
