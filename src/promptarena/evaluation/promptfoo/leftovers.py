"""What an import leaves behind, each with its line: nothing is dropped in silence."""

from __future__ import annotations

from promptarena.errors import Location, Problem

__all__ = ["Leftovers"]


class Leftovers:
    """Gathers what is not carried over, and what means something else here."""

    def __init__(self) -> None:
        self._told: dict[Problem, None] = {}

    def add(self, message: str, where: Location, hint: str | None = None) -> None:
        """Note one of them; the same one of many cases is told once."""
        self._told.setdefault(Problem(message, where, hint))

    @property
    def told(self) -> tuple[Problem, ...]:
        """In the order of files and lines."""

        def order(problem: Problem) -> tuple[str, int, int]:
            where = problem.where or Location()
            return str(where.file or ""), where.line or 0, where.column or 0

        return tuple(sorted(self._told, key=order))
