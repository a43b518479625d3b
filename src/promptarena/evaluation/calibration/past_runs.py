"""What a judge said in a run of a duel, and the answers of that run for people to label."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptarena.definitions.dataset_source import DatasetSource
from promptarena.definitions.duel_variant import OutputsSource
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import Location, NotEnoughDataError, StorageError, UsageError
from promptarena.evaluation.calibration.blind import LabelItem
from promptarena.evaluation.calibration.ratings import Rating
from promptarena.evaluation.cases import read_cases
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.judges import PREFERENCE
from promptarena.evaluation.table import content_of, read_rows

__all__ = ["PastRun", "find_run"]


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run's folder, read."""

    root: Path
    about: Mapping[str, Any]
    """Its `run.json`."""

    @property
    def run_id(self) -> str:
        return str(self.about["run_id"])

    @property
    def judge_hash(self) -> str | None:
        judge = self.about.get("judge")
        return judge["hash"] if isinstance(judge, dict) else None

    def ratings(self) -> list[Rating]:
        """Everything that the judge scored; of a panel each member's, of repeats each.

        What it was asked a second time to measure its noise does not count, nor what could not be read.

        Raises:
            StorageError: the file cannot be read.
        """
        return [
            rating
            for line in _lines(self.root / "judgments.jsonl")
            if not line["again"]
            for rating in _ratings(line)
        ]

    def items(self) -> Iterator[LabelItem]:
        """Every first answer of every variant, beside its question.

        Raises:
            StorageError: a file cannot be read.
            DataError: the dataset, or recorded outputs, are no longer what they were.
        """
        folder, problems = Path(str(self.about["folder"])), DataProblems()
        source = DatasetSource.model_validate(self.about["dataset_source"])
        questions = {case.id: case.text for case in read_cases(source, folder, problems)}
        for variant in self.about["variants"]:
            for line in _lines(self.root / "answers" / f"{variant}.jsonl"):
                if line.get("repeat", 0) == 0 and line["output"] is not None and line["id"] in questions:
                    yield LabelItem(line["id"], questions[line["id"]], variant, line["output"])
        for variant, written in self.about["outputs"].items():
            outputs = OutputsSource.model_validate(written)
            for row in read_rows(outputs, folder / outputs.file, problems, [outputs.output]):
                text = content_of(row.values.get(outputs.output))
                if text is not None and row.case in questions:
                    yield LabelItem(row.case, questions[row.case], variant, text)
        problems.raise_any()


def find_run(runs: Path, judge_hash: str, wanted: str | None = None) -> PastRun:
    """The run that is asked for, or the latest complete one in which this very judge judged.

    Args:
        runs: the folder of runs.
        judge_hash: of the judge's whole configuration.
        wanted: a run's id, in place of the latest.

    Raises:
        UsageError: there is no such run, or another judge judged in it.
        NotEnoughDataError: this judge has judged in none.
        StorageError: a run's file cannot be read.
    """
    names = sorted(path.name for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    if wanted is not None:
        if wanted not in names:
            raise UsageError(
                f"There is no run {wanted!r}; the latest are {listed(names[-5:])}.",
                where=Location(runs),
                hint=did_you_mean(wanted, names),
            )
        run = _read(runs / wanted)
        if run is None or run.judge_hash != judge_hash:
            raise UsageError(
                f"In run {wanted} another judge judged, or this one as it was before it was changed.",
                hint="Run the duel again; answers that were paid for are kept.",
            )
        return run
    # Ids begin with their time, so the last by name is the latest.
    for name in reversed(names):
        run = _read(runs / name)
        if run is not None and run.about.get("complete") and run.judge_hash == judge_hash:
            return run
    raise NotEnoughDataError(
        "This judge, as it is now, has judged in no complete run of this project.",
        hint="Run a duel that names it (`arena duel FILE`), or give a file by --judgments.",
    )


def _ratings(line: Mapping[str, Any]) -> Iterator[Rating]:
    for axis, score in line["scores"].items():
        if axis == PREFERENCE:
            yield Rating.of_pair(line["case"], line["variant"], line["against"], float(score))
        else:
            yield Rating(line["case"], axis, line["variant"], None, float(score), "")


def _read(folder: Path) -> PastRun | None:
    path = folder / "run.json"
    if not path.exists():
        return None
    try:
        return PastRun(folder, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise StorageError(f"The run cannot be read: {error}.", where=Location(path)) from error


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise StorageError(f"The run's file cannot be read: {error}.", where=Location(path)) from error
