"""A report to the terminal and to files, and the exit status that a verdict or a gate asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from promptarena.analysis.plan import Plan
    from promptarena.definitions.duel_readout import DuelReadout
    from promptarena.definitions.readout import Readout
    from promptarena.reporting.outlines import Report

__all__ = ["render_duel", "render_plan", "render_readout"]

_VERDICT_STATUS: Final = {"ship": 0, "harmful": 1, "hold": 1, "continue": 3, "invalid": 4}
_GATE_STATUS: Final = {"pass": 0, "fail": 1, "inconclusive": 3, "invalid": 4}


def render_readout(
    readout: Readout, *, as_json: bool, html: Path | None, markdown: Path | None, check: bool
) -> int:
    """Render a readout; with `check` its verdict is the exit status."""
    _render(readout, as_json=as_json, html=html, markdown=markdown)
    return _VERDICT_STATUS[readout.verdict.status] if check else 0


def render_duel(duel: DuelReadout, *, as_json: bool, html: Path | None, markdown: Path | None) -> int:
    """Render a duel; its gate, if it has one, is the exit status."""
    _render(duel, as_json=as_json, html=html, markdown=markdown)
    return 0 if duel.gate is None else _GATE_STATUS[duel.gate.status]


def render_plan(plan: Plan, *, as_json: bool) -> None:
    """Render a plan."""
    _render(plan, as_json=as_json, html=None, markdown=None)


def _render(report: Report, *, as_json: bool, html: Path | None, markdown: Path | None) -> None:
    # Files first: a folder that cannot be written to is told before anything is printed.
    if html is not None:
        from promptarena.reporting.html import write_html

        write_html(report, html)
    if markdown is not None:
        from promptarena.reporting.files import write_whole
        from promptarena.reporting.markdown import to_markdown

        write_whole(to_markdown(report), markdown)
    if as_json:
        from promptarena.reporting.json import to_json

        typer.echo(to_json(report))
        return
    from rich.console import Console

    from promptarena.reporting.text import print_text

    print_text(report, Console())
    for written in (html, markdown):
        if written is not None:
            typer.echo(f"\nWritten: {written}")
