"""`arena plan`: how many units an experiment needs, and for how long."""

# ruff: noqa: ARG001 (the options of a request are taken from the context, all together)

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from promptarena.cli.options import AsJson, Html, Markdown
from promptarena.errors import UsageError

__all__ = ["register"]


Baseline = Annotated[
    float | None, typer.Option(help="Control's expected value; a rate unless --sd is given.")
]
Mde = Annotated[
    str | None, typer.Option(help="Smallest effect worth finding: 0.05, or 8%; negative for a fall.")
]
Sd = Annotated[
    float | None, typer.Option(help="Standard deviation of a unit's value; makes the metric a mean.")
]
Units = Annotated[int | None, typer.Option(help="Units in all: what can they find?")]
Margin = Annotated[str | None, typer.Option(help="Of a non-inferiority test, written as --mde.")]
Better = Annotated[str, typer.Option(help="Which side is better: higher or lower.")]
Power = Annotated[float, typer.Option(help="Probability to find the effect.")]
Alpha = Annotated[float, typer.Option(help="Two-sided error over all looks and treatments.")]
Looks = Annotated[str, typer.Option(help="Fractions such as 0.25,0.5,0.75,1, or how many.")]
Spending = Annotated[str, typer.Option(help="obrien-fleming, pocock or hwang-shih-decani.")]
Gamma = Annotated[float, typer.Option(help="Of hwang-shih-decani.")]
CriticalZ = Annotated[str | None, typer.Option(help="Boundaries of your own, such as 3.47,2.45,2.14,2.01.")]
Futility = Annotated[
    str | None, typer.Option(help="Looks may also give up: obrien-fleming, pocock or hwang-shih-decani.")
]
Variants = Annotated[int | None, typer.Option(help="How many, control included.")]
Allocation = Annotated[
    str | None, typer.Option(help="Shares, control first: 0.8,0.2 or control=0.8,new=0.2.")
]
Guardrails = Annotated[int, typer.Option(help="How many must pass as well.")]
DailyUnits = Annotated[
    str | None, typer.Option(help="Units a day, or seven numbers of a week: gives the days.")
]
Correlation = Annotated[float, typer.Option(help="Of a covariate with the metric (CUPED).")]
RowsPerUnit = Annotated[float, typer.Option(help="Rows a unit, where --sd is that of a row.")]
Icc = Annotated[float, typer.Option(help="Intracluster correlation of those rows.")]
Kind = Annotated[
    str | None, typer.Option(help="rate, mean, count, sum, ratio or quantile; else as the flags imply.")
]
Parts = Annotated[
    str | None,
    typer.Option(help="Of a ratio: mean and sd of the numerator, of the denominator, correlation."),
]
Quantile = Annotated[float | None, typer.Option(help="Which quantile, such as 0.95.")]
Median = Annotated[
    float | None, typer.Option(help="Of the values, taken as lognormal; --baseline is the quantile.")
]
Density = Annotated[float | None, typer.Option(help="Of the values at the quantile, in place of --median.")]
Labelled = Annotated[
    str | None, typer.Option(help="Share of units that people label; a judge scores all of them.")
]
JudgeCorrelation = Annotated[
    float, typer.Option(help="Of the judge's scores with the labels (prediction-powered).")
]
WinRate = Annotated[float | None, typer.Option(help="Of a duel: how many cases does it take to show it?")]
Ties = Annotated[float, typer.Option(help="Share of a duel's cases that end in a tie.")]
Cases = Annotated[int | None, typer.Option(help="Of a duel: what can so many show?")]
_NOT_OF_A_REQUEST: Final = ("file", "win_rate", "ties", "cases", "html", "markdown", "as_json")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


def plan(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="An experiment's definition, instead of flags.")] = None,
    baseline: Baseline = None,
    mde: Mde = None,
    sd: Sd = None,
    units: Units = None,
    margin: Margin = None,
    better: Better = "higher",
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    looks: Looks = "1",
    spending: Spending = "obrien-fleming",
    gamma: Gamma = -4.0,
    critical_z: CriticalZ = None,
    futility: Futility = None,
    variants: Variants = None,
    allocation: Allocation = None,
    guardrails: Guardrails = 0,
    daily_units: DailyUnits = None,
    correlation: Correlation = 0.0,
    rows_per_unit: RowsPerUnit = 1.0,
    icc: Icc = 0.0,
    kind: Kind = None,
    parts: Parts = None,
    quantile: Quantile = None,
    median: Median = None,
    density: Density = None,
    labelled: Labelled = None,
    judge_correlation: JudgeCorrelation = 0.0,
    win_rate: WinRate = None,
    ties: Ties = 0.0,
    cases: Cases = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Size an experiment: units, looks and days for an effect; or the effect that given units can find."""
    from promptarena.analysis.plan import plan as size_plan
    from promptarena.analysis.plan_flags import request_from_definition, request_from_flags
    from promptarena.cli.rendering import refuse_overwriting, render_plan

    refuse_overwriting(html, markdown, [file])
    if win_rate is not None or cases is not None:
        from promptarena.analysis.win_rate_plan import plan_win_rate

        _refuse_beside_duel(context)
        duel = plan_win_rate(win_rate, ties=ties, cases=cases, power=power, alpha=alpha)
        render_plan(duel, as_json=as_json, html=html, markdown=markdown)
        return
    if file is not None:
        _refuse_beside_file(context)
        request = request_from_definition(file, daily_units=daily_units)
    else:
        flags = {name: value for name, value in context.params.items() if name not in _NOT_OF_A_REQUEST}
        request = request_from_flags(**flags)
    render_plan(size_plan(request), as_json=as_json, html=html, markdown=markdown)


def _refuse_beside_file(context: typer.Context) -> None:
    """A flag that a definition has already answered would be ignored, or contradict it."""
    if given := _given(context, but=("file", "daily_units", "as_json", "html", "markdown")):
        raise UsageError(
            f"{', '.join(given)} cannot be used with a definition, which has said it already.",
            hint="Leave the flag out, or the file.",
        )


def _refuse_beside_duel(context: typer.Context) -> None:
    """A duel is of cases, not of units of live traffic."""
    of_duels = ("win_rate", "ties", "cases", "power", "alpha", "as_json", "html", "markdown")
    if given := _given(context, but=of_duels):
        raise UsageError(
            f"{', '.join(given)} cannot be used with --win-rate or --cases: a duel is of cases.",
            hint="Plan the duel and the experiment one after the other.",
        )


def _given(context: typer.Context, *, but: tuple[str, ...]) -> list[str]:
    """What stands on the command line, as it is written there."""
    return [
        name if name == "file" else f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in but
        and (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    ]
