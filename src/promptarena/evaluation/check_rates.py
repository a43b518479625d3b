"""How often outputs pass their checks, and whether a treatment passes less often than the control."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import CheckDifference, CheckRate, CheckReadout
from promptarena.evaluation.recorded import FAILED, MISSING, NOT_APPLICABLE, PASSED
from promptarena.stats.proportions import Proportion, proportion

__all__ = ["CheckResults", "Codes", "check_readout", "paired_scores", "to_difference"]

Codes = NDArray[np.int8]
CheckResults = Mapping[str, Codes]
"""One check's result of every case, by variant; codes as in `recorded`."""


def check_readout(name: str, results: CheckResults, control: str | None, confidence: float) -> CheckReadout:
    """One check over all variants; cases to which it does not apply are in no count."""
    return CheckReadout(
        name=name,
        rates={variant: _rate(codes, confidence) for variant, codes in results.items()},
        differences={
            variant: _difference(codes, results[control], confidence)
            for variant, codes in results.items()
            if control is not None and variant != control
        },
    )


def paired_scores(
    variant: Codes, control: Codes, *, missing_variant: int | None = None, missing_control: int | None = None
) -> NDArray[np.float64]:
    """Each case's (1 + variant - control) / 2, where a pass is 1 and a failure 0.

    A case that only the variant passes is a win of it, one that only the control passes a loss, any other a
    tie: so a difference of paired pass rates is 2 x win rate - 1, and has its interval.

    Args:
        variant: shape (cases,), codes of `recorded`.
        control: shape (cases,).
        missing_variant: what a missing output of the variant counts as; None leaves its case out.
        missing_control: the same for the control.
    """
    applies = (variant != NOT_APPLICABLE) & (control != NOT_APPLICABLE)
    one = _filled(variant[applies], missing_variant)
    other = _filled(control[applies], missing_control)
    known = (one != MISSING) & (other != MISSING)
    return np.asarray((1.0 + one[known] - other[known]) / 2, dtype=np.float64)


def to_difference(score: float) -> float:
    """From the mean of `paired_scores` to the difference of pass rates, in [-1, 1]."""
    return 2 * score - 1


def _filled(codes: Codes, missing: int | None) -> NDArray[np.float64]:
    return np.where(codes == MISSING, MISSING if missing is None else missing, codes).astype(np.float64)


def _rate(codes: Codes, confidence: float) -> CheckRate:
    passed, failed = int((codes == PASSED).sum()), int((codes == FAILED).sum())
    rate: Proportion | None = None
    if passed + failed:
        rate = proportion(codes[codes >= FAILED].astype(np.float64), confidence=confidence)
    return CheckRate(
        passed=passed,
        failed=failed,
        missing=int((codes == MISSING).sum()),
        pass_rate=rate.value if rate else None,
        interval=rate.interval if rate else None,
    )


def _difference(codes: Codes, control: Codes, confidence: float) -> CheckDifference:
    scores = paired_scores(codes, control)
    found = proportion(scores, confidence=confidence) if len(scores) else None
    return CheckDifference(
        difference=to_difference(found.value) if found else None,
        interval=(to_difference(found.low), to_difference(found.high)) if found else None,
        cases=len(scores),
        only_variant=int((scores == 1).sum()),
        only_control=int((scores == 0).sum()),
    )
