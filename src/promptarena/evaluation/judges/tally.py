"""Judgments gathered as they come: panels decided, scores and verdicts as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from promptarena.definitions.judge import JudgeEntry
from promptarena.definitions.judge_conduct import JudgeConduct
from promptarena.evaluation.judges.conduct import Gathered, conduct_of
from promptarena.evaluation.judges.judgment import PREFERENCE, Axis, Judgment, Task
from promptarena.evaluation.judges.panel_votes import decided_score, decided_verdict
from promptarena.evaluation.recorded import Verdicts
from promptarena.evaluation.scores import AxisScores

__all__ = ["JudgeTally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTally:
    """Memory grows with cases, not with texts. The same subject counts once, the last of it."""

    name: str
    hash: str
    judge: JudgeEntry
    axes: tuple[Axis, ...]
    cases: Mapping[str, int]
    """Number of each case, by id."""
    variants: Mapping[str, int]
    """Number of each variant, by name."""
    repeats: int
    models: Mapping[str, str | None]
    """Of the variants, where known."""
    gathered: Gathered = field(default_factory=Gathered)

    def add(self, judgment: Judgment) -> None:
        """Take one in.

        Raises:
            KeyError: its case or variant is none of this tally's.
        """
        subject, members = judgment.subject, len(self.judge.members)
        case, variant = self.cases[subject.case], self.variants[subject.variant]
        for name, signs in judgment.suspected.items():
            self.gathered.signs[case, self.variants[name], subject.repeat] = signs
        if subject.task is Task.PAIRWISE and subject.against is not None:
            pair = (case, variant, self.variants[subject.against], subject.repeat)
            asked = self.gathered.pairs if not subject.again else self.gathered.again
            votes = asked.setdefault((*pair, subject.again), [None] * members)
            votes[subject.member] = judgment.scores.get(PREFERENCE)
            if not subject.again:
                reason = judgment.unscored.get(PREFERENCE)
                self.gathered.note_reason((PREFERENCE, pair, subject.member), reason)
            return
        place = (case, variant, subject.repeat)
        for name in (*judgment.scores, *judgment.unscored):
            votes = self.gathered.scores.setdefault(name, {}).setdefault(place, [None] * members)
            votes[subject.member] = judgment.scores.get(name)
            key = (name, place, subject.member)
            self.gathered.note_reason(key, judgment.unscored.get(name))
            if subject.task is Task.RUBRIC and name in judgment.scores:
                self.gathered.weighted[key] = name in judgment.weighted

    def verdicts(self) -> Verdicts | None:
        """Pairwise verdicts as the columns of recorded ones; `None` where the judge compares no pairs.

        Of several answers to a case there is a row for each, and what was asked once more is marked.
        """
        if self.judge.pairwise is None:
            return None
        votes = self.gathered.pairs | self.gathered.again
        asked = sorted(votes)
        scores = [decided_verdict(votes[one], self.judge.panel) for one in asked]
        columns = np.array(asked, dtype=np.intp).reshape(-1, 5)
        return Verdicts(
            case=columns[:, 0],
            first=columns[:, 1],
            second=columns[:, 2],
            first_score=np.array([-1.0 if score is None else score for score in scores], dtype=np.float64),
            scored=np.array([score is not None for score in scores], dtype=np.bool_),
            undeclared={},
            repeat=columns[:, 3],
            again=columns[:, 4] > 0,
        )

    def scores(self) -> tuple[AxisScores, ...]:
        """Scores by axis; what was never asked or could not be read is not scored."""
        return tuple(self._axis_scores(axis) for axis in self.axes)

    def _axis_scores(self, axis: Axis) -> AxisScores:
        shape = (len(self.variants), len(self.cases), self.repeats)
        values, scored, asked = np.zeros(shape), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        for (case, variant, repeat), votes in self.gathered.scores.get(axis.name, {}).items():
            asked[variant, case, repeat] = True
            score = decided_score(votes, self.judge.panel)
            if score is not None:
                values[variant, case, repeat] = score
                scored[variant, case, repeat] = True
        return AxisScores(
            axis.name,
            axis.low,
            axis.high,
            {name: values[number] for name, number in self.variants.items()},
            {name: scored[number] for name, number in self.variants.items()},
            {name: asked[number] for name, number in self.variants.items()},
        )

    def conduct(self) -> JudgeConduct:
        """How the judge behaved, besides what its verdicts tell."""
        return conduct_of(
            self.gathered,
            self.judge,
            name=self.name,
            judge_hash=self.hash,
            variants=tuple(self.variants),
            models=self.models,
        )
