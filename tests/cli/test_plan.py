"""`arena plan` sizes every kind of metric, and a duel, from flags; its page has the power curve."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Arena


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("--baseline 0.6 --mde 0.05", "rate"),
        ("--sd 2 --mde 0.5", "mean"),
        ("--kind count --baseline 3 --mde 10%", "count"),
        ("--kind sum --baseline 3 --sd 4 --mde 10%", "sum"),
        ("--parts 0.5,0.4,2.5,1,0.6 --mde 10%", "ratio"),
        ("--quantile 0.95 --baseline 1800 --median 700 --mde 100", "quantile"),
    ],
)
def test_every_kind_of_metric_is_sized(arena: Arena, flags: str, kind: str) -> None:
    found = arena("plan", *flags.split(), "--json").json
    assert found["kind"] == kind
    assert found["total"] > 100
    assert found["power_curve"]


def test_a_judge_saves_labels(arena: Arena) -> None:
    flags = ("--baseline", "0.6", "--mde", "0.05", "--labelled", "5%", "--judge-correlation", "0.7")
    found = arena("plan", *flags, "--json").json
    assert found["labels"] == 1572
    assert "1,572 of 31,440 units need a person's label" in arena("plan", *flags).out.replace("\n  ", " ")


def test_a_duel_is_sized_in_cases(arena: Arena) -> None:
    found = arena("plan", "--win-rate", "0.6", "--ties", "0.2", "--json").json
    assert (found["cases"], found["verdicts"]) == (155, 310)
    assert arena("plan", "--cases", "155", "--ties", "0.2", "--json").json["win_rate"] == pytest.approx(
        0.6, abs=1e-3
    )
    text = arena("plan", "--win-rate", "0.6").out
    assert "independent cases" in text
    assert "Power by the true win rate" in text


def test_a_duel_and_units_are_not_planned_together(arena: Arena) -> None:
    refused = arena("plan", "--cases", "60", "--mde", "0.1")
    assert refused.status == 2
    assert "--mde cannot be used with --win-rate or --cases" in refused.err


def test_the_page_has_the_power_curve_as_a_chart(arena: Arena) -> None:
    flags = ("--baseline", "0.6", "--mde", "0.05", "--looks", "4")
    assert arena("plan", *flags, "--html", "plan.html", "--markdown", "plan.md").status == 0
    page = Path("plan.html").read_text()
    assert "Power by true effect" in page
    assert "What each look asks for" in page
    assert "| True effect | Power |" in Path("plan.md").read_text()
