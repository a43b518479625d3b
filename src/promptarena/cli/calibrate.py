"""`arena calibrate`: a judge held against people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptarena.cli.options import AsJson, Html, Markdown

if TYPE_CHECKING:
    from promptarena.evaluation.calibration.past_runs import PastRun
    from promptarena.evaluation.calibration.ratings import Rating
    from promptarena.evaluation.judges import PreparedJudge

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(calibrate)


def calibrate(
    judge: Annotated[str, typer.Argument(help="The judge's definition (YAML), or just its name.")],
    labels: Annotated[Path, typer.Option(help="What people said; with --label it grows.", metavar="FILE")],
    judgments: Annotated[
        Path | None,
        typer.Option(
            help="What the judge said: id, variant, axis, score; or id, first, second, verdict. Without it: "
            "the judge's latest run in this project.",
            metavar="FILE",
        ),
    ] = None,
    run: Annotated[str | None, typer.Option(help="Another run than the latest.", metavar="ID")] = None,
    label: Annotated[
        int | None,
        typer.Option(help="Label so many cases first, without seeing whose answers they are.", min=1),
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Label by comparing two answers.")] = False,
    rater: Annotated[str | None, typer.Option(help="Who labels.", metavar="NAME")] = None,
    threshold: Annotated[
        float, typer.Option(help="What the lower bound of the agreement must reach.", min=0, max=1)
    ] = 0.8,
    within: Annotated[
        float, typer.Option(help="How far a score may be from people's mean and still agree.", min=0)
    ] = 0.5,
    control: Annotated[
        str | None, typer.Option(help="The variant that differences and win rates are taken from.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit status 0 where the judge is enabled, else 1.")
    ] = False,
    html: Html = None,
    markdown: Markdown = None,
    as_json: AsJson = False,
) -> None:
    """Hold a judge against people: agreement, whom it favours, and whether it may decide.

    A judge is enabled where the lower bound of its agreement reaches the threshold and its bias does not
    differ between variants. Files are CSV, JSON lines, YAML or Parquet.
    """
    from promptarena.cli.rendering import refuse_overwriting, render_calibration
    from promptarena.errors import UsageError
    from promptarena.evaluation.calibration.calibrate import calibrate as hold
    from promptarena.evaluation.calibration.past_runs import find_run
    from promptarena.evaluation.calibration.policy import Policy
    from promptarena.wiring import open_judge

    refuse_overwriting(html, markdown, [judgments, labels])
    said: Path | Sequence[Rating]
    if judgments is None:
        prepared, runs = open_judge(Path(judge))
        past = find_run(runs, prepared.hash, run)
        if label is not None:
            _label(past, prepared, label, labels, rater, pairs=pairs)
        name, evaluator_hash, said = prepared.name, prepared.hash, past.ratings()
    elif label is not None or run is not None:
        raise UsageError(
            "--judgments is what the judge said; --run and --label take that from a run of a duel.",
            hint="Leave one of them out.",
        )
    else:
        name, evaluator_hash, said = judge, None, judgments
    policy = Policy(threshold=threshold, within=within, control=control)
    found = hold(name, said, labels, policy, evaluator_hash=evaluator_hash)
    raise typer.Exit(render_calibration(found, as_json=as_json, html=html, markdown=markdown, check=check))


def _label(
    past: PastRun, judge: PreparedJudge, cases: int, labels: Path, rater: str | None, *, pairs: bool
) -> None:
    from promptarena.cli.labelling import label
    from promptarena.errors import Location, UsageError
    from promptarena.evaluation.calibration.blind import LabelFile, draw_questions

    if rater is None:
        raise UsageError("Labels have a rater.", hint="Add --rater and a name.")
    if labels.suffix != ".jsonl":
        raise UsageError(
            "A file of labels that grows is one of JSON lines.",
            where=Location(labels),
            hint="Name it such as labels.jsonl.",
        )
    axes = judge.judge.rubric or {}
    if not pairs and not axes:
        raise UsageError("This judge has no rubric to label by.", hint="Add --pairs to compare answers.")
    file = LabelFile(labels)
    questions = draw_questions(
        past.items(), cases=cases, pairs=pairs, seed=f"{past.run_id} {rater}", done=file.done_by(rater)
    )
    done = label(questions, axes, rater, file)
    typer.echo(f"\n{done:,} labelled, {len(questions) - done:,} left; they are in {labels}.", err=True)
