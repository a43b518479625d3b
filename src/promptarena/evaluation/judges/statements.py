"""Metrics of retrieval and grounding, computed by formula from verdicts on single statements or documents.

The judge never gives a number: it breaks a text into statements, gives each a reason and a yes or no, and the
number is counted from those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from promptarena.definitions.judge import RagMetric, Shown
from promptarena.evaluation.judges.judgment import Axis, JudgedAnswer, JudgedCase, Task
from promptarena.evaluation.judges.questions import (
    LONGEST_RATIONALE,
    Passage,
    Question,
    Read,
    case_passages,
    documents_of,
    list_of,
    rationale_of,
)
from promptarena.evaluation.judges.reply import UnreadableError

__all__ = ["StatementQuestion", "context_precision", "share_of_yes"]


def share_of_yes(verdicts: Sequence[bool]) -> float | None:
    """Statements with a yes over all statements, in [0, 1]; `None` of none.

    With statements of the answer and whether the context supports them, faithfulness: F = |V| / |S| (Es et
    al. 2023, "RAGAS: Automated Evaluation of Retrieval Augmented Generation", section 3, Faithfulness). With
    statements of the reference, context recall as the ragas package defines it (0.1, "Context Recall").
    With statements of the answer and whether they serve the question, answer relevance as DeepEval defines
    it ("Answer Relevancy"); RAGAS compares embeddings of questions made up from the answer instead, which
    needs a second model and cannot be read back by a person.
    """
    return sum(verdicts) / len(verdicts) if verdicts else None


def context_precision(useful: Sequence[bool]) -> float | None:
    """Whether the useful documents stand first, in [0, 1]; `None` without documents.

    sum over k of precision@k v_k, over the number of useful documents, where v_k is 1 if document k is useful
    (ragas package, 0.1, "Context Precision": average precision over what was retrieved). Without any useful
    document it is 0.

    >>> context_precision([True, False, True])
    0.8333333333333333
    """
    if not useful:
        return None
    if not any(useful):
        return 0.0
    found = list(accumulate(map(int, useful)))
    return sum(found[k] / (k + 1) for k, yes in enumerate(useful) if yes) / found[-1]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is broken into statements, and what of the case is shown beside."""

    of: str
    shows_answer: bool


_KINDS: Final = {
    RagMetric.FAITHFULNESS: _Kind("the answer", shows_answer=True),
    RagMetric.ANSWER_RELEVANCE: _Kind("the answer", shows_answer=True),
    RagMetric.CONTEXT_PRECISION: _Kind("the documents", shows_answer=False),
    RagMetric.CONTEXT_RECALL: _Kind("the reference answer", shows_answer=False),
}


class StatementQuestion(Question):
    """One metric, asked once an answer."""

    def __init__(self, metric: RagMetric) -> None:
        self._metric = metric
        self._kind = _KINDS[metric]
        self.task = Task(metric.value)
        self.axes = (Axis(name=metric.value, low=0, high=1),)

    @property
    def _by_document(self) -> bool:
        return self._metric is RagMetric.CONTEXT_PRECISION

    @property
    def form(self) -> str:
        if self._by_document:
            lines = (
                '- "documents": a list with one object for each source document, in the order of their '
                "numbers. Each has three fields, in this order:",
                '  - "document": its number.',
            )
        else:
            lines = (
                f'- "statements": a list with one object for each statement of {self._kind.of}. Each has '
                "three fields, in this order:",
                '  - "statement": its words.',
            )
        return "\n".join((*lines, '  - "reason": one sentence.', '  - "verdict": "yes" or "no".'))

    @property
    def properties(self) -> dict[str, Any]:
        text = {"type": "string"}
        what = {"document": {"type": "integer"}} if self._by_document else {"statement": text}
        fields = {**what, "reason": text, "verdict": {"type": "string", "enum": ["yes", "no"]}}
        item = {
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }
        return {self._list: {"type": "array", "items": item}}

    @property
    def _list(self) -> str:
        return "documents" if self._by_document else "statements"

    def lacks(self, case: JudgedCase, answer: JudgedAnswer) -> str | None:
        if Shown.CONTEXT in self._metric.needs and not documents_of(case, answer):
            return "no source documents"
        if Shown.REFERENCE in self._metric.needs and not (case.reference or "").strip():
            return "no reference answer"
        return None

    def passages(self, case: JudgedCase, answers: Sequence[JudgedAnswer]) -> list[Passage]:
        (answer,) = answers
        found = case_passages(case, documents_of(case, answer), self._metric.needs)
        if self._kind.shows_answer:
            found.append(Passage("The answer to be checked:", "answer", answer.text))
        return found

    def read(self, value: Mapping[str, Any], shown: int) -> Read:
        items = list_of(value, self._list)
        verdicts = [_yes(item) for item in items]
        if self._by_document:
            numbers = [number for item in items if type(number := item.get("document")) is int]
            if set(numbers) != set(range(1, shown + 1)) or len(numbers) != shown:
                raise UnreadableError("not one verdict for each document")
            by_number = dict(zip(numbers, verdicts, strict=True))
            score = context_precision([by_number[number] for number in range(1, shown + 1)])
        else:
            score = share_of_yes(verdicts)
        if score is None:
            raise UnreadableError(f"no statement in {self._kind.of}")
        return Read(scores={self._metric.value: score}, rationale=self._rationale(items, verdicts))

    def _rationale(self, items: Sequence[Mapping[str, Any]], verdicts: Sequence[bool]) -> str | None:
        lines = []
        for item, yes in zip(items, verdicts, strict=True):
            what = f"document {item['document']}" if self._by_document else rationale_of(item, "statement")
            lines.append(f"{'yes' if yes else 'no'}: {what} ({rationale_of(item, 'reason') or 'no reason'})")
        return "\n".join(lines)[:LONGEST_RATIONALE] or None


def _yes(item: Mapping[str, Any]) -> bool:
    written = item.get("verdict")
    verdict = written.strip().casefold() if isinstance(written, str) else written
    if verdict not in ("yes", "no"):
        raise UnreadableError("a verdict that is neither yes nor no")
    return verdict == "yes"
