"""What labels on some cases and a judge's scores on all say together of one mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from promptarena.definitions.calibration_readout import PoweredValue
from promptarena.stats.prediction_powered import AuditMoments, prediction_powered_mean
from promptarena.stats.proportions import normal_quantile

__all__ = ["powered_value"]

_LEAST_LABELS: Final = 20
"""Fewer labelled cases tell too little of the judge's bias for a normal interval."""


def powered_value(
    variant: str,
    against: str | None,
    judged: Mapping[str, float],
    labelled: Mapping[str, float],
    probabilities: Mapping[str, float],
    confidence: float,
) -> PoweredValue | None:
    """The mean over all judged cases, by prediction-powered inference.

    Args:
        variant: whose it is.
        against: of a difference or a win rate, the control.
        judged: the judge's score, by case.
        labelled: people's, by case.
        probabilities: with which labelled cases were drawn, by case; used where every one of them says it.
        confidence: of the intervals.

    Returns:
        `None` with fewer than 20 labelled cases, or with nothing that the judge alone scored: the labels then
        say it all.
    """
    both = [case for case in labelled if case in judged]
    rest = [case for case in judged if case not in labelled]
    if len(both) < _LEAST_LABELS or not rest:
        return None
    drawn = [probabilities[case] for case in both if case in probabilities]
    audit = AuditMoments.from_records(
        [labelled[case] for case in both],
        [judged[case] for case in both],
        [judged[case] for case in rest],
        probabilities=drawn if len(drawn) == len(both) else None,
    )
    found = prediction_powered_mean(audit, confidence=confidence)
    half = normal_quantile(confidence) * found.labels_only_error
    return PoweredValue(
        variant=variant,
        against=against,
        value=found.value,
        interval=(found.low, found.high),
        labels_only=found.labels_only,
        labels_only_interval=(found.labels_only - half, found.labels_only + half),
        tuning=found.tuning[0],
        labelled=len(both),
        judged=len(rest),
    )
