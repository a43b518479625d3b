"""Which of two answers is better: one verdict for one display order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from promptarena.definitions.judge import PairwiseRule, Shown
from promptarena.evaluation.judges.judgment import PREFERENCE, Axis, JudgedAnswer, JudgedCase, Task
from promptarena.evaluation.judges.questions import (
    ABSTAINED,
    Passage,
    Question,
    Read,
    case_passages,
    rationale_of,
)
from promptarena.evaluation.judges.reply import UnreadableError

__all__ = ["PairwiseQuestion"]

_SCORES: Final = {"first": 1.0, "second": 0.0, "tie": 0.5}
_CANNOT_TELL: Final = "cannot tell"


class PairwiseQuestion(Question):
    """Asked twice a pair, once in each order."""

    task = Task.PAIRWISE
    axes = (Axis(name=PREFERENCE, low=0, high=1),)

    def __init__(self, rule: PairwiseRule, sees: Sequence[Shown], abstain: bool) -> None:
        self._sees, self._abstain = sees, abstain
        said = ["first", "second", *(["tie"] if rule.ties else [])]
        self._verdicts = {verdict: _SCORES[verdict] for verdict in said}

    @property
    def _accepted(self) -> list[str]:
        return [*self._verdicts, *([_CANNOT_TELL] if self._abstain else [])]

    @property
    def form(self) -> str:
        verdicts = ", ".join(f'"{verdict}"' for verdict in self._accepted)
        return (
            '- "rationale": before you decide, in two to five sentences: what each answer gets right and '
            "wrong by the criteria, and what decides.\n"
            f'- "verdict": one of {verdicts}.'
        )

    @property
    def properties(self) -> dict[str, Any]:
        verdict = {"type": "string", "enum": self._accepted}
        return {"rationale": {"type": "string"}, "verdict": verdict}

    def passages(self, case: JudgedCase, answers: Sequence[JudgedAnswer]) -> list[Passage]:
        first, second = answers
        return [
            # The case's own documents, whatever each variant retrieved: both are held to the same.
            *case_passages(case, case.context, self._sees),
            Passage("The answer shown first:", "first_answer", first.text),
            Passage("The answer shown second:", "second_answer", second.text),
        ]

    def read(self, value: Mapping[str, Any], shown: int) -> Read:  # noqa: ARG002
        written = value.get("verdict")
        verdict = written.strip().casefold() if isinstance(written, str) else None
        rationale = rationale_of(value)
        if self._abstain and verdict == _CANNOT_TELL:
            return Read(unscored={PREFERENCE: ABSTAINED}, rationale=rationale)
        if verdict not in self._verdicts:
            raise UnreadableError("a verdict that was not offered" if written is not None else "no verdict")
        return Read(scores={PREFERENCE: self._verdicts[verdict]}, rationale=rationale)
