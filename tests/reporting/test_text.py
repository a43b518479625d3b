"""Text: the answer first, nothing lost at any width, nothing from the data obeyed."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from syrupy.assertion import SnapshotAssertion
from tests.reporting import adaptive_examples, duel_examples, examples

from promptarena.analysis.plan import plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.quantities import Margin
from promptarena.definitions.readout import Status
from promptarena.reporting.outline import Depth
from promptarena.reporting.outlines import Report, outline
from promptarena.reporting.text import print_text

SIZED = plan(
    PlanRequest(
        baseline=0.6, mde=Margin(value=0.05), looks=(0.25, 0.5, 0.75, 1.0), daily_units=(300.0,), guardrails=2
    )
)
REPORTS: dict[str, Report] = {
    "rich": examples.rich(),
    "poor": examples.poor(),
    "two treatments": examples.two_treatments(),
    "stopped": examples.stopped(),
    "adapting": examples.adapting(),
    "interleaved": adaptive_examples.interleaved(),
    "another policy": adaptive_examples.exploded(),
    "gated duel": duel_examples.gated(),
    "ranked duel": duel_examples.ranked(),
    "scored duel": duel_examples.scored(),
    "plan of a duel": duel_examples.plan(),
    "unjudged duel": duel_examples.unjudged(),
    "plan": SIZED,
}


def text_of(report: Report, width: int = 80, *, details: bool = False, colour: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, color_system="truecolor" if colour else None
    )
    print_text(report, console, details=details)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_at_80_columns(name: str, snapshot: SnapshotAssertion) -> None:
    lines = [line.rstrip() for line in text_of(REPORTS[name], details=name == "rich").splitlines()]
    assert "\n".join(lines) == snapshot


@pytest.mark.parametrize("status", list(Status))
def test_the_second_line_begins_with_the_verdict(status: Status) -> None:
    base = examples.rich()
    readout = examples.with_status(base, status)
    first, second = text_of(readout).splitlines()[:2]
    assert first == "Experiment readout: support-cites-policy"
    assert second.startswith(f"{status.upper()}  treatment  resolution is up 4.9 points")


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_console(name: str, width: int) -> None:
    assert all(len(line) <= width for line in text_of(REPORTS[name], width, details=True).splitlines())


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_cell_of_a_table_is_cut_at_any_width(name: str, width: int) -> None:
    shown = re.sub(r"\s", "", text_of(REPORTS[name], width, details=True))
    for section in outline(REPORTS[name]).sections:
        if section.table is None:
            continue
        for row in section.table.rows:
            # Only numbers stay on a line; prose may fold, beside other columns too.
            for column, cell in zip(section.table.columns, row, strict=True):
                for line in cell if column.numeric else ():
                    assert re.sub(r"\s", "", line) in shown, (section.title, line)


def test_details_are_left_out_unless_asked_for() -> None:
    folded = [s.title for s in outline(examples.rich()).sections if s.depth is not Depth.EVERYWHERE]
    assert "Day by day: resolution" in folded
    assert not any(title in text_of(examples.rich()) for title in folded)
    assert all(title in text_of(examples.rich(), details=True) for title in folded)


def test_names_from_the_data_are_neither_markup_nor_terminal_commands() -> None:
    text = text_of(examples.hostile(), 200, details=True)
    assert "\x1b" not in text
    assert r"[bold]x[/bold] \x1b[31mred\x1b[0m" in text
    assert examples.HOSTILE in text


def test_colour_only_repeats_what_the_words_say() -> None:
    plain, coloured = text_of(examples.stopped()), text_of(examples.stopped(), colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_plain_reports_are_ascii() -> None:
    for name, report in REPORTS.items():
        assert text_of(report, details=True).isascii(), name


def test_an_operator_is_told_what_to_do() -> None:
    harmful = " ".join(text_of(examples.two_treatments()).split())
    assert "Send all traffic back to control now." in harmful
    invalid = " ".join(text_of(examples.with_status(examples.rich(), Status.INVALID)).split())
    assert "Decide nothing from these numbers." in invalid
    ship = " ".join(text_of(examples.stopped()).split())
    assert "Give treatment all traffic and keep watching the guardrails" in ship


def test_what_was_not_preregistered_says_so_at_the_top() -> None:
    assert "Not preregistered" in text_of(examples.poor()).split("Can the data be trusted?")[0]
    assert "Not preregistered" not in text_of(examples.rich(), details=True)


def test_a_number_that_is_not_known_is_no_number() -> None:
    row = next(line for line in text_of(examples.poor()).splitlines() if line.startswith("revenue  "))
    assert row.split() == ["revenue", "n/a", "n/a", "n/a", "n/a", "n/a"]
