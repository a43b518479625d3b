"""Texts of recorded outputs, found by case: they may exceed memory and stand in any order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

__all__ = ["RecordedTexts"]


class RecordedTexts:
    """Texts in a scratch database of their own; close it after use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = OFF")  # nobody misses it after a crash
        self._connection.execute(
            "CREATE TABLE output (variant TEXT, id TEXT, text TEXT, PRIMARY KEY (variant, id))"
        )

    def fill(self, variant: str, outputs: Iterable[tuple[str, str]]) -> None:
        """Take in a variant's outputs as pairs of case and text; of the same case the first one counts."""
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT OR IGNORE INTO output VALUES (?, ?, ?)", ((variant, case, text) for case, text in outputs)
        )
        self._connection.execute("COMMIT")

    def find(self, variant: str, case: str) -> str | None:
        """The output of a case, if there is one."""
        found = self._connection.execute(
            "SELECT text FROM output WHERE variant = ? AND id = ?", (variant, case)
        ).fetchone()
        return None if found is None else str(found[0])

    def close(self) -> None:
        """Take the database away."""
        self._connection.close()
        self._path.unlink(missing_ok=True)
