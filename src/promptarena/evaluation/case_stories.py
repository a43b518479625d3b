"""The cases that a duel's page shows: chosen by how badly the treatment did, their texts read once more.

Texts are not kept while a duel is concluded, so this reads the files again and keeps what is shown, and no
more: memory grows with the cases on the page, not with those of the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.case_story import AnswerStory, CaseStories, CaseStory, JudgeWord
from promptarena.definitions.checks import as_text
from promptarena.definitions.duel import Duel
from promptarena.evaluation.cases import Case
from promptarena.evaluation.conclude import judged_against
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.evidence import DuelEvidence
from promptarena.evaluation.judges import PREFERENCE
from promptarena.evaluation.judges.suspicion import signs_of_steering
from promptarena.evaluation.judges.untrusted import shown_openly
from promptarena.evaluation.recorded import FAILED, PASSED
from promptarena.evaluation.table import content_of, read_rows
from promptarena.evaluation.worst_cases import badness, worst_first

__all__ = ["MOST_SHOWN", "tell_cases"]

MOST_SHOWN: Final = 300
"""Cases on one page: more are slow to open and are read by nobody."""
LONGEST_TEXT: Final = 6_000
"""Characters of an answer or an input that are shown."""
LONGEST_RATIONALE: Final = 2_000

_VERDICTS: Final = {1.0: "first", 0.5: "tie", 0.0: "second"}


def tell_cases(
    duel: Duel,
    folder: Path,
    dataset: Dataset,
    evidence: DuelEvidence,
    *,
    judgments: Path | None = None,
    most: int = MOST_SHOWN,
) -> CaseStories:
    """Tell the cases in which treatments did worst, the worst first.

    Args:
        duel: the definition; what was run stands in it as recorded outputs.
        folder: what its file names are relative to.
        dataset: its cases.
        evidence: what was observed of all of them.
        judgments: the file of a run's judgments, where a judge was asked.
        most: how many cases at most.

    Raises:
        DataError: a file is not what it was.
    """
    teller = _Teller(duel, folder, dataset, evidence)
    chosen = teller.choose(most)
    places = {dataset_id: at for dataset_id, at in dataset.index.items() if at in set(chosen)}
    answers = {name: teller.answers(name, places) for name in duel.variants}
    words, rationales = teller.sayings(places, judgments)
    cases = {dataset.index[case.id]: case for case in dataset.cases() if case.id in places}
    return CaseStories(
        cases=tuple(teller.story(at, cases[at], answers, words, rationales) for at in chosen),
        total=len(dataset),
        control=duel.baseline,
        variants=tuple(duel.variants),
    )


_Texts = Mapping[int, str]
_Words = Mapping[int, list[JudgeWord]]
_Rationales = Mapping[tuple[int, str], list[str]]


class _Teller:
    def __init__(self, duel: Duel, folder: Path, dataset: Dataset, evidence: DuelEvidence) -> None:
        self._duel, self._folder, self._dataset, self._evidence = duel, folder, dataset, evidence
        self._pairs = judged_against(duel, evidence)
        self._outcomes = {name: pair.outcomes(duel.conflicts) for name, pair in self._pairs.items()}
        self._means = [
            (each.axis, {name: each.means(name) for name in each.values}) for each in evidence.axes
        ]
        self._bad = self._badness()

    def _badness(self) -> NDArray[np.float64]:
        control, cases = self._duel.baseline, len(self._dataset)
        if control is None:
            return np.full(cases, np.nan)
        found = [
            badness(
                name, control, self._outcomes.get(name), self._evidence.axes, self._evidence.checks, cases
            )
            for name in self._duel.variants
            if name != control
        ]
        known = np.stack(found)
        worst = np.where(np.isnan(known), -np.inf, known).max(axis=0)
        return np.where(np.isinf(worst), np.nan, worst)

    def choose(self, most: int) -> list[int]:
        taken = self._evidence.taken
        outcome = np.fmin.reduce(list(self._outcomes.values())) if self._outcomes else None
        torn = np.zeros(len(self._bad), dtype=np.bool_)
        for pair in self._pairs.values():
            torn |= pair.conflicting.any(axis=1)
        order = worst_first(self._bad, outcome, torn)
        if taken is not None:
            order = order[taken[order]]
        chosen: list[int] = order[:most].tolist()
        return chosen

    def answers(self, variant: str, places: Mapping[str, int]) -> _Texts:
        """Texts of one variant; of several answers to a case the first."""
        source = self._duel.variants[variant].outputs
        found: dict[int, str] = {}
        if source is None:
            return found
        problems = DataProblems()
        for row in read_rows(source, self._folder / source.file, problems, [source.output]):
            at = places.get(row.case)
            text = content_of(row.values.get(source.output)) if at is not None else None
            if at is not None and text is not None:
                found.setdefault(at, text)
        return found

    def sayings(self, places: Mapping[str, int], judgments: Path | None) -> tuple[_Words, _Rationales]:
        words: dict[int, list[JudgeWord]] = {}
        rationales: dict[tuple[int, str], list[str]] = {}
        for said in (*self._recorded_words(places), *_asked_words(judgments, places)):
            words.setdefault(said[0], []).append(said[1])
        for at, variant, reason in (
            *self._recorded_reasons(places),
            *_asked_reasons(judgments, places),
        ):
            rationales.setdefault((at, variant), []).append(reason)
        return words, rationales

    def _recorded_words(self, places: Mapping[str, int]) -> Iterator[tuple[int, JudgeWord]]:
        recorded = self._duel.recorded.recorded if self._duel.recorded is not None else None
        if recorded is None:
            return
        values = recorded.values
        meanings = {
            text.casefold(): kind
            for kind, texts in (("first", values.first), ("second", values.second), ("tie", values.tie))
            for text in texts
        }
        for row in read_rows(recorded, self._folder / recorded.file, DataProblems()):
            at = places.get(row.case)
            if at is None:
                continue
            first, second, said = (
                content_of(as_text(row.values.get(column))) or ""
                for column in (recorded.first, recorded.second, recorded.verdict)
            )
            named = "first" if said == first else "second" if said == second else "unscored"
            yield (
                at,
                JudgeWord(
                    first=first,
                    second=second,
                    verdict=meanings.get(said.casefold(), named) if said else "unscored",
                    rationale=_reason(row.values.get(recorded.rationale)),
                ),
            )

    def _recorded_reasons(self, places: Mapping[str, int]) -> Iterator[tuple[int, str, str]]:
        scores = self._duel.recorded.scores if self._duel.recorded is not None else None
        if scores is None:
            return
        for row in read_rows(scores, self._folder / scores.file, DataProblems()):
            at, reason = places.get(row.case), _reason(row.values.get(scores.rationale))
            if at is not None and reason:
                axis = content_of(as_text(row.values.get(scores.axis))) or ""
                yield at, content_of(as_text(row.values.get(scores.variant))) or "", f"{axis}: {reason}"

    def story(
        self,
        at: int,
        case: Case,
        answers: Mapping[str, _Texts],
        words: _Words,
        rationales: _Rationales,
    ) -> CaseStory:
        frame = self._evidence.cases
        # A column that is called `input` is worth showing even where the definition names none.
        text, cut = _shortened(case.text or content_of(case.variables.get("input")) or "")
        return CaseStory(
            id=case.id,
            input=text,
            cut=cut,
            reference=None if case.reference is None else _shortened(case.reference)[0],
            segments={name: values[at] for name, values in frame.segments.items() if values[at]},
            weight=1.0 if frame.weights is None else float(frame.weights[at]),
            answers={
                name: self._answer(at, name, texts.get(at), rationales.get((at, name), []))
                for name, texts in answers.items()
            },
            words=tuple(words.get(at, ())),
            outcomes={name: _known(scores[at]) for name, scores in self._outcomes.items()},
            conflicts=tuple(name for name, pair in self._pairs.items() if pair.conflicting[at].any()),
            badness=_known(self._bad[at]),
        )

    def _answer(self, at: int, variant: str, text: str | None, reasons: list[str]) -> AnswerStory:
        shown, cut = (None, 0) if text is None else _shortened(text)
        return AnswerStory(
            text=shown,
            cut=cut,
            checks={
                title: {PASSED: True, FAILED: False}.get(int(by[variant][at]))
                for title, by in self._evidence.checks.items()
                if variant in by
            },
            scores={axis: _known(means[variant][at]) for axis, means in self._means if variant in means},
            rationale="\n".join(reasons)[:LONGEST_RATIONALE] or None,
            signs=() if text is None else signs_of_steering(text),
        )


def _asked_words(judgments: Path | None, places: Mapping[str, int]) -> Iterator[tuple[int, JudgeWord]]:
    for at, said in _judgments(judgments, places):
        if said.get("against"):
            score: Any = (said.get("scores") or {}).get(PREFERENCE)
            verdict = "unscored" if score is None else _VERDICTS.get(score, "tie")
            reason: Any = said.get("rationale")
            if score is None:
                reason = "; ".join(map(str, (said.get("unscored") or {}).values()))
            yield (
                at,
                JudgeWord(
                    first=str(said["variant"]),
                    second=str(said["against"]),
                    verdict=verdict,
                    rationale=_reason(reason),
                    again=bool(said.get("again")),
                ),
            )


def _asked_reasons(judgments: Path | None, places: Mapping[str, int]) -> Iterator[tuple[int, str, str]]:
    for at, said in _judgments(judgments, places):
        if not said.get("against") and (reason := _reason(said.get("rationale"))):
            yield at, str(said["variant"]), reason


def _judgments(path: Path | None, places: Mapping[str, int]) -> Iterator[tuple[int, dict[str, Any]]]:
    if path is None or not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            said = json.loads(line)
            if (at := places.get(str(said.get("case")))) is not None:
                yield at, said


def _reason(value: Any) -> str | None:
    text = content_of(value)
    return shown_openly(text[:LONGEST_RATIONALE]) if text and text.strip() else None


def _shortened(text: str) -> tuple[str, int]:
    return shown_openly(text[:LONGEST_TEXT]), max(len(text) - LONGEST_TEXT, 0)


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
