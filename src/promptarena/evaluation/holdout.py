"""How often a sealed holdout was opened, and what that does to what it says.

A gate decides on cases that nobody looked at while the change was made. Each time it is asked again, with
another change or the same one made over, chance has one more go: of k changes that are no better than their
thresholds, one passes with a probability of up to k alpha (Bonferroni's bound; Dwork et al. 2015, "The
reusable holdout", on why answers that guide the next change use a holdout up). So openings are counted, by
the content of the holdout: other cases start a count of their own.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from promptarena.definitions.clock import Clock
from promptarena.definitions.duel_readout import DuelReadout
from promptarena.definitions.project import find_project
from promptarena.errors import DefinitionError, Location, StorageError

__all__ = ["HoldoutLedger", "arena_folder", "reuse_note", "with_openings"]

_FILE: Final = "holdout-openings.jsonl"
_TIRED: Final = 0.1
"""From this chance of an accident on, fresh cases are asked for."""


@dataclass(frozen=True, slots=True)
class HoldoutLedger:
    """The openings of all holdouts of a project, a line each; nothing is ever taken out."""

    folder: Path
    """The project's `.arena`."""

    def openings(self, version: str) -> int:
        """How often the holdout of this version was opened.

        Raises:
            StorageError: the record cannot be read.
        """
        return len(self._runs(version))

    def open(self, version: str, duel: str, run: str, clock: Clock) -> int:
        """Note an opening, before anything of the holdout is used.

        Args:
            version: of the holdout's content.
            duel: by which duel.
            run: a name of the run; one that goes on where it was stopped opened the holdout once.
            clock: for the time on record.

        Returns:
            How often it was opened, this time included.

        Raises:
            StorageError: the record cannot be read or written, so the holdout stays sealed.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                runs = self._runs(version)
                if run not in runs:
                    said = {"at": clock.now().isoformat(), "holdout": version, "duel": duel, "run": run}
                    file.write(json.dumps(said).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                    runs.add(run)
                return len(runs)
        except OSError as error:
            raise self._failure(f"cannot be written: {error.strerror}") from error

    @property
    def _path(self) -> Path:
        return self.folder / _FILE

    def _runs(self, version: str) -> set[str]:
        return {str(said.get("run")) for said in self._lines() if said.get("holdout") == version}

    def _lines(self) -> Iterator[dict[str, Any]]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise self._failure("cannot be read") from error
        for number, line in enumerate(text.splitlines(), 1):
            try:
                said = json.loads(line)
                assert isinstance(said, dict)
            except (ValueError, AssertionError):
                raise self._failure("is damaged", number) from None
            yield said

    def _failure(self, what: str, line: int | None = None) -> StorageError:
        return StorageError(
            f"The record of how often the holdout was opened {what}.",
            where=Location(self._path, line),
            hint="The holdout stays sealed until it can be counted.",
        )


def reuse_note(openings: int, alpha: float) -> str:
    """One sentence for readouts and gates.

    >>> reuse_note(1, 0.025)
    'the holdout was opened for the first time'
    >>> reuse_note(3, 0.025)
    'the holdout was opened 3 times: a change no better than its thresholds had a chance of up to 7.5% to pass
    one of them'

    Args:
        openings: how often, this time included; at least 1.
        alpha: of the gate, one-sided.
    """
    if openings == 1:
        return "the holdout was opened for the first time"
    chance = min(1.0, openings * alpha)
    accident = f"a change no better than its thresholds had a chance of up to {100 * chance:.3g}%"
    used_up = "; it is used up, take fresh cases" if chance >= _TIRED else ""
    return f"the holdout was opened {openings:,} times: {accident} to pass one of them{used_up}"


def with_openings(readout: DuelReadout, openings: int) -> DuelReadout:
    """A readout of a holdout that says how often it was opened, and so does its gate."""
    gate = readout.gate
    if gate is None:
        return replace(readout, holdout_openings=openings)
    note = reuse_note(openings, gate.alpha)
    told = replace(gate, reasons=(*gate.reasons, note))
    return replace(readout, gate=told, holdout_openings=openings, notes=(*readout.notes, note))


def arena_folder(folder: Path) -> Path:
    """Where the project of a duel's folder keeps what it knows; of a duel that stands alone, beside it."""
    try:
        root = find_project(folder).parent
    except DefinitionError:
        root = folder
    return root / ".arena"
