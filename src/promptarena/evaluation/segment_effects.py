"""Effects among parts of the cases: by segment and by tag, each adjusted over all that were tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from promptarena.definitions.duel_readout import SegmentEffect
from promptarena.evaluation.axes import difference_of, interval_of, two_sided_p
from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.scores import AxisScores
from promptarena.stats.multiplicity import benjamini_hochberg
from promptarena.stats.proportions import proportion

__all__ = ["segment_effects"]

Scores = NDArray[np.float64]

LEAST_TESTED: Final = 10
"""Cases below which a segment is shown, not tested."""
MOST_VALUES: Final = 50
"""Values of one dimension that are looked at, the most common ones; the rest are counted."""


def segment_effects(
    outcomes: Mapping[str, Scores],
    axes: Sequence[AxisScores],
    control: str,
    frame: CaseFrame,
    confidence: float,
) -> tuple[SegmentEffect, ...]:
    """Each treatment's win rate and differences by axis in every segment, p-values by Benjamini and Hochberg.

    All segments, dimensions, treatments and measures are one family: whoever looks at fifty numbers finds
    one.

    Args:
        outcomes: by treatment, shape (cases,): its scores against the control; empty without verdicts.
        axes: scores by axis.
        control: its name.
        frame: the cases.
        confidence: of the intervals, which are not adjusted.
    """
    found = [
        effect
        for dimension, values in frame.segments.items()
        for value, mask in _masks(values)
        for effect in (
            *_win_rates(dimension, value, mask, outcomes, frame, confidence),
            *_differences(dimension, value, mask, axes, control, frame, confidence),
        )
    ]
    tested = [at for at, effect in enumerate(found) if effect.p_value is not None]
    adjusted = benjamini_hochberg([found[at].p_value or 0.0 for at in tested])
    by_place = dict(zip(tested, adjusted.tolist(), strict=True))
    return tuple(effect.adjusted(by_place.get(at)) for at, effect in enumerate(found))


def _masks(values: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each value with its cases, the most common first."""
    counts = Counter(value for each in values for value in each)
    places: dict[str, list[int]] = {value: [] for value, _ in counts.most_common(MOST_VALUES)}
    for at, each in enumerate(values):
        for value in each:
            if value in places:
                places[value].append(at)
    for value, cases in places.items():
        mask = np.zeros(len(values), dtype=np.bool_)
        mask[cases] = True
        yield value, mask


def _win_rates(
    dimension: str,
    value: str,
    mask: NDArray[np.bool_],
    outcomes: Mapping[str, Scores],
    frame: CaseFrame,
    confidence: float,
) -> Iterator[SegmentEffect]:
    for treatment, scores in outcomes.items():
        known = np.flatnonzero(mask & ~np.isnan(scores))
        if not len(known):
            continue
        rate = proportion(
            scores[known], frame.cluster_of(known), frame.weight_of(known), confidence=confidence
        )
        p_value = None
        if rate.clusters >= LEAST_TESTED:
            # The score test whose inversion is the interval.
            z = abs(rate.value - 0.5) / (0.25 / rate.effective_n) ** 0.5
            p_value = 2 * float(ndtr(-z))
        yield SegmentEffect(
            dimension=dimension,
            value=value,
            variant=treatment,
            measure="win_rate",
            cases=len(known),
            effect=rate.value,
            interval=rate.interval,
            p_value=p_value,
            p_adjusted=None,
        )


def _differences(
    dimension: str,
    value: str,
    mask: NDArray[np.bool_],
    axes: Sequence[AxisScores],
    control: str,
    frame: CaseFrame,
    confidence: float,
) -> Iterator[SegmentEffect]:
    for scores in axes:
        for treatment in scores.values:
            if treatment == control:
                continue
            apart = np.where(mask, scores.means(treatment) - scores.means(control), np.nan)
            found, note = difference_of(apart, frame)
            if found is None:
                continue
            width = scores.high - scores.low
            tested = note is None and found.df + 1 >= LEAST_TESTED
            yield SegmentEffect(
                dimension=dimension,
                value=value,
                variant=treatment,
                measure=f"axis: {scores.axis}",
                cases=found.n,
                effect=found.value,
                interval=interval_of(found, confidence, -width, width),
                p_value=two_sided_p(found) if tested else None,
                p_adjusted=None,
            )
