"""A report in a terminal, a pipe or a log: the answer first, in words that need no colour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from promptarena.reporting.outline import Depth, Outline, Section, Table, Tone
from promptarena.reporting.outlines import Report, outline

__all__ = ["print_text"]

_STYLES: Final = {
    Tone.GOOD: "bold green",
    Tone.BAD: "bold red",
    Tone.WARNING: "bold yellow",
    Tone.NEUTRAL: "bold cyan",
}
_GAP: Final = 2
_NARROWEST_NAME: Final = 14
"""Cells to which the first column of a table may be folded before the table is written as a list."""


def print_text(report: Report, console: Console, *, details: bool = False) -> None:
    """Write a report to a console, as wide as the console is.

    Args:
        report: a readout, a plan or a duel's readout.
        console: where to; colour and width are its own. Names from the data are never read as markup, and
            control characters in them are shown escaped.
        details: also the sections that are otherwise left to the page (daily effects, every check, methods).
    """
    content = outline(report)
    console.print(_head(content))
    for section in content.sections:
        if details or section.depth is Depth.EVERYWHERE:
            console.print(Text())
            console.print(_section(section, console.width))


def _head(content: Outline) -> RenderableType:
    answer = Text.assemble((_clean(content.status).upper(), _STYLES[content.tone]))
    if content.subject:
        answer.append(f"  {_clean(content.subject)}", "bold")
    answer.append(f"  {_clean(content.headline)}")
    rows = [("What it means", content.meaning), ("What to do", content.action)]
    rows.extend(("Caution", caveat) for caveat in content.caveats)
    rows.extend(content.facts)
    return Group(Text(f"{content.kind}: {_clean(content.title)}", "dim"), answer, Text(), _facts(rows))


def _section(section: Section, width: int) -> RenderableType:
    parts: list[RenderableType] = [Text(_clean(section.title), "bold underline")]
    if section.lead:
        parts.append(_line(section.lead))
    if section.facts:
        parts.append(_facts(section.facts))
    parts.extend(_bullet(bullet) for bullet in section.bullets)
    if section.table is not None:
        parts.append(_table(section.table, width))
    parts.extend(_line(note, "dim") for note in section.notes)
    return Group(*parts)


def _facts(facts: Iterable[tuple[str, str]]) -> RenderableType:
    grid = Grid.grid(padding=(0, _GAP, 0, 0))
    grid.add_column(overflow="fold", max_width=24)
    grid.add_column(overflow="fold")
    for label, text in facts:
        grid.add_row(Text(_clean(label), "bold"), Text(_clean(text)))
    return grid


def _bullet(text: str) -> RenderableType:
    grid = Grid.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text("- "), Text(_clean(text)))
    return grid


def _line(text: str, style: str = "") -> Text:
    return Text(_clean(text), style, overflow="fold")


def _table(table: Table, width: int) -> RenderableType:
    rows = [[[_clean(line) for line in cell if line] for cell in row] for row in table.rows]
    titles = [_clean(column.title) for column in table.columns]
    widths = [
        max([cell_len(titles[i]), *(cell_len(line) for row in rows for line in row[i])])
        for i in range(len(titles))
    ]
    # Numbers are never cut or folded: what does not fit beside its name goes below it, or becomes a list.
    folded = [min(each, _NARROWEST_NAME) if _is_prose(table, i) else each for i, each in enumerate(widths)]
    if sum(folded) + _GAP * (len(folded) - 1) <= width:
        return _grid(table, titles, rows, widths)
    if sum(folded[1:]) + _GAP * (len(folded) - 1) <= width:
        return _below(table, titles, rows, folded)
    return _stacked(titles, rows)


def _is_prose(table: Table, position: int) -> bool:
    last = position == len(table.columns) - 1
    return position == 0 or (last and not table.columns[position].numeric)


def _grid(
    table: Table, titles: list[str], rows: list[list[list[str]]], widths: list[int], *, header: bool = True
) -> Grid:
    grid = Grid(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim", show_header=header)
    for i, column in enumerate(table.columns):
        folds = _is_prose(table, i)
        grid.add_column(
            Text(titles[i]),
            justify="right" if column.numeric else "left",
            no_wrap=not folds,
            overflow="fold",
            min_width=None if folds else widths[i],
        )
    for row in rows:
        grid.add_row(*(Text("\n".join(cell)) for cell in row))
    return grid


def _below(table: Table, titles: list[str], rows: list[list[list[str]]], widths: list[int]) -> RenderableType:
    # The names' column keeps no width of its own: each name is a line, its numbers stand below it.
    blank = ["", *titles[1:]]
    narrow = [0, *widths[1:]]
    parts: list[RenderableType] = [_grid(table, blank, [], narrow)]
    for row in rows:
        parts.append(Text(", ".join(row[0]), "bold", overflow="fold"))
        parts.append(_grid(table, blank, [[[], *row[1:]]], narrow, header=False))
    return Group(*parts)


def _stacked(titles: list[str], rows: list[list[list[str]]]) -> RenderableType:
    parts: list[RenderableType] = []
    for row in rows:
        parts.append(Text(", ".join(row[0]), "bold", overflow="fold"))
        facts = [
            (title, "  ".join(cell)) for title, cell in zip(titles[1:], row[1:], strict=True) if any(cell)
        ]
        parts.append(Padding(_facts(facts), (0, 0, 0, _GAP)))
    return Group(*parts)


def _clean(text: str) -> str:
    """Without what could steer a terminal: control, bidirectional and other unprintable characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
