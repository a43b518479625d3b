"""`arena plan`: how many units an experiment needs, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.options import AsJson
from promptarena.errors import UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


def plan(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="An experiment's definition, instead of flags.")] = None,
    baseline: Annotated[
        float | None, typer.Option(help="Control's expected value; a rate unless --sd is given.")
    ] = None,
    mde: Annotated[
        str | None, typer.Option(help="Smallest effect worth finding: 0.05, or 8%; negative for a fall.")
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="Standard deviation of a unit's value; makes the metric a mean.")
    ] = None,
    units: Annotated[int | None, typer.Option(help="Units in all: what can they find?")] = None,
    margin: Annotated[str | None, typer.Option(help="Of a non-inferiority test, written as --mde.")] = None,
    better: Annotated[str, typer.Option(help="Which side is better: higher or lower.")] = "higher",
    power: Annotated[float, typer.Option(help="Probability to find the effect.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Two-sided error over all looks and treatments.")] = 0.05,
    looks: Annotated[str, typer.Option(help="Fractions such as 0.25,0.5,0.75,1, or how many.")] = "1",
    spending: Annotated[
        str, typer.Option(help="obrien-fleming, pocock or hwang-shih-decani.")
    ] = "obrien-fleming",
    gamma: Annotated[float, typer.Option(help="Of hwang-shih-decani.")] = -4.0,
    critical_z: Annotated[
        str | None, typer.Option(help="Boundaries of your own, such as 3.47,2.45,2.14,2.01.")
    ] = None,
    futility: Annotated[
        str | None, typer.Option(help="Looks may also give up: obrien-fleming, pocock or hwang-shih-decani.")
    ] = None,
    variants: Annotated[int | None, typer.Option(help="How many, control included.")] = None,
    allocation: Annotated[
        str | None, typer.Option(help="Shares, control first: 0.8,0.2 or control=0.8,new=0.2.")
    ] = None,
    guardrails: Annotated[int, typer.Option(help="How many must pass as well.")] = 0,
    daily_units: Annotated[
        str | None, typer.Option(help="Units a day, or seven numbers of a week: gives the days.")
    ] = None,
    correlation: Annotated[float, typer.Option(help="Of a covariate with the metric (CUPED).")] = 0.0,
    rows_per_unit: Annotated[float, typer.Option(help="Rows a unit, where --sd is that of a row.")] = 1.0,
    icc: Annotated[float, typer.Option(help="Intracluster correlation of those rows.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Size an experiment: units, looks and days for an effect; or the effect that given units can find."""
    from promptarena.analysis.plan import plan as size_plan
    from promptarena.analysis.plan_flags import request_from_definition, request_from_flags
    from promptarena.cli.rendering import render_plan

    if file is not None:
        _refuse_beside_file(context)
        request = request_from_definition(file, daily_units=daily_units)
    else:
        request = request_from_flags(
            baseline=baseline,
            mde=mde,
            sd=sd,
            units=units,
            margin=margin,
            better=better,
            power=power,
            alpha=alpha,
            looks=looks,
            spending=spending,
            gamma=gamma,
            critical_z=critical_z,
            futility=futility,
            variants=variants,
            allocation=allocation,
            guardrails=guardrails,
            daily_units=daily_units,
            correlation=correlation,
            rows_per_unit=rows_per_unit,
            icc=icc,
        )
    render_plan(size_plan(request), as_json=as_json)


def _refuse_beside_file(context: typer.Context) -> None:
    """A flag that a definition has already answered would be ignored, or contradict it."""
    allowed = {"file", "daily_units", "as_json"}
    given = [
        f"--{name.replace('_', '-')}"
        for name in context.params
        if name not in allowed
        and (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise UsageError(
            f"{', '.join(given)} cannot be used with a definition, which has said it already.",
            hint="Leave the flag out, or the file.",
        )
