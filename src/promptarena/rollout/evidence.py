"""What a transition rests on: a duel's gate or a readout's verdict, as the commands write them as JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from promptarena.errors import DataError, Location

__all__ = ["Evidence", "read_evidence", "stored_evidence"]

MAX_BYTES: Final = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one file says, and which file it was."""

    source: str
    """The file's name."""
    sha256: str
    """Of its bytes, so that it can be recognised later."""
    kind: str
    """`gate`, `verdict` or `other`."""
    about: str | None = None
    """The duel or the experiment."""
    status: str | None = None
    """`pass`, `fail`, ... of a gate; `ship`, `hold`, ... of a verdict."""
    variants: dict[str, str] | None = None
    """The verdict on each treatment by itself; none where the data are invalid."""
    preregistered: bool | None = None
    reasons: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As it is kept with the transition."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items() if v is not None}

    def says_ship(self, variant: str) -> bool:
        """Whether it is a verdict that this treatment should be shipped."""
        return self.kind == "verdict" and (self.variants or {}).get(variant) == "ship"


def read_evidence(path: Path) -> Evidence:
    """Read what `arena duel --json` or `arena readout --json` wrote; of other JSON the hash is kept.

    Raises:
        DataError: the file cannot be read, is too large, or is not a JSON object.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"The evidence cannot be read: {error.strerror}.", where=Location(path)) from None
    if len(data) > MAX_BYTES:
        raise DataError(f"Evidence is at most {MAX_BYTES:,} bytes.", where=Location(path))
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise DataError(
            "Evidence is a JSON object.",
            where=Location(path),
            hint="Write one with `arena duel FILE --json` or `arena readout EXPERIMENT --json`.",
        )
    known: dict[str, Any] = {"source": path.name, "sha256": hashlib.sha256(data).hexdigest()}
    if isinstance(gate := said.get("gate"), dict):
        return Evidence(**known, kind="gate", about=_text(said, "duel"), **_said(gate))
    if isinstance(verdict := said.get("verdict"), dict):
        return Evidence(
            **known,
            kind="verdict",
            about=_text(said, "experiment"),
            variants=_by_variant(verdict),
            preregistered=verdict.get("preregistered") is True,
            **_said(verdict),
        )
    return Evidence(**known, kind="other")


def stored_evidence(root: Path, experiment: str, definition_hash: str) -> Path:
    """Where `arena duel` leaves the result of an experiment's offline stage: it is of this definition alone.

    Args:
        root: the project's folder.
        experiment: its name.
        definition_hash: of what is frozen at its start.
    """
    return root / ".arena" / "evidence" / f"{experiment}-{definition_hash[:16]}.json"


def _said(answer: dict[str, Any]) -> dict[str, Any]:
    reasons = answer.get("reasons")
    return {
        "status": _text(answer, "status"),
        "reasons": tuple(map(str, reasons)) if isinstance(reasons, list) else (),
    }


def _by_variant(verdict: dict[str, Any]) -> dict[str, str]:
    found = verdict.get("by_variant")
    return {str(name): str(status) for name, status in found.items()} if isinstance(found, dict) else {}


def _text(said: dict[str, Any], name: str) -> str | None:
    return found if isinstance(found := said.get(name), str) else None
