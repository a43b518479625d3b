"""Where an experiment stands, in words for people and fields for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from promptarena.assignment.layers import Slot
from promptarena.definitions.clock import Clock
from promptarena.definitions.course import Status
from promptarena.definitions.rollout_plan import Stage
from promptarena.rollout.lifecycle import definition_of, known_standing
from promptarena.rollout.objections import time_in_stage
from promptarena.rollout.stages import (
    declared_gate,
    declared_length,
    declared_traffic,
    following,
    taken_stages,
)
from promptarena.storage.registry.records import BaselineRecord, Standing, TransitionRecord
from promptarena.storage.registry.registry import Registry

__all__ = ["ExperimentStatus", "statuses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentStatus:
    """One experiment."""

    experiment: str
    feature: str
    status: Status
    stage: str
    traffic: float
    """Share of the slot's units that are enrolled (canary, ab), of requests (shadow), or none (offline)."""
    since: datetime
    """Of the last transition."""
    actor: str
    reason: str | None
    started: datetime
    unit: str
    weights: dict[str, float]
    epoch: int
    slot: float
    """Share of the feature's units that it may meet."""
    definition_hash: str
    revision: int
    """How often it was amended."""
    baseline_version: int
    """Of the feature, as the control is."""
    present_baseline_version: int
    shipped: str | None
    next: str
    """What may come next."""


def statuses(registry: Registry, clock: Clock, name: str | None = None) -> tuple[ExperimentStatus, ...]:
    """One experiment, or all of them: those that run first, then those that have ended.

    Raises:
        UsageError: no experiment of that name was started.
        StorageError: the registry cannot be read.
    """
    found = registry.standings() if name is None else (known_standing(registry, name),)
    found = tuple(sorted(found, key=lambda standing: standing.last.status.ended))
    return tuple(_status(registry, standing, clock.now()) for standing in found)


def _status(registry: Registry, standing: Standing, now: datetime) -> ExperimentStatus:
    definition, last = definition_of(standing), standing.last
    history = registry.history(standing.experiment.name)
    present: BaselineRecord = registry.baselines(definition.feature)[-1]
    return ExperimentStatus(
        experiment=definition.name,
        feature=definition.feature,
        status=last.status,
        stage=last.stage,
        traffic=last.traffic,
        since=last.at,
        actor=last.actor,
        reason=last.reason,
        started=history[0].at,
        unit=definition.unit,
        weights=standing.allocation.weights,
        epoch=standing.allocation.epoch,
        slot=Slot(standing.slot.ranges).share,
        definition_hash=standing.experiment.definition_hash,
        revision=standing.definition.revision,
        baseline_version=standing.experiment.baseline_version,
        present_baseline_version=present.version,
        shipped=last.variant,
        next=_next(last, definition.rollout, history, now),
    )


def _next(
    last: TransitionRecord,
    rollout: Sequence[Stage] | None,
    history: Sequence[TransitionRecord],
    now: datetime,
) -> str:
    match last.status:
        case Status.PAUSED:
            return "resume, rollback or stop"
        case Status.ROLLED_BACK:
            return "stop, which frees its units"
        case Status.STOPPED:
            return "nothing: it has ended"
        case Status.SHIPPED:
            return "nothing: it has ended; `arena revert` goes back to the baseline before"
        case Status.RUNNING:
            pass
    stage = next(taken for taken in taken_stages(rollout) if taken.stage == last.stage)
    coming = following(rollout, last.stage)
    if coming is None:
        return "ship once a readout says so, or stop"
    traffic = f" ({declared_traffic(coming) * 100:g}%)" if declared_traffic(coming) else ""
    conditions = ["once its gate passes"] if declared_gate(stage) else []
    left = declared_length(stage) - time_in_stage(stage.stage, history, now)
    if left.total_seconds() > 0:
        conditions.append(f"from {now + left:%Y-%m-%d %H:%M} UTC on")
    return " ".join([f"ramp to {coming.stage}{traffic}", *conditions])
