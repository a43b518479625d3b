"""What a report says, before any face renders it: text, Markdown and the page show the same outline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

__all__ = ["Cell", "Column", "Depth", "Outline", "Section", "Table", "Tone"]

Cell = tuple[str, ...]
"""The lines of one cell of a table; empty lines are left out by the faces."""


class Depth(IntEnum):
    """How far a reader has to dig to meet a section."""

    EVERYWHERE = 0
    PAGE = 1
    """Open on the page and folded in Markdown; left out of the terminal unless details are asked for."""
    FOLDED = 2
    """Folded on the page and in Markdown; left out of the terminal unless details are asked for."""


class Tone(StrEnum):
    """What a headline's colour means. The words say it too."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column."""

    title: str
    numeric: bool = False
    """Whether it is set flush right."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, one cell a column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row of a table has one cell a column")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands below it."""

    key: str
    """Names the section to whoever adds a chart to it, such as `metrics` or `daily:resolution`."""
    title: str
    lead: str = ""
    """A sentence before everything else, or all that there is to say."""
    facts: tuple[tuple[str, str], ...] = ()
    """Label and text."""
    bullets: tuple[str, ...] = ()
    table: Table | None = None
    notes: tuple[str, ...] = ()
    """Small print below."""
    depth: Depth = Depth.EVERYWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A whole report: the answer first, then what it rests on."""

    title: str
    """The name of what was analysed."""
    kind: str
    """What the report is, such as `Experiment readout`."""
    status: str
    """The answer's word, such as `ship` or `pass`."""
    tone: Tone
    subject: str = ""
    """Whom the status is about."""
    headline: str
    """The decisive reason, as a sentence."""
    meaning: str
    """What the status means, in plain words."""
    action: str
    """What to do next."""
    caveats: tuple[str, ...] = ()
    """What would make the answer wrong."""
    facts: tuple[tuple[str, str], ...] = ()
    """What was analysed: label and text."""
    sections: tuple[Section, ...] = ()
