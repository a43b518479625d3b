"""The mistakes of data files, gathered so that all are told at once, up to a limit a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from promptarena.errors import DataError, Location, Problem

__all__ = ["DataProblems"]

MAX_TOLD: Final = 20
"""Problems of one file; the rest are counted."""


class DataProblems:
    """Gathers problems; `raise_any` tells them."""

    def __init__(self) -> None:
        self._told: dict[Path, list[Problem]] = {}
        self._untold: dict[Path, int] = {}

    def add(
        self,
        file: Path,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Note a problem of a file."""
        told = self._told.setdefault(file, [])
        if len(told) < MAX_TOLD:
            told.append(Problem(message, Location(file, line, column, field), hint))
        else:
            self._untold[file] = self._untold.get(file, 0) + 1

    def concern(self, file: Path) -> bool:
        """Whether something is wrong with this file."""
        return file in self._told

    def raise_any(self) -> None:
        """Raise what was gathered, files in the order in which they were read.

        Raises:
            DataError: there is a problem.
        """
        problems: list[Problem] = []
        for file, told in self._told.items():
            problems += sorted(told, key=lambda problem: (problem.where and problem.where.line) or 0)
            if more := self._untold.get(file):
                problems.append(Problem(f"And {more:,} more problems in this file.", Location(file)))
        if problems:
            raise DataError(problems)
