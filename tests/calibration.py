"""What slow simulations found, kept in one file of record from which `docs/calibration.md` is rendered.

A test takes the fixture `calibration` and records each figure beside what was promised. With `--calibrate`
(`make calibrate`) its rows replace the rows it recorded before, and the page is rendered again; a run of some
tests changes the rows of those tests alone. Processes take turns at the file, so none loses a row to another.
`python -m tests.calibration` renders the page and drops the rows of tests that are gone.
"""

from __future__ import annotations

import ast
import fcntl
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

Bound = Literal["at most", "at least", "about", "beside"]
"""How the nominal figure is meant; `beside` only shows what a common mistake gives, and has no verdict."""

ROOT = Path(__file__).resolve().parent.parent
RECORD = Path(__file__).with_suffix(".jsonl")
PAGE = ROOT / "docs" / "calibration.md"
_PATIENCE = 3.0
"""Monte-Carlo errors that a figure may be away from its promise; of 500 true promises, one is."""


@dataclass(frozen=True)
class Row:
    """One figure of one simulation."""

    test: str
    """Node id, by which a later run replaces it."""
    procedure: str
    setting: str
    figure: str
    bound: Bound
    nominal: float | None
    observed: float
    error: float
    """Monte-Carlo standard error of `observed`."""
    slack: float
    """What is promised beyond `nominal`, error apart: an asymptotic method in a small sample."""
    runs: int
    seed: str

    @property
    def kept(self) -> bool | None:
        """Whether the promise was kept within Monte-Carlo error; None where nothing was promised."""
        if self.nominal is None or self.bound == "beside":
            return None
        gap, room = self.observed - self.nominal, self.slack + _PATIENCE * self.error + 1e-12
        return {"at most": gap <= room, "at least": gap >= -room, "about": abs(gap) <= room}[self.bound]

    @property
    def verdict(self) -> str:
        return {True: "kept", False: "**missed**", None: "for comparison"}[self.kept]


@dataclass
class Calibration:
    """What one test records; `record` returns the row, whose `kept` a test may assert."""

    test: str
    rows: list[Row] = field(default_factory=list)

    def record(
        self,
        procedure: str,
        setting: str,
        figure: str,
        *,
        nominal: float | None,
        observed: float,
        runs: int,
        seed: object,
        bound: Bound = "about",
        slack: float = 0.0,
        error: float | None = None,
    ) -> Row:
        """Record a figure.

        `procedure` is a heading of the page, `setting` what this simulation varies, `figure` what was counted
        ("type I error", "power", "coverage"). A share of `runs` needs no `error`: it is the binomial one at
        the nominal share, where that is none of 0 and 1, else at the observed one.
        """
        if error is None:
            share = nominal if nominal is not None and 0 < nominal < 1 and bound != "beside" else observed
            if not 0 <= share <= 1:
                raise ValueError(f"{figure} {observed:g} is no share: give its Monte-Carlo error")
            error = math.sqrt(share * (1 - share) / runs)
        values = (None if nominal is None else _rounded(nominal), _rounded(float(observed)), _rounded(error))
        row = Row(self.test, procedure, setting, figure, bound, *values, _rounded(slack), runs, _text(seed))
        if any(_key(row) == _key(other) for other in self.rows):
            raise ValueError(f"{self.test} recorded twice: {procedure}, {setting}, {figure}")
        self.rows.append(row)
        return row


def read_record(path: Path) -> list[Row]:
    return [Row(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def merge(test: str, rows: list[Row], record: Path = RECORD, page: Path = PAGE) -> None:
    """Replace what `test` recorded before, and render the page."""
    with _turn(record):
        kept = [row for row in read_record(record) if row.test != test]
        _write(kept + rows, record, page)


def tidy(record: Path = RECORD, page: Path = PAGE) -> None:
    """Drop the rows of tests that are gone, and render the page."""
    with _turn(record):
        _write([row for row in read_record(record) if exists(row.test)], record, page)


def exists(test: str) -> bool:
    """Whether the file of a node id still has a test of its name."""
    path, name = test.split("[")[0].split("::")[0], test.split("[")[0].split("::")[-1]
    file = ROOT / path
    return file.exists() and any(
        isinstance(node, ast.FunctionDef) and node.name == name
        for node in ast.walk(ast.parse(file.read_text()))
    )


def render(rows: list[Row]) -> str:
    """The page."""
    # No line counts the rows: a merge of two pages, each with rows of its own, would be wrong in it.
    parts = [_HEAD.format(patience=f"{_PATIENCE:g}")]
    for procedure, own in groupby(sorted(rows, key=_order), lambda row: row.procedure):
        of = list(own)
        files = sorted({row.test.split("::")[0] for row in of})
        parts.append(f"## {procedure}\n\n" + ", ".join(f"`{file}`" for file in files) + "\n")
        parts.append("\n".join([*_TABLE_HEAD, *map(_line, of)]) + "\n")
    return "\n".join(parts)


_HEAD = """# Calibration

What every statistical procedure promised, and what seeded simulations of it found. `make calibrate` runs them all and
writes this page; a run of some tests (`pytest -m slow --calibrate tests/stats/test_harm.py`) replaces their rows alone.

*Nominal* is the promise: a figure is to be at most, at least or about that; a missed one says so in bold. *Error* is the
Monte-Carlo standard error of what was observed, from the number of simulations. A promise is *kept* if the figure is
within {patience} errors of it, and within the slack that is named beside it where a method is asymptotic and the sample small.
Rows *for comparison* show what a common mistake gives in the same simulation.
"""
_TABLE_HEAD = (
    "| setting | figure | nominal | observed | error | simulations | seed | verdict |",
    "|---|---|---|---|---|---|---|---|",
)


def _line(row: Row) -> str:
    nominal = "" if row.nominal is None else f"{row.nominal:.4g}"
    if nominal and row.bound in ("at most", "at least"):
        nominal = f"{row.bound} {nominal}"
    if row.slack:
        nominal += f" (slack {row.slack:g})"
    cells = (row.setting, row.figure, nominal, f"{row.observed:.4g}", f"{row.error:.2g}", f"{row.runs:,}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (*cells, row.seed, row.verdict)) + " |"


def _write(rows: list[Row], record: Path, page: Path) -> None:
    # A merge that keeps the lines of both sides keeps what both have twice.
    ordered = sorted(dict.fromkeys(rows), key=_order)
    lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in ordered)
    for path, text in ((record, lines), (page, render(ordered))):
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(text)
        aside.replace(path)


@contextmanager
def _turn(record: Path) -> Iterator[None]:
    """A lock on the record's folder: it outlives the files, which are replaced."""
    folder = os.open(record.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _key(row: Row) -> tuple[str, str, str]:
    return row.procedure, row.setting, row.figure


def _order(row: Row) -> tuple[str, str, list[float | str], str, str]:
    parts = re.split(r"(\d*\.?\d+)", row.setting)  # numbers are the odd ones
    natural = [float(part) if k % 2 else part for k, part in enumerate(parts)]
    return row.procedure, row.test.split("[")[0], natural, row.figure, row.test


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _text(seed: object) -> str:
    return ", ".join(map(str, seed)) if isinstance(seed, list | tuple) else str(seed)


if __name__ == "__main__":
    tidy()
