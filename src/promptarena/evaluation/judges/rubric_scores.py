"""One answer scored on every axis of a rubric, in one call, each rationale before its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from promptarena.definitions.judge import Shown
from promptarena.definitions.rubric import RubricAxis
from promptarena.evaluation.judges.judgment import Axis, JudgedAnswer, JudgedCase, Task
from promptarena.evaluation.judges.questions import (
    ABSTAINED,
    LONGEST_RATIONALE,
    Passage,
    Question,
    Read,
    case_passages,
    documents_of,
    rationale_of,
)
from promptarena.evaluation.judges.reply import UnreadableError

__all__ = ["RubricQuestion"]


class RubricQuestion(Question):
    """Asked once an answer. An axis that cannot be read leaves the others as they are."""

    task = Task.RUBRIC

    def __init__(self, rubric: Mapping[str, RubricAxis], sees: Sequence[Shown], abstain: bool) -> None:
        self._rubric, self._sees, self._abstain = rubric, sees, abstain
        self.axes = tuple(Axis(name=name, low=axis.low, high=axis.high) for name, axis in rubric.items())

    @property
    def form(self) -> str:
        lines = [
            '- "axes": an object with one field an axis, '
            + ", ".join(f'"{name}"' for name in self._rubric)
            + ", in this order. Each is an object with two fields, in this order:",
            '  - "rationale": what speaks for which level, in one to three sentences.',
            '  - "score": the whole number' + (", or null if nobody could tell." if self._abstain else "."),
        ]
        return "\n".join(lines)

    @property
    def properties(self) -> dict[str, Any]:
        axes = {name: _axis_schema(axis, self._abstain) for name, axis in self._rubric.items()}
        return {"axes": _closed(axes)}

    def passages(self, case: JudgedCase, answers: Sequence[JudgedAnswer]) -> list[Passage]:
        (answer,) = answers
        return [
            *case_passages(case, documents_of(case, answer), self._sees),
            Passage("The answer to be scored:", "answer", answer.text),
        ]

    def read(self, value: Mapping[str, Any], shown: int) -> Read:  # noqa: ARG002
        axes = value.get("axes")
        if not isinstance(axes, dict):
            raise UnreadableError("no axes")
        scores: dict[str, float] = {}
        unscored: dict[str, str] = {}
        rationales = []
        for axis in self.axes:
            said = axes.get(axis.name)
            said = said if isinstance(said, dict) else {"score": said} if axis.name in axes else {}
            score = _whole_number(said.get("score"))
            if score is not None and axis.low <= score <= axis.high:
                scores[axis.name] = float(score)
            elif self._abstain and "score" in said and said["score"] is None:
                unscored[axis.name] = ABSTAINED
            else:
                unscored[axis.name] = "a score off its scale" if score is not None else "no score"
            if (rationale := rationale_of(said)) is not None:
                rationales.append(f"{axis.name}: {rationale}")
        return Read(
            scores=scores,
            unscored=unscored,
            rationale="\n".join(rationales)[:LONGEST_RATIONALE] or None,
            places={name: ("axes", name, "score") for name in scores},
        )


def _axis_schema(axis: RubricAxis, abstain: bool) -> dict[str, Any]:
    levels: list[int | None] = list(range(axis.low, axis.high + 1))
    score: dict[str, Any] = {"type": "integer", "enum": levels}
    if abstain:
        score = {"type": ["integer", "null"], "enum": [*levels, None]}
    return _closed({"rationale": {"type": "string"}, "score": score})


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _whole_number(written: Any) -> int | None:
    """A score as models write it: 4, 4.0 or "4"."""
    if isinstance(written, str) and len(written) <= 6:
        try:
            written = float(written)
        except ValueError:
            return None
    if isinstance(written, bool) or not isinstance(written, int | float):
        return None
    return int(written) if abs(written) < 1e6 and written == int(written) else None
