"""How often outputs pass their checks, and whether a treatment passes less often than the control."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import CheckDifference, CheckRate, CheckReadout
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.recorded import FAILED, MISSING, PASSED
from promptarena.stats.proportions import Proportion, proportion

__all__ = ["CheckResults", "Codes", "check_readout", "paired_scores", "to_difference"]

Codes = NDArray[np.int8]
CheckResults = Mapping[str, Codes]
"""One check's result of every case, by variant; codes as in `recorded`."""


def check_readout(
    name: str, results: CheckResults, frame: CaseFrame, control: str | None, confidence: float
) -> CheckReadout:
    """One check over all variants; cases to which it does not apply are in no count."""
    return CheckReadout(
        name=name,
        rates={variant: _rate(codes, frame, confidence) for variant, codes in results.items()},
        differences={
            variant: _difference(codes, results[control], frame, confidence)
            for variant, codes in results.items()
            if control is not None and variant != control
        },
    )


def paired_scores(variant: Codes, control: Codes) -> NDArray[np.float64]:
    """Each case's (1 + variant - control) / 2, where a pass is 1 and a failure 0; NaN where one is not known.

    A case that only the variant passes is a win of it, one that only the control passes a loss, any other a
    tie: so a difference of paired pass rates is 2 x win rate - 1, and has its interval.

    Args:
        variant: shape (cases,), codes of `recorded`.
        control: shape (cases,).
    """
    known = (variant >= FAILED) & (control >= FAILED)
    return np.where(known, (1.0 + variant - control) / 2, np.nan)


def to_difference(score: float) -> float:
    """From the mean of `paired_scores` to the difference of pass rates, in [-1, 1]."""
    return 2 * score - 1


def _rate(codes: Codes, frame: CaseFrame, confidence: float) -> CheckRate:
    rate = _proportion(np.where(codes >= FAILED, codes, np.nan), frame, confidence)
    return CheckRate(
        passed=int((codes == PASSED).sum()),
        failed=int((codes == FAILED).sum()),
        missing=int((codes == MISSING).sum()),
        pass_rate=rate.value if rate else None,
        interval=rate.interval if rate else None,
    )


def _difference(codes: Codes, control: Codes, frame: CaseFrame, confidence: float) -> CheckDifference:
    scores = paired_scores(codes, control)
    found = _proportion(scores, frame, confidence)
    return CheckDifference(
        difference=to_difference(found.value) if found else None,
        interval=(to_difference(found.low), to_difference(found.high)) if found else None,
        cases=int((~np.isnan(scores)).sum()),
        only_variant=int((scores == 1).sum()),
        only_control=int((scores == 0).sum()),
    )


def _proportion(scores: NDArray[np.float64], frame: CaseFrame, confidence: float) -> Proportion | None:
    known = np.flatnonzero(~np.isnan(scores))
    if not len(known):
        return None
    return proportion(scores[known], frame.cluster_of(known), frame.weight_of(known), confidence=confidence)
