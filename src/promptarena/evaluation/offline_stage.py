"""The offline stage of an experiment as a duel: its variants on its golden dataset, its judge, its gate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.document import read_document
from promptarena.definitions.duel import Duel
from promptarena.definitions.duel_variant import DuelVariant
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.judge import load_judge
from promptarena.definitions.project import find_project
from promptarena.definitions.rollout_plan import OfflineStage
from promptarena.definitions.variant import Settings
from promptarena.errors import DefinitionError, Location
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.records import read_records

__all__ = ["is_experiment", "offline_duel"]

_USUAL: Final = {
    "input": ("input", "question", "prompt"),
    "reference": ("reference", "expected"),
    "context": ("context", "documents"),
}
"""What columns are usually called."""


def is_experiment(path: Path) -> bool:
    """Whether a file defines an experiment rather than a duel.

    Raises:
        DefinitionError: it cannot be read.
    """
    said = read_document(path).data
    return "experiment" in said and "duel" not in said


def offline_duel(experiment: Experiment) -> Duel:
    """What an experiment asks of its treatments before they may meet users.

    Raises:
        DefinitionError: it has no offline stage, or its judge's file is wrong.
        DataError: its dataset cannot be read.
    """
    stage = next((each for each in experiment.rollout or () if isinstance(each, OfflineStage)), None)
    if stage is None:
        raise DefinitionError(
            "This experiment has no offline stage.",
            where=Location(experiment.file, field="rollout"),
            hint="Write one: {stage: offline, dataset: golden.jsonl, judge: judges/support.yaml, gate: ...}.",
        )
    judge = None
    if stage.judge is not None:
        judge = load_judge(stage.judge, find_project(experiment.file.resolve().parent).parent)
    if judge is None and not stage.checks and not stage.similarity:
        raise DefinitionError(
            "The offline stage has neither a `judge` nor `checks`.",
            where=Location(experiment.file, field="rollout"),
            hint="Name a judge's file: judge: judges/support.yaml.",
        )
    dataset = _with_columns(stage.dataset)
    if dataset.reference is None and any(each.rule.reference is None for each in stage.similarity):
        raise DefinitionError(
            "A similarity needs a text to compare with, and the dataset has no `reference` or `expected`.",
            where=Location(experiment.file, field="rollout"),
            hint="Name the column: dataset: {file: golden.jsonl, input: question, reference: answer}.",
        )
    return Duel(
        duel=experiment.name,
        feature=experiment.feature,
        dataset=dataset,
        variants={each.name: _as_contestant(each.settings) for each in experiment.variants},
        judge=judge,
        checks=stage.checks,
        similarity=stage.similarity,
        gate=stage.gate,
    )


def _as_contestant(settings: Settings) -> DuelVariant:
    said = {name: getattr(settings, name) for name in Settings.model_fields}
    return DuelVariant.model_construct(set(settings.model_fields_set), **said)


def _with_columns(source: DatasetSource) -> DatasetSource:
    """A dataset whose columns are found by their names, where nothing was said of them."""
    if source.model_fields_set - {"file", "holdout"}:
        return source
    problems = DataProblems()
    first = next(iter(read_records(Path(source.file), problems)), None)
    problems.raise_any()
    columns = set(first.values) if first is not None else set()
    found = {
        name: column
        for name, usual in _USUAL.items()
        if (column := next((each for each in usual if each in columns), None)) is not None
    }
    return source.model_copy(update=found)
