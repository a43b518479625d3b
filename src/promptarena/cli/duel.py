"""`arena duel`: variants compared case by case on a golden dataset."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from promptarena.cli.options import AsJson, Html, Markdown
from promptarena.errors import Location, UsageError

if TYPE_CHECKING:
    from promptarena.definitions.duel import Duel
    from promptarena.definitions.duel_readout import DuelPlan, DuelReadout
    from promptarena.definitions.experiment import Experiment
    from promptarena.evaluation.check_powers import CheckPowers
    from promptarena.evaluation.duel import SettledDuel

__all__ = ["register"]

_NOT_COMPLETED: Final = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("duel")(duel)


def duel(
    file: Annotated[Path, typer.Argument(help="A duel's definition, or an experiment's (YAML).")],
    html: Html = None,
    markdown: Markdown = None,
    junit: Annotated[
        Path | None,
        typer.Option(help="Also write JUnit XML: one test a condition of the gate.", metavar="FILE"),
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Also add Markdown to the summary of this GitHub job.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what the cases can show. Nothing is asked or compared.")
    ] = False,
    pilot: Annotated[
        Path | None,
        typer.Option(
            help="An earlier duel's JSON, whose spread says what the cases can show.", metavar="FILE"
        ),
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Open the sealed holdout, and let the gate decide on it alone.")
    ] = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Let code of models run where there is no sandbox for it.")
    ] = False,
    early_stop: Annotated[
        bool, typer.Option("--early-stop", help="End as soon as the gate is decided, at the same error.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(min=1, max=10_000, help="Calls of one provider under way at once, at most.")
    ] = 16,
    budget: Annotated[
        float | None,
        typer.Option(min=0, help="US dollars that this run may spend; it stops before.", metavar="USD"),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask everything again, also what was paid for before.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Write every call and its answer, for a provider of kind replay.", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare variants on a golden dataset: win rates, ties, conflicts, a ranking, and the gate.

    Outputs and verdicts that are on file are read; variants with settings answer now, and a judge with a
    model judges now. Of an experiment its offline stage is run, and the gate's result kept for `arena ramp`.
    A run that was stopped goes on by the same command: what was paid is kept.

    With a gate the exit status is its answer: 0 pass, 1 fail, 3 inconclusive, 4 invalid or not completed.
    """
    from promptarena.cli.rendering import refuse_overwriting, render_duel, render_duel_plan
    from promptarena.definitions.duel import load_duel, referenced_files
    from promptarena.definitions.experiment import load_experiment
    from promptarena.evaluation.check_powers import project_powers
    from promptarena.evaluation.duel import plan_of
    from promptarena.evaluation.duel_plan import read_pilot
    from promptarena.evaluation.offline_stage import is_experiment, offline_duel

    experiment = load_experiment(file) if is_experiment(file) else None
    definition = load_duel(file) if experiment is None else offline_duel(experiment)
    if early_stop:
        definition = definition.stopping_early()
    job = _job_summary() if summary else None
    if html is not None or markdown is not None or junit is not None:
        read = [file, pilot, *referenced_files(definition, file.parent)]
        refuse_overwriting(html, markdown, read, junit=junit)
    seen = read_pilot(pilot) if pilot is not None else None
    if plan or definition.calls_models:
        planned = plan_of(definition, file.parent, open_holdout=gate, pilot=seen)
        if plan:
            render_duel_plan(_planned(planned, file), as_json=as_json)
            return
        _say_first(planned)
    settled = _settled(
        definition,
        file,
        _Calls(concurrency, budget, fresh, record, shown=not as_json),
        open_holdout=gate,
        powers=project_powers(file.parent, allow_code=allow_code),
        experiment=experiment.name if experiment is not None else None,
        pilot=seen,
    )
    if experiment is not None:
        _store(settled.readout, experiment)
    stories = settled.stories() if html is not None else None
    status = render_duel(
        settled.readout,
        as_json=as_json,
        html=html,
        markdown=markdown,
        stories=stories,
        junit=junit,
        summary=job,
    )
    if settled.incomplete:
        again = "Calls failed, so nothing is decided; the same command asks again for what is missing."
        typer.echo(f"arena: {again}", err=True)
        status = _NOT_COMPLETED
    raise typer.Exit(status)


def _job_summary() -> Path:
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        raise UsageError(
            "--summary adds to a GitHub job's summary, and this is no job: GITHUB_STEP_SUMMARY is not set.",
            hint="Use --markdown FILE elsewhere.",
        )
    return Path(name)


def _planned(plan: DuelPlan | None, file: Path) -> DuelPlan:
    if plan is None:
        raise UsageError(
            "Only a gate can be planned for; this duel has none.",
            where=Location(file),
            hint="Write for example gate: {win_rate: {above: 0.5}}.",
        )
    return plan


def _say_first(plan: DuelPlan | None) -> None:
    """What the cases can show, told before anything is paid."""
    if plan is None:
        return
    from promptarena.evaluation.counted import counted
    from promptarena.reporting.duel_plan_outline import plan_sentences

    for sentence in plan_sentences(plan):
        typer.echo(f"{counted(plan.cases, 'case')}; {sentence}.", err=True)


@dataclass(frozen=True, slots=True)
class _Calls:
    """How calls are made, where some are."""

    concurrency: int
    budget: float | None
    fresh: bool
    record: Path | None
    shown: bool
    """Whether progress is."""


def _settled(
    definition: Duel,
    file: Path,
    calls: _Calls,
    *,
    open_holdout: bool,
    powers: CheckPowers,
    experiment: str | None,
    pilot: Mapping[str, float] | None,
) -> SettledDuel:
    """The duel, with calls made where it asks for some."""
    from promptarena.cli.run_progress import RunProgress
    from promptarena.evaluation.duel import settle_duel

    with ExitStack() as stack:
        live = None
        if definition.calls_models:
            from promptarena.wiring import live_setup

            live = stack.enter_context(
                live_setup(
                    file,
                    concurrency=calls.concurrency,
                    budget=calls.budget,
                    fresh=calls.fresh,
                    record=calls.record,
                    watch=stack.enter_context(RunProgress(calls.shown)),
                )
            )
        return settle_duel(
            definition,
            file.parent,
            open_holdout=open_holdout,
            powers=powers,
            live=live,
            experiment=experiment,
            pilot=pilot,
        )


def _store(readout: DuelReadout, experiment: Experiment) -> None:
    """Keep the gate's result where `arena ramp` looks for it."""
    from promptarena.definitions.project import find_project
    from promptarena.reporting.files import write_whole
    from promptarena.reporting.json import to_json
    from promptarena.rollout.evidence import stored_evidence

    root = find_project(experiment.file.resolve().parent).parent
    path = stored_evidence(root, experiment.name, experiment.content_hash)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(to_json(readout), path)
