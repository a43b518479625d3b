"""One axis of a rubric: the judge's scores against people's on the same answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.calibration_readout import (
    AuditedTask,
    Confusion,
    Measure,
    PoweredValue,
    TaskKind,
)
from promptarena.evaluation.calibration.measures import (
    bias_of_each,
    coefficient_measure,
    share_measure,
    with_gaps,
)
from promptarena.evaluation.calibration.policy import Policy, judged_by
from promptarena.evaluation.calibration.powered import powered_value
from promptarena.evaluation.calibration.ratings import Rating
from promptarena.stats.agreement import cohen_kappa, krippendorff_alpha
from promptarena.stats.judge_audit import bias_by_variant
from promptarena.stats.proportions import proportion

__all__ = ["audit_axis"]

Answer: TypeAlias = tuple[str, str]
"""Case and variant."""
Vector = NDArray[np.float64]

_LEAST_ITEMS: Final = 5
"""Of fewer answers a coefficient says nothing."""
_MOST_LEVELS: Final = 12
"""Beyond so many different scores a table of them is not read."""


def audit_axis(
    axis: str, judge: Sequence[Rating], people: Sequence[Rating], policy: Policy
) -> AuditedTask | None:
    """Hold the judge's scores on an axis against people's.

    An answer that several people scored counts with their mean; one that the judge scored more than once
    likewise.

    Returns:
        `None` where nobody scored anything.
    """
    if not people:
        return None
    judged, labelled = _means(judge), _means(people)
    both = [answer for answer in labelled if answer in judged]
    said = np.array([judged[answer] for answer in both])
    human = np.array([labelled[answer] for answer in both])
    cases = np.array([case for case, _ in both])
    variants = np.array([variant for _, variant in both])
    near = proportion(np.abs(said - human) <= policy.within + 1e-9, cases) if both else None
    agreement = share_measure(
        "agreement", near, f"share of answers that the judge scores within {policy.within:g} of people's mean"
    )
    bias = bias_by_variant(said, human, variants, cases, confidence=policy.confidence) if both else None
    p_value = bias.p_value if bias is not None else None
    trust, reasons = judged_by(policy, axis, agreement, p_value)
    return AuditedTask(
        name=axis,
        kind=TaskKind.AXIS,
        trust=str(trust),
        reasons=reasons,
        threshold=policy.threshold,
        agreement=agreement,
        others=tuple(_others(said, human, cases, people, policy)),
        confusion=_confusion(human, said),
        bias=bias_of_each(bias),
        bias_p_value=p_value,
        powered=tuple(_powered(judged, labelled, _probabilities(people), policy)),
        raters=tuple(dict.fromkeys(rating.rater for rating in people if rating.rater)),
        unjudged=len(labelled) - len(both),
    )


def _means(ratings: Iterable[Rating]) -> dict[Answer, float]:
    values: defaultdict[Answer, list[float]] = defaultdict(list)
    for rating in ratings:
        values[rating.case, rating.variant].append(rating.value)
    return {answer: float(np.mean(scores)) for answer, scores in values.items()}


def _probabilities(people: Iterable[Rating]) -> dict[Answer, float]:
    return {(each.case, each.variant): each.probability for each in people if each.probability is not None}


def _others(
    said: Vector, human: Vector, cases: NDArray[Any], people: Sequence[Rating], policy: Policy
) -> Iterable[Measure]:
    levels = [np.rint(values).astype(np.int64) for values in (said, human)]
    if len(said) >= _LEAST_ITEMS and len(np.unique(np.concatenate(levels))) > 1:
        kappa = cohen_kappa(levels[0], levels[1], cases, weights="quadratic", confidence=policy.confidence)
        yield coefficient_measure(
            "kappa", kappa, "Cohen's kappa, quadratic weights: agreement beyond chance, near misses counting"
        )
    # Who said what does not matter here, and people without a name are not one person.
    by_answer: defaultdict[Answer, list[float]] = defaultdict(list)
    for rating in people:
        by_answer[rating.case, rating.variant].append(rating.value)
    pairs = [
        (abs(one - other) <= policy.within + 1e-9, case)
        for (case, _), scores in by_answer.items()
        for one, other in combinations(scores, 2)
    ]
    if not pairs:
        return
    found = proportion([near for near, _ in pairs], [case for _, case in pairs])
    yield share_measure(
        "people",
        found,
        f"share of pairs of people who score an answer within {policy.within:g} of each other",
    )
    several = with_gaps([scores for scores in by_answer.values() if len(scores) >= 2])
    if len(several) >= 2 and len(np.unique(several[~np.isnan(several)])) > 1:
        alpha = krippendorff_alpha(several, level="interval", confidence=policy.confidence)
        yield coefficient_measure(
            "alpha", alpha, "Krippendorff's alpha of the people, by squared differences"
        )


def _confusion(human: Vector, said: Vector) -> Confusion:
    rows, columns = np.rint(human).astype(np.int64), np.rint(said).astype(np.int64)
    levels = np.unique(np.concatenate([rows, columns]))
    if len(levels) > _MOST_LEVELS:
        return Confusion(labels=(), counts=())
    counts = np.zeros((len(levels), len(levels)), dtype=np.int64)
    np.add.at(counts, (np.searchsorted(levels, rows), np.searchsorted(levels, columns)), 1)
    return Confusion(labels=tuple(str(level) for level in levels), counts=tuple(map(tuple, counts.tolist())))


def _powered(
    judged: Mapping[Answer, float],
    labelled: Mapping[Answer, float],
    probabilities: Mapping[Answer, float],
    policy: Policy,
) -> Iterable[PoweredValue]:
    """Each variant's mean, and each treatment's difference from the control over the cases of both."""
    variants = sorted({variant for _, variant in judged}, key=lambda name: (name != policy.control, name))
    for variant in variants:
        found = powered_value(
            variant,
            None,
            {case: score for (case, name), score in judged.items() if name == variant},
            {case: score for (case, name), score in labelled.items() if name == variant},
            {case: p for (case, name), p in probabilities.items() if name == variant},
            policy.confidence,
        )
        if found is not None:
            yield found
    if policy.control not in variants:
        return
    for variant in variants[1:]:
        found = powered_value(
            variant,
            policy.control,
            _differences(judged, variant, policy.control),
            _differences(labelled, variant, policy.control),
            {},
            policy.confidence,
        )
        if found is not None:
            yield found


def _differences(scores: Mapping[Answer, float], variant: str, control: str | None) -> dict[str, float]:
    return {
        case: score - scores[case, str(control)]
        for (case, name), score in scores.items()
        if name == variant and (case, control) in scores
    }
