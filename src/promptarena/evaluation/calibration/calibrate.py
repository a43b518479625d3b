"""A judge's calibration from files: its judgments, people's labels, and what is asked of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from promptarena.definitions.calibration_readout import AuditedTask, CalibrationReadout
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import NotEnoughDataError, UsageError
from promptarena.evaluation.calibration.axis_audit import audit_axis
from promptarena.evaluation.calibration.policy import Policy
from promptarena.evaluation.calibration.preference_audit import audit_preference
from promptarena.evaluation.calibration.ratings import Rating, read_ratings
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.judges import PREFERENCE
from promptarena.stats.judge_audit import Trust

__all__ = ["calibrate"]


def calibrate(
    judge: str,
    judgments: Path | Sequence[Rating],
    labels: Path,
    policy: Policy,
    *,
    evaluator_hash: str | None = None,
) -> CalibrationReadout:
    """Hold a judge against people, on every axis that both rated and on their preference.

    Args:
        judge: its name.
        judgments: its ratings, or a file of them (see `ratings`).
        labels: a file of people's.
        policy: what is asked of it.
        evaluator_hash: of its configuration, where that is known.

    Raises:
        DataError: every problem of the two files.
        UsageError: the control is no variant of them.
        NotEnoughDataError: people rated nothing that the judge was asked.
    """
    problems = DataProblems()
    said = read_ratings(judgments, problems) if isinstance(judgments, Path) else judgments
    people = read_ratings(labels, problems)
    problems.raise_any()
    _check_control(policy, [*said, *people])
    judged, labelled = _by_axis(said), _by_axis(people)
    tasks = tuple(
        task
        for axis in labelled
        if (task := _audit(axis, judged.get(axis, []), labelled[axis], policy)) is not None and axis in judged
    )
    if not tasks:
        raise NotEnoughDataError(
            f"People rated {listed(labelled)}, the judge {listed(judged)}: nothing in common to compare.",
            hint="The axes of both files go by the same names.",
        )
    enabled = all(task.trust == Trust.ENABLE for task in tasks)
    return CalibrationReadout(
        judge=judge,
        evaluator_hash=evaluator_hash,
        trust=str(Trust.ENABLE if enabled else Trust.RECALIBRATE),
        confidence=policy.confidence,
        control=policy.control,
        tasks=tasks,
        notes=tuple(_notes(judged, labelled)),
    )


def _audit(
    axis: str, judge: Sequence[Rating], people: Sequence[Rating], policy: Policy
) -> AuditedTask | None:
    if axis == PREFERENCE:
        return audit_preference(judge, people, policy)
    return audit_axis(axis, judge, people, policy)


def _by_axis(ratings: Sequence[Rating]) -> dict[str, list[Rating]]:
    found: defaultdict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        found[rating.axis].append(rating)
    return dict(found)


def _check_control(policy: Policy, ratings: Sequence[Rating]) -> None:
    variants = {name for rating in ratings for name in (rating.variant, rating.against) if name}
    if policy.control is not None and policy.control not in variants:
        raise UsageError(
            f"There is no variant {policy.control!r} in the ratings; found: {listed(sorted(variants))}.",
            hint=did_you_mean(policy.control, variants),
        )


def _notes(judged: dict[str, list[Rating]], labelled: dict[str, list[Rating]]) -> Iterator[str]:
    if unlabelled := [axis for axis in judged if axis not in labelled]:
        yield f"Nobody labelled {listed(unlabelled)}: there the judge is unchecked."
    if unjudged := [axis for axis in labelled if axis not in judged]:
        yield f"The judge said nothing of {listed(unjudged)}, which people labelled."
