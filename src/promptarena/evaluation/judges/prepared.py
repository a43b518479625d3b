"""A judge made ready from its definition: which calls a case needs, and what their completions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from promptarena.definitions.events import Measurement
from promptarena.evaluation.judges.judgment import Axis, JudgeCall, JudgedAnswer, JudgedCase, Judgment
from promptarena.evaluation.recorded import Verdicts
from promptarena.evaluation.scores import AxisScores
from promptarena.llm.model_client import Completion

__all__ = ["JudgeTally", "PreparedJudge"]


class JudgeTally(Protocol):
    """Judgments gathered as they come, in any order; memory grows with cases, not with texts."""

    def add(self, judgment: Judgment) -> None:
        """Take one in; of the same subject the last one counts."""
        ...

    def verdicts(self) -> Verdicts | None:
        """Pairwise verdicts, panels already decided; `None` where the judge compares no pairs."""
        ...

    def scores(self) -> tuple[AxisScores, ...]:
        """Scores by axis, panels already decided."""
        ...

    def notes(self) -> tuple[str, ...]:
        """What a reader must know: unscored by reason, injection suspected by variant, the panel's
        disagreement, scores that G-Eval could not weight, one model family judging itself."""
        ...


class PreparedJudge(Protocol):
    """Pure: no file, no network, no clock; the runner makes the calls."""

    name: str
    hash: str
    """Of the whole configuration; on every call and measurement."""
    configuration: Mapping[str, Any]
    """What is hashed, for the registry."""
    axes: tuple[Axis, ...]
    """What single answers are scored on; empty for a judge that only compares pairs."""
    compares_pairs: bool

    def pair_calls(self, case: JudgedCase, one: JudgedAnswer, other: JudgedAnswer) -> tuple[JudgeCall, ...]:
        """The calls that compare two answers: both display orders, each member of the panel, and for a
        seeded sample of cases the same prompt once more. Empty where the judge compares no pairs."""
        ...

    def score_calls(self, case: JudgedCase, answer: JudgedAnswer) -> tuple[JudgeCall, ...]:
        """The calls that score one answer on every axis. Empty where there are no axes."""
        ...

    def read(self, asked: JudgeCall, completion: Completion) -> Judgment:
        """What a completion says. Never raises: what cannot be read is unscored, with its reason."""
        ...

    def failed(self, asked: JudgeCall, reason: str) -> Judgment:
        """The judgment of a call that got no completion: unscored for this reason."""
        ...

    def pair_score(self, judgments: Sequence[Judgment], variant: str) -> float | None:
        """One case's score for a variant from all judgments of its pair: the mean over both orders, in
        {0, 1/4, 1/2, 3/4, 1}; `None` where an order is unscored."""
        ...

    def tally(self, cases: Mapping[str, int], variants: Sequence[str], repeats: int = 1) -> JudgeTally:
        """An empty tally.

        Args:
            cases: number of each case, by id, from 0.
            variants: names, in the order that numbers them.
            repeats: answers of each variant to each case.
        """
        ...

    def events(self, judgment: Judgment, requests: Mapping[str, str], *, at: Any) -> tuple[Measurement, ...]:
        """The judgment as measurements of the log, source `judge`.

        Args:
            requests: by variant, the `request_id` of the generation that was judged.
            at: when the judgment came, with its zone (a datetime).
        """
        ...
