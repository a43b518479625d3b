"""A report to the terminal and to files, and the exit status that a verdict or a gate asks for."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from promptarena.cli.failures import reader_may_leave
from promptarena.errors import Location, UsageError

if TYPE_CHECKING:
    from promptarena.analysis.plan import Plan
    from promptarena.definitions.calibration_readout import CalibrationReadout
    from promptarena.definitions.case_story import CaseStories
    from promptarena.definitions.duel_readout import DuelPlan, DuelReadout
    from promptarena.definitions.interleaving_readout import InterleavingReadout
    from promptarena.definitions.off_policy_readout import OffPolicyReadout
    from promptarena.definitions.readout import Readout
    from promptarena.definitions.simulated import Simulation
    from promptarena.definitions.win_rate_plan import WinRatePlan
    from promptarena.reporting.outlines import Report

__all__ = [
    "refuse_overwriting",
    "render_calibration",
    "render_duel",
    "render_duel_plan",
    "render_interleaving",
    "render_off_policy",
    "render_plan",
    "render_readout",
    "render_simulation",
]

_VERDICT_STATUS: Final = {"ship": 0, "harmful": 1, "hold": 1, "continue": 3, "invalid": 4}
_PREFERENCE_STATUS: Final = {"preferred": 0, "not preferred": 1, "undecided": 3, "invalid": 4}
_GATE_STATUS: Final = {"pass": 0, "fail": 1, "inconclusive": 3, "invalid": 4}


def refuse_overwriting(
    html: Path | None,
    markdown: Path | None,
    inputs: Iterable[Path | None],
    *,
    junit: Path | None = None,
) -> None:
    """Refuse reports that would replace each other, or what they are made from.

    Args:
        html: where a page is to be written.
        markdown: where Markdown is.
        inputs: the files that are read; of a folder everything in it.
        junit: where JUnit XML is to be written.

    Raises:
        UsageError: they would.
    """
    named = (("--html", html), ("--markdown", markdown), ("--junit", junit))
    written = [(option, report) for option, report in named if report is not None]
    for (option, report), (other, second) in combinations(written, 2):
        if _same(report, second):
            raise UsageError(
                f"{option} and {other} name the same file.",
                where=Location(second),
                hint="Give one of them another name.",
            )
    read = [path for path in inputs if path is not None]
    for option, report in written:
        if any(_same(report, path) or _within(report, path) for path in read):
            raise UsageError(
                f"{option} would overwrite what is read.", where=Location(report), hint="Name another file."
            )


def _same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _within(path: Path, folder: Path) -> bool:
    return folder.is_dir() and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def render_readout(
    readout: Readout, *, as_json: bool, html: Path | None, markdown: Path | None, check: bool
) -> int:
    """Render a readout; with `check` its verdict is the exit status."""
    _render(readout, as_json=as_json, html=html, markdown=markdown)
    return _VERDICT_STATUS[readout.verdict.status] if check else 0


def render_interleaving(
    found: InterleavingReadout, *, as_json: bool, html: Path | None, markdown: Path | None, check: bool
) -> int:
    """Render the readout of interleaved lists; with `check` its preference is the exit status."""
    _render(found, as_json=as_json, html=html, markdown=markdown)
    return _PREFERENCE_STATUS[found.status] if check else 0


def render_duel(
    duel: DuelReadout,
    *,
    as_json: bool,
    html: Path | None,
    markdown: Path | None,
    stories: CaseStories | None = None,
    junit: Path | None = None,
    summary: Path | None = None,
) -> int:
    """Render a duel; its gate, if it has one, is the exit status.

    Args:
        duel: what was found.
        as_json: print JSON.
        html: where a page is to be written.
        markdown: where Markdown is.
        stories: the cases that the page shows.
        junit: where JUnit XML is to be written.
        summary: a job's summary to add Markdown to.
    """
    if junit is not None:
        from promptarena.reporting.files import write_whole
        from promptarena.reporting.junit import to_junit

        write_whole(to_junit(duel), junit)
    if summary is not None:
        from promptarena.reporting.job_summary import append_summary

        append_summary(duel, summary)
    _render(duel, as_json=as_json, html=html, markdown=markdown, stories=stories)
    return 0 if duel.gate is None else _GATE_STATUS[duel.gate.status]


def render_calibration(
    found: CalibrationReadout, *, as_json: bool, html: Path | None, markdown: Path | None, check: bool
) -> int:
    """Render a calibration; with `check` its answer is the exit status."""
    _render(found, as_json=as_json, html=html, markdown=markdown)
    return int(found.trust != "enable") if check else 0


def render_duel_plan(plan: DuelPlan, *, as_json: bool) -> None:
    """Render what a duel's cases could show."""
    _render(plan, as_json=as_json, html=None, markdown=None)


def render_plan(plan: Plan | WinRatePlan, *, as_json: bool, html: Path | None, markdown: Path | None) -> None:
    """Render a plan."""
    _render(plan, as_json=as_json, html=html, markdown=markdown)


def render_simulation(
    simulation: Simulation, *, as_json: bool, html: Path | None, markdown: Path | None
) -> None:
    """Render a simulation."""
    _render(simulation, as_json=as_json, html=html, markdown=markdown)


def render_off_policy(
    found: OffPolicyReadout, *, as_json: bool, html: Path | None, markdown: Path | None
) -> None:
    """Render an off-policy estimate."""
    _render(found, as_json=as_json, html=html, markdown=markdown)


def _render(
    report: Report,
    *,
    as_json: bool,
    html: Path | None,
    markdown: Path | None,
    stories: CaseStories | None = None,
) -> None:
    # Files first: a folder that cannot be written to is told before anything is printed.
    if html is not None:
        from promptarena.reporting.html import write_html

        write_html(report, html, stories)
    if markdown is not None:
        from promptarena.reporting.files import write_whole
        from promptarena.reporting.markdown import to_markdown

        write_whole(to_markdown(report), markdown)
    # A verdict is the exit status even where nobody reads it: `arena duel ... | head` must not pass a gate.
    with reader_may_leave():
        _print(report, as_json=as_json, written=[path for path in (html, markdown) if path is not None])


def _print(report: Report, *, as_json: bool, written: Iterable[Path]) -> None:
    if as_json:
        from promptarena.reporting.json import to_json

        typer.echo(to_json(report))
        return
    from rich.console import Console

    from promptarena.reporting.text import print_text

    print_text(report, Console())
    for path in written:
        typer.echo(f"\nWritten: {path}")
