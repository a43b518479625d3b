"""What a duel is concluded from: arrays over cases, whether they were recorded or came from a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.check_rates import CheckResults
from promptarena.evaluation.recorded import Verdicts
from promptarena.evaluation.scores import AxisScores

__all__ = ["DuelEvidence"]


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
    notes: tuple[str, ...] = ()
    """What a reader must know besides, such as outputs that are missing."""
