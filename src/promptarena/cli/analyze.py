"""`arena analyze`: a table of outcomes by variant becomes a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.options import AsJson, Html, Markdown

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("analyze")(analyze)


def analyze(
    file: Annotated[str, typer.Argument(help="CSV, TSV or Parquet file, or FILE.duckdb::TABLE.")],
    unit: Annotated[str, typer.Option(help="Column of the randomised unit; its rows are rolled up.")],
    variant: Annotated[str, typer.Option(help="Column of the variant.")],
    control: Annotated[str | None, typer.Option(help="Which variant is control.")] = None,
    rate: Annotated[
        list[str] | None, typer.Option(help="0/1 column: share of units with a 1.", metavar="COL")
    ] = None,
    mean: Annotated[
        list[str] | None, typer.Option(help="Number column: mean over units of their mean.", metavar="COL")
    ] = None,
    ratio: Annotated[
        list[str] | None, typer.Option(help="Sum of one column over sum of another.", metavar="NUM/DEN")
    ] = None,
    quantile: Annotated[
        list[str] | None, typer.Option(help="Quantile of all values of a column.", metavar="COL:0.95")
    ] = None,
    covariate: Annotated[
        list[str] | None,
        typer.Option(help="Column (or NUM/DEN) from before exposure: less noise (CUPED).", metavar="COL"),
    ] = None,
    range_: Annotated[
        list[str] | None,
        typer.Option("--range", help="Between which a mean's values lie.", metavar="METRIC=LOW:HIGH"),
    ] = None,
    audit: Annotated[
        list[str] | None,
        typer.Option(
            help="People's labels on some units of a judge's mean on all of them.", metavar="MEAN=LABELS"
        ),
    ] = None,
    segment: Annotated[
        list[str] | None, typer.Option(help="Column to break effects down by.", metavar="COL")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Column of time; a unit's first row dates it.", metavar="COL")
    ] = None,
    primary: Annotated[
        str | None, typer.Option(help="The metric that decides; the first one by default.", metavar="METRIC")
    ] = None,
    lower: Annotated[
        list[str] | None, typer.Option(help="Metric of which lower is better.", metavar="METRIC")
    ] = None,
    guardrail: Annotated[
        list[str] | None,
        typer.Option(help="Metric that may not get worse than a margin (5, or 2%).", metavar="METRIC=MARGIN"),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Allocation, to check the sample ratio.", metavar="a=.5,b=.5")
    ] = None,
    alpha: Annotated[float | None, typer.Option(help="Two-sided error; 0.05 by default.")] = None,
    definition: Annotated[
        Path | None,
        typer.Option(help="Experiment file that says all of this, in advance.", metavar="FILE"),
    ] = None,
    html: Html = None,
    markdown: Markdown = None,
    check: Annotated[
        bool, typer.Option("--check", help="Let the verdict set the exit status (see arena --help).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read outcomes by variant from a file and give a verdict.

    Rows of one unit are rolled up, never counted twice. Without a definition the analysis is marked "not
    preregistered; valid only if looked at once".
    """
    from promptarena.analysis.table_analysis import Flags, analyze_table
    from promptarena.cli.rendering import refuse_overwriting, render_readout

    # FILE.duckdb::TABLE is read from FILE.duckdb.
    refuse_overwriting(html, markdown, [Path(file.rsplit("::", 1)[0]), definition])
    readout = analyze_table(
        Flags(
            file=file,
            unit=unit,
            variant=variant,
            control=control,
            rates=tuple(rate or ()),
            means=tuple(mean or ()),
            ratios=tuple(ratio or ()),
            quantiles=tuple(quantile or ()),
            covariates=tuple(covariate or ()),
            ranges=tuple(range_ or ()),
            audits=tuple(audit or ()),
            segments=tuple(segment or ()),
            time=time,
            primary=primary,
            lower=tuple(lower or ()),
            guardrails=tuple(guardrail or ()),
            weights=weights,
            alpha=alpha,
            definition=definition,
        )
    )
    raise typer.Exit(render_readout(readout, as_json=as_json, html=html, markdown=markdown, check=check))
