"""What speaks against a transition but may be overruled by a person, who then is on record with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from promptarena.definitions.course import Status
from promptarena.definitions.rollout_plan import Stage
from promptarena.rollout.evidence import Evidence
from promptarena.rollout.stages import declared_gate, declared_length, taken_stages
from promptarena.storage.registry.records import BaselineRecord, TransitionRecord

__all__ = ["against_leaving", "against_shipping", "time_in_stage"]


def against_leaving(
    stage: str,
    rollout: Sequence[Stage] | None,
    history: Sequence[TransitionRecord],
    evidence: Evidence | None,
    now: datetime,
) -> Iterator[str]:
    """What speaks against going on from a stage: a gate that is not known to pass, too short a time."""
    left = next(taken for taken in taken_stages(rollout) if taken.stage == stage)
    if declared_gate(left) is not None:
        if evidence is None or evidence.kind != "gate":
            yield f"`{stage}` has a gate, and no gate's result was given (--evidence FILE)."
        elif evidence.status != "pass":
            reasons = " ".join(evidence.reasons)
            yield f"The gate of `{stage}` says `{evidence.status}`. {reasons}".rstrip()
    lasted, wanted = time_in_stage(stage, history, now), declared_length(left)
    if lasted < wanted:
        yield (
            f"`{stage}` is to run for {_written(wanted)} and has run for {_written(lasted)}; "
            f"{_written(wanted - lasted)} are left."
        )


def against_shipping(
    experiment: str,
    variant: str,
    evidence: Evidence | None,
    measured_against: int,
    present: BaselineRecord,
) -> Iterator[str]:
    """What speaks against making a treatment the baseline.

    Args:
        experiment: its name.
        variant: the treatment.
        evidence: a readout.
        measured_against: the version of the baseline that was the control.
        present: the feature's baseline now.
    """
    if evidence is None or evidence.kind != "verdict":
        yield "No readout with a verdict was given (--evidence FILE)."
    else:
        if evidence.about != experiment:
            yield f"The readout is of `{evidence.about}`, not of `{experiment}`."
        if evidence.preregistered is False:
            yield "The readout was not preregistered: it was made from flags, not from the definition."
        if not evidence.says_ship(variant):
            verdict = (evidence.variants or {}).get(variant, evidence.status)
            reasons = " ".join(evidence.reasons)
            yield f"The verdict on `{variant}` is `{verdict}`. {reasons}".rstrip()
    if (present.restores or present.version) != measured_against:
        yield (
            f"`{variant}` was measured against version {measured_against} of the baseline of "
            f"`{present.feature}`, which is at version {present.version} now ({present.origin} by "
            f"{present.actor}, {present.at:%Y-%m-%d}); shipping would take that back unmeasured."
        )


def time_in_stage(stage: str, history: Sequence[TransitionRecord], now: datetime) -> timedelta:
    """How long an experiment has run in a stage; pauses do not count."""
    ends = [*(step.at for step in history[1:]), now]
    spans = (
        end - step.at
        for step, end in zip(history, ends, strict=True)
        if step.stage == stage and step.status is Status.RUNNING
    )
    return sum(spans, timedelta(0))


def _written(duration: timedelta) -> str:
    """
    >>> _written(timedelta(days=1, hours=2)), _written(timedelta(seconds=90)), _written(timedelta(0))
    ('1 d 2 h', '1 min 30 s', '0 s')
    """
    seconds = max(int(duration.total_seconds()), 0)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
