"""What Prompt Arena says when it cannot do what was asked: one tree of errors, each with its exit status.

An error names what is wrong, where (file, line, field) and what to do about it. Commands print it without a
traceback; anything that is not an `ArenaError` is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

__all__ = [
    "ArenaError",
    "BudgetSpentError",
    "DataError",
    "DefinitionError",
    "Location",
    "MissingExtraError",
    "ModelCallError",
    "NotEnoughDataError",
    "Problem",
    "ProviderUnusableError",
    "RunStoppedError",
    "StaleWriteError",
    "StorageError",
    "UsageError",
]


_ENDS: Final = (".", "!", "?", ":")


@dataclass(frozen=True, slots=True)
class Location:
    """Where in a user's file something is.

    >>> str(Location(Path("arena.yaml"), line=3, column=5, field="features.support-bot"))
    'arena.yaml:3:5 (features.support-bot)'
    """

    file: Path | None = None
    line: int | None = None
    """1-based, as editors count."""
    column: int | None = None
    """1-based character within the line (not a table's column: that is `field`)."""
    field: str | None = None
    """Dotted path of a definition's field, or a table's column name."""

    def __str__(self) -> str:
        numbers = [str(number) for number in (self.line, self.column) if number is not None]
        place = ":".join([*([str(self.file)] if self.file else ["line"] if numbers else []), *numbers])
        return " ".join(part for part in (place, f"({self.field})" if self.field else "") if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: what is wrong, where, and how to mend it.

    >>> str(Problem("NaN is no value", Location(field="value"), "Leave the field out if it is unknown."))
    '(value): NaN is no value. Leave the field out if it is unknown.'
    """

    message: str
    where: Location | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        if not self.hint:
            return f"{place}{self.message}"
        return f"{place}{self.message}{'' if self.message.endswith(_ENDS) else '.'} {self.hint}"


class ArenaError(Exception):
    """Base of everything we raise on purpose: one or more problems, found together and told together."""

    exit_status: ClassVar[int] = 2

    def __init__(
        self,
        problems: Problem | str | Iterable[Problem],
        *,
        where: Location | None = None,
        hint: str | None = None,
    ) -> None:
        if isinstance(problems, str):
            problems = Problem(problems, where, hint)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class UsageError(ArenaError):
    """The command was called with words that do not fit together."""


class DefinitionError(ArenaError):
    """A definition file (project, experiment, metrics, duel) is wrong; carries every mistake of the file."""


class DataError(ArenaError):
    """A data file is missing, unreadable or holds what it must not (text for numbers, NaN)."""


class MissingExtraError(ArenaError):
    """An optional part of the package is not installed."""


class NotEnoughDataError(ArenaError):
    """The input is well formed but what was asked cannot be computed from it. Never answered with a zero."""

    exit_status = 4


class StorageError(ArenaError):
    """The log could not be written, read or locked. What was to be written is not acknowledged."""

    exit_status = 4


class StaleWriteError(StorageError):
    """Somebody else wrote first, so the decision was made on what no longer holds. Nothing was written."""


class ModelCallError(ArenaError):
    """A provider gave no answer after all retries, or one that is none."""

    exit_status = 4


class ProviderUnusableError(ModelCallError):
    """No call to this provider can succeed as things are: it is down, or refuses the key or the model."""


class RunStoppedError(ArenaError):
    """A run ended before all of it was done; what was done is kept, and can be gone on from."""

    exit_status = 4


class BudgetSpentError(ArenaError):
    """The next call would cost more than is left of the declared budget; it was not made."""

    exit_status = 4
