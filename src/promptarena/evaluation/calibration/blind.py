"""Blind labelling: answers without their variants' names, in an order drawn beforehand and written down.

Whole cases are drawn, so that the answers of all variants to a case are labelled together and differences
between variants can be told; each case with the same probability, which every label carries. What a rater
labelled before is not asked again, so a session may end at any answer and go on another day.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from promptarena.errors import NotEnoughDataError, StorageError

__all__ = ["LabelFile", "LabelItem", "Question", "draw_questions"]


@dataclass(frozen=True, slots=True)
class LabelItem:
    """One variant's answer to one case."""

    case: str
    question: str
    variant: str
    answer: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a rater is shown next: one answer to score, or two to compare."""

    order: int
    """Its place in the order that was drawn, counted from 1."""
    case: str
    question: str
    answers: tuple[str, ...]
    """As shown; the rater does not see `variants`."""
    variants: tuple[str, ...]
    """Whose answers they are, in the order shown."""
    probability: float
    """With which this case was drawn."""

    def record(self, rater: str, said: Mapping[str, float | str], at: str) -> list[dict[str, object]]:
        """The labels to write: `said` is a score by axis, or {"verdict": ...}."""
        common = {"rater": rater, "probability": self.probability, "order": self.order, "at": at}
        if len(self.variants) == 2:
            first, second = self.variants
            return [{"id": self.case, "first": first, "second": second, **said, **common}]
        return [
            {"id": self.case, "variant": self.variants[0], "axis": axis, "score": score, **common}
            for axis, score in said.items()
        ]


def draw_questions(
    items: Iterable[LabelItem], *, cases: int, pairs: bool, seed: str, done: frozenset[tuple[str, ...]]
) -> list[Question]:
    """Draw cases, and an order in which to show their answers.

    The same items, number and seed give the same questions in the same order, whoever asks and however often.

    Args:
        items: every answer there is.
        cases: how many to draw; all of them where there are fewer.
        pairs: whether answers are compared two by two, instead of scored one by one.
        seed: of the drawing; a rater's own name makes the order theirs.
        done: what this rater labelled before: (case, variant), or (case, variant, other) by name.

    Raises:
        NotEnoughDataError: there is nothing to label.
    """
    by_case: dict[str, list[LabelItem]] = {}
    for item in items:
        by_case.setdefault(item.case, []).append(item)
    wanted = {case: found for case, found in by_case.items() if len(found) > 1 or not pairs}
    if not wanted:
        raise NotEnoughDataError(
            "There is nothing to label: no case has answers" + (" of two variants." if pairs else ".")
        )
    rng = np.random.default_rng(list(hashlib.sha256(seed.encode()).digest()))
    names = sorted(wanted)
    drawn = [names[at] for at in rng.choice(len(names), min(cases, len(names)), replace=False)]
    shown: list[tuple[LabelItem, ...]] = []
    for case in drawn:
        found = sorted(wanted[case], key=lambda item: item.variant)
        shown += combinations(found, 2) if pairs else [(item,) for item in found]
    probability = len(drawn) / len(names)
    questions: list[Question] = []
    for place, at in enumerate(rng.permutation(len(shown)), start=1):
        answers = shown[at][:: 1 if rng.random() < 0.5 else -1]
        if (answers[0].case, *sorted(item.variant for item in answers)) in done:
            continue
        questions.append(
            Question(
                order=place,
                case=answers[0].case,
                question=answers[0].question,
                answers=tuple(item.answer for item in answers),
                variants=tuple(item.variant for item in answers),
                probability=probability,
            )
        )
    return questions


class LabelFile:
    """JSON lines that only grow; a label is on disk before the next question is asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def done_by(self, rater: str) -> frozenset[tuple[str, ...]]:
        """What a rater labelled before.

        Raises:
            StorageError: the file cannot be read, or is none of labels.
        """
        found: set[tuple[str, ...]] = set()
        for line in self._lines():
            if line.get("rater") != rater:
                continue
            names = [line[name] for name in ("variant", "first", "second") if name in line]
            found.add((str(line.get("id")), *sorted(map(str, names))))
        return frozenset(found)

    def append(self, labels: Sequence[Mapping[str, object]]) -> None:
        """Write labels, all durable on return.

        Raises:
            StorageError: they cannot be written.
        """
        text = "".join(json.dumps(label, ensure_ascii=False) + "\n" for label in labels)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                if file.tell() and not self._ends_whole(file.fileno()):
                    file.write(b"\n")  # a line that a crash tore stays its own
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"The labels cannot be written to {self._path}: {error.strerror}.") from error

    @staticmethod
    def _ends_whole(descriptor: int) -> bool:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, 1, size - 1) == b"\n"

    def _lines(self) -> Iterator[dict[str, object]]:
        try:
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"The labels in {self._path} cannot be read: {error}.") from error
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue  # torn by a crash; the reader of ratings names its line
            if isinstance(found, dict):
                yield found
