"""What a duel is concluded from: arrays over cases, whether they were recorded or came from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.judge_conduct import JudgeConduct
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.check_rates import CheckResults
from promptarena.evaluation.recorded import Verdicts
from promptarena.evaluation.scores import AxisScores

__all__ = ["DuelEvidence"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelEvidence:
    """Everything that was observed."""

    cases: CaseFrame
    verdicts: Verdicts | None = None
    axes: Sequence[AxisScores] = ()
    checks: Mapping[str, CheckResults] = field(default_factory=dict)
    """By check; only those of variants with outputs."""
    lengths: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """By variant: shape (cases,), characters of its answer, the mean over repeats; NaN where there is
    none."""
    taken: NDArray[np.bool_] | None = None
    """Shape (cases,): which cases were taken up, whatever came of them. None: all."""
    conduct: JudgeConduct | None = None
    """How the judge behaved, where it was asked and its verdicts were not on file."""
    notes: tuple[str, ...] = ()
    """What a reader must know besides, such as outputs that are missing."""

    def of(self, taken: NDArray[np.bool_]) -> DuelEvidence:
        """The evidence on some of the cases, which are then all that there are."""
        frame = self.cases
        number = np.cumsum(taken) - 1
        verdicts = self.verdicts
        if verdicts is not None:
            keep = taken[verdicts.case]
            verdicts = replace(
                verdicts,
                case=number[verdicts.case[keep]],
                first=verdicts.first[keep],
                second=verdicts.second[keep],
                first_score=verdicts.first_score[keep],
                scored=verdicts.scored[keep],
                repeat=None if verdicts.repeat is None else verdicts.repeat[keep],
                again=None if verdicts.again is None else verdicts.again[keep],
            )
        return replace(
            self,
            cases=CaseFrame(
                ids=_chosen(frame.ids, taken),
                clusters=None if frame.clusters is None else frame.clusters[taken],
                weights=None if frame.weights is None else frame.weights[taken],
                segments={name: _chosen(values, taken) for name, values in frame.segments.items()},
            ),
            verdicts=verdicts,
            axes=tuple(
                replace(
                    axis,
                    values={name: values[taken] for name, values in axis.values.items()},
                    scored={name: scored[taken] for name, scored in axis.scored.items()},
                    asked=None
                    if axis.asked is None
                    else {name: asked[taken] for name, asked in axis.asked.items()},
                )
                for axis in self.axes
            ),
            checks={
                title: {name: codes[taken] for name, codes in by.items()} for title, by in self.checks.items()
            },
            lengths={name: lengths[taken] for name, lengths in self.lengths.items()},
            taken=None,
        )


def _chosen(items: Sequence[T], taken: NDArray[np.bool_]) -> list[T]:
    return [items[at] for at in np.flatnonzero(taken).tolist()]
