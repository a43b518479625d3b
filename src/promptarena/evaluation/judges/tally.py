"""Judgments gathered as they come: panels decided, scores and verdicts as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.judge import JudgeEntry
from promptarena.definitions.judge_conduct import JudgeConduct
from promptarena.evaluation.judges.conduct import conduct_of
from promptarena.evaluation.judges.gathered import Gathered
from promptarena.evaluation.judges.judgment import Axis, Judgment
from promptarena.evaluation.judges.panel_votes import decided_scores, decided_verdicts
from promptarena.evaluation.recorded import Verdicts
from promptarena.evaluation.scores import AxisScores

__all__ = ["JudgeTally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeTally:
    """Memory grows with cases by some bytes a judgment, not with texts."""

    name: str
    hash: str
    judge: JudgeEntry
    axes: tuple[Axis, ...]
    models: Mapping[str, str | None]
    """Of the variants, where known."""
    gathered: Gathered

    def add(self, judgment: Judgment) -> None:
        """Take one in; of the same subject the last one counts.

        Raises:
            KeyError: its case or variant is none of this tally's.
        """
        self.gathered.add(judgment)

    def verdicts(self) -> Verdicts | None:
        """Pairwise verdicts as the columns of recorded ones; `None` where the judge compares no pairs.

        Of several answers to a case there is a row for each, and what was asked once more is marked.
        """
        if self.judge.pairwise is None:
            return None
        rows = [np.empty((0, 5), dtype=np.intp)]
        scores = [np.empty(0)]
        for (first, second, again), given in self.gathered.pairs.items():
            case, repeat = np.nonzero(given.asked)
            same = np.ones(len(case), dtype=np.intp)
            rows.append(np.stack([case, same * first, same * second, repeat, same * again], axis=1))
            scores.append(decided_verdicts(given.votes[case, repeat], self.judge.panel))
        columns, score = np.concatenate(rows), np.concatenate(scores)
        order = np.lexsort(columns.T[::-1])
        columns, score = columns[order], score[order]
        scored: NDArray[np.bool_] = ~np.isnan(score)
        return Verdicts(
            case=columns[:, 0],
            first=columns[:, 1],
            second=columns[:, 2],
            first_score=np.where(scored, score, -1.0),
            scored=scored,
            undeclared={},
            repeat=columns[:, 3],
            again=columns[:, 4] > 0,
        )

    def scores(self) -> tuple[AxisScores, ...]:
        """Scores by axis; what was never asked or could not be read is not scored."""
        return tuple(self._axis_scores(axis) for axis in self.axes)

    def _axis_scores(self, axis: Axis) -> AxisScores:
        shape = len(self.gathered.cases), self.gathered.repeats
        values: dict[str, NDArray[np.float64]] = {}
        asked: dict[str, NDArray[np.bool_]] = {}
        for name, number in self.gathered.variants.items():
            given = self.gathered.scores.get((axis.name, number))
            values[name], asked[name] = np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
            if given is not None:
                values[name], asked[name] = decided_scores(given.votes, self.judge.panel), given.asked
        scored = {name: np.asarray(~np.isnan(score), dtype=np.bool_) for name, score in values.items()}
        known = {name: np.where(scored[name], score, 0.0) for name, score in values.items()}
        return AxisScores(axis.name, axis.low, axis.high, known, scored, asked)

    def conduct(self) -> JudgeConduct:
        """How the judge behaved, besides what its verdicts tell."""
        return conduct_of(self.gathered, self.judge, name=self.name, judge_hash=self.hash, models=self.models)
