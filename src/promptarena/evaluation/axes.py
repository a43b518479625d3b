"""What rubric scores say: each variant's mean on an axis, and paired differences from the control."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.duel_readout import AxisDifference, AxisMean, AxisReadout
from promptarena.definitions.readout import Interval
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.scores import AxisScores
from promptarena.stats.clustered_mean import clustered_mean, variance_parts
from promptarena.stats.effects import Effect, Estimate, critical

__all__ = ["axis_readout", "difference_of", "interval_of", "two_sided_p"]

Scores = NDArray[np.float64]


def axis_readout(scores: AxisScores, frame: CaseFrame, control: str | None, confidence: float) -> AxisReadout:
    """One axis over all variants.

    A case's score is the mean of its scored repeats, so repeats make it more exact and never count as cases.
    """
    return AxisReadout(
        name=scores.axis,
        low=scores.low,
        high=scores.high,
        means={name: _mean(scores, name, frame, confidence) for name in scores.values},
        differences={
            name: _difference(scores, name, control, frame, confidence)
            for name in scores.values
            if control is not None and name != control
        },
    )


def difference_of(values: Scores, frame: CaseFrame) -> tuple[Estimate | None, str | None]:
    """The mean of case values with its clustered error; NaN is left out.

    Args:
        values: shape (cases,).
        frame: their clusters and weights.

    Returns:
        None where no case has a value; and why its error is not known, if it is not: it is then zero, and the
        estimate's degrees of freedom are 0.
    """
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return None, "no case has a score of both"
    weights = frame.weight_of(known)
    clusters = frame.cluster_of(known)
    if len(np.unique(clusters)) < 2:
        mean = float(np.average(values[known], weights=weights))
        return Estimate(mean, 0.0, 0, len(known)), "an error needs two independent cases or more"
    found = clustered_mean(values[known], clusters, weights)
    if found.variance <= 1e-24:
        return (
            Estimate(found.value, 0.0, 0, found.n),
            "all cases agree exactly, so their spread is not known",
        )
    return found, None


def interval_of(found: Estimate, confidence: float, low: float, high: float) -> Interval | None:
    """Student's interval, within what the scale allows; None where the error is not known."""
    if found.df < 1:
        return None
    reach = critical(1 - confidence, found.df) * found.variance**0.5
    return max(found.value - reach, low), min(found.value + reach, high)


def _mean(scores: AxisScores, variant: str, frame: CaseFrame, confidence: float) -> AxisMean:
    found, _ = difference_of(scores.means(variant), frame)
    return AxisMean(
        mean=found.value if found else None,
        interval=interval_of(found, confidence, scores.low, scores.high) if found else None,
        cases=found.n if found else 0,
        unscored=scores.unscored(variant),
    )


def _difference(
    scores: AxisScores, variant: str, control: str, frame: CaseFrame, confidence: float
) -> AxisDifference:
    one, other = scores.means(variant), scores.means(control)
    values = one - other
    found, note = difference_of(values, frame)
    reach = scores.high - scores.low
    interval = interval_of(found, confidence, -reach, reach) if found else None
    between, within = _parts(scores, variant, control)
    return AxisDifference(
        difference=found.value if found else None,
        interval=interval,
        p_value=two_sided_p(found) if found and interval is not None else None,
        cases=found.n if found else 0,
        better=int((values > 0).sum()),
        worse=int((values < 0).sum()),
        missing=int(np.isnan(values).sum()),
        between_variance=between,
        repeat_variance=within,
        note=note,
    )


def two_sided_p(found: Estimate) -> float:
    """Two-sided p-value of no difference, by Student's t."""
    return Effect(Estimate(0.0, 0.0, found.df, found.n), found, own_df=found.df).p_value()


def _parts(scores: AxisScores, variant: str, control: str) -> tuple[float | None, float | None]:
    """Variance of the cases' true differences, and of one repeat's difference about its case's true one.

    Repeats of two variants are no pairs: each adds its own noise to a case's difference.
    """
    values = scores.means(variant) - scores.means(control)
    known = ~np.isnan(values)
    noise, within, repeated = 0.0, 0.0, False
    for name in (variant, control):
        parts = variance_parts(scores.known(name))
        if parts is not None:
            repeated = True
            within += parts.within
            noise += parts.within * float((1 / scores.scored[name][known].sum(axis=1)).mean())
    if not repeated or known.sum() < 2:
        return None, None
    return max(float(values[known].var(ddof=1)) - noise, 0.0), within
