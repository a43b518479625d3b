"""`arena simulate`: what would become of many experiments like this one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from promptarena.cli.options import AsJson, Html, Markdown

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(simulate)


def simulate(
    file: Annotated[Path, typer.Argument(help="An experiment's definition.")],
    effect: Annotated[
        list[str] | None,
        typer.Option(help="A true effect: 0.05, -2%, or METRIC=300. Without one: the design's own."),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(help="What control is like: METRIC=EXPECTED or METRIC=EXPECTED:SD."),
    ] = None,
    daily_units: Annotated[
        str | None, typer.Option(help="Units a day, or seven numbers of a week from Monday on.")
    ] = None,
    missing: Annotated[
        str, typer.Option(help="Share of units without a value, where absence means missing.")
    ] = "0%",
    correlation: Annotated[
        float | None,
        typer.Option(help="Of covariates with their metrics, of judges with people; 0.5 if nothing says."),
    ] = None,
    experiments: Annotated[int, typer.Option(help="How many, of each truth.")] = 1_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.")] = 1,
    log: Annotated[
        int, typer.Option(help="So many of each truth also go through a real event log.", metavar="N")
    ] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core.")] = None,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Simulate an experiment through the real analysis: error rates, power, stopping times, coverage."""
    from promptarena.cli.rendering import refuse_overwriting, render_simulation
    from promptarena.definitions.experiment import load_experiment
    from promptarena.simulation.flags import asked_from_flags
    from promptarena.simulation.simulate import simulate as run

    refuse_overwriting(html, markdown, [file])
    experiment = load_experiment(file)
    asked = asked_from_flags(
        experiment.primary.metric,
        effects=effect or (),
        stated=assume or (),
        daily_units=daily_units,
        missing=missing,
        correlation=correlation,
        experiments=experiments,
        seed=seed,
        logged=log,
        workers=workers,
    )
    with _bar() as progress:
        simulation = run(experiment, asked, progress)
    render_simulation(simulation, as_json=as_json, html=html, markdown=markdown)


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, which leaves standard output to the answer."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Simulated experiments"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
