"""Which cases a treatment did worst in, so that people read those first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import CaseFinding
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.check_rates import CheckResults, paired_scores
from promptarena.evaluation.pairs import JudgedPair
from promptarena.evaluation.recorded import FAILED, PASSED
from promptarena.evaluation.scores import AxisScores

__all__ = ["MOST_TOLD", "badness", "worst_cases", "worst_first"]

Scores = NDArray[np.float64]

MOST_TOLD: Final = 20
"""Of one treatment's worst cases in a readout."""


def badness(
    treatment: str,
    control: str,
    outcome: Scores | None,
    axes: Sequence[AxisScores],
    checks: Mapping[str, CheckResults],
    cases: int,
) -> Scores:
    """Shape (cases,), in [-1, 1]: how much worse the treatment did than the control, NaN where nothing tells.

    The mean of what there is: the outcome (1 lost, 0 tie, -1 won), each axis' fall over its scale, and each
    check that only the control passes. It orders cases for a reader; nothing is decided by it.
    """
    parts = [] if outcome is None else [1 - 2 * outcome]
    parts += [
        (each.means(control) - each.means(treatment)) / (each.high - each.low)
        for each in axes
        if treatment in each.values
    ]
    parts += [
        1 - 2 * paired_scores(results[treatment], results[control])
        for results in checks.values()
        if treatment in results and control in results
    ]
    if not parts:
        return np.full(cases, np.nan)
    stacked = np.stack(parts)
    known = ~np.isnan(stacked)
    count = known.sum(axis=0)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def worst_cases(
    treatment: str,
    control: str,
    pair: JudgedPair | None,
    outcome: Scores | None,
    axes: Sequence[AxisScores],
    checks: Mapping[str, CheckResults],
    frame: CaseFrame,
) -> tuple[CaseFinding, ...]:
    """The cases in which a treatment did worse than the control, worst first, up to `MOST_TOLD`."""
    bad = badness(treatment, control, outcome, axes, checks, len(frame))
    torn = np.zeros(len(frame), dtype=np.bool_)
    if pair is not None:
        torn |= pair.conflicting.any(axis=1)
    order = worst_first(bad, outcome, torn)
    chosen = [int(at) for at in order[:MOST_TOLD] if bad[at] > 0]
    return tuple(_finding(at, treatment, control, outcome, axes, checks, frame, bad) for at in chosen)


def worst_first(bad: Scores, outcome: Scores | None, torn: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Numbers of the cases, the worst first; what tells nothing comes last.

    Of equally bad ones a loss comes before a tie, and what both display orders say before a conflict, which
    is half noise; then the order of the file.
    """
    lost = np.zeros(len(bad)) if outcome is None else np.nan_to_num(outcome, nan=1.0)
    return np.lexsort((np.arange(len(bad)), torn, lost, -np.nan_to_num(bad, nan=-2.0)))


def _finding(
    at: int,
    treatment: str,
    control: str,
    outcome: Scores | None,
    axes: Sequence[AxisScores],
    checks: Mapping[str, CheckResults],
    frame: CaseFrame,
    bad: Scores,
) -> CaseFinding:
    score = None if outcome is None or np.isnan(outcome[at]) else float(outcome[at])
    apart = {
        each.axis: float(each.means(treatment)[at] - each.means(control)[at])
        for each in axes
        if treatment in each.values
    }
    return CaseFinding(
        case=frame.ids[at],
        variant=treatment,
        badness=float(bad[at]),
        outcome=score,
        axes={name: value for name, value in apart.items() if not np.isnan(value)},
        lost_checks=tuple(
            title
            for title, results in checks.items()
            if treatment in results and results[treatment][at] == FAILED and results[control][at] == PASSED
        ),
    )
