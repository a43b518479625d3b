"""What the registry holds, as plain values. What may follow what is for `rollout` to say; here it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from promptarena.definitions.course import Move, Status

__all__ = [
    "AllocationRecord",
    "BaselineRecord",
    "Change",
    "DefinitionRecord",
    "ExperimentRecord",
    "LookRecord",
    "PinRecord",
    "SlotRecord",
    "Standing",
    "TransitionRecord",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRecord:
    """What of an experiment never changes."""

    name: str
    feature: str
    definition_hash: str
    """Of what is frozen at start."""
    baseline_version: int
    """The feature's baseline that its control was resolved from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionRecord:
    """A definition as it was written and as it was resolved; amendments make later revisions."""

    experiment: str
    revision: int
    """Counted from 0."""
    text: str
    resolved: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRecord:
    """One step of an experiment: who, when, why, on what evidence, and where it stands from then on."""

    id: str
    """A name of its own, so that a step that was written is recognised when it is sent again."""
    experiment: str
    number: int
    """Counted from 0; one more than that of the step it was decided on."""
    at: datetime
    actor: str
    move: Move
    reason: str | None = None
    evidence: dict[str, Any] | None = None
    overrides: tuple[str, ...] = ()
    """What spoke against it and was overruled."""
    status: Status
    stage: str
    traffic: float
    revision: int
    """Of the definition that holds from here on."""
    variant: str | None = None
    """The one that was shipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRecord:
    """Weights of the variants among the enrolled, for one epoch."""

    experiment: str
    epoch: int
    """Counted from 0; one more than that of the allocation before."""
    weights: dict[str, float]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRecord:
    """The places of its feature's layer that an experiment holds until it has ended."""

    feature: str
    number: int
    """Counted from 0; one more than that of the slot that was claimed before."""
    experiment: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRecord:
    """One version of a feature's baseline."""

    feature: str
    version: int
    """Counted from 1."""
    settings: dict[str, Any]
    config_hash: str
    origin: str
    """`file`: arena.yaml said so; `ship`: a treatment won; `revert`: an earlier version came back."""
    restores: int | None = None
    """The version that came back."""
    experiment: str | None = None
    variant: str | None = None
    """What was shipped."""
    at: datetime
    actor: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRecord:
    """One look as it was taken; events that come later never change it."""

    experiment: str
    number: int
    """Counted from 1."""
    at: datetime
    day: str | None
    """The last cohort day in it."""
    fraction: float
    """Information over the planned maximum."""
    units: int
    result: dict[str, Any]
    """Everything that was computed then: plain data, finite numbers."""


@dataclass(frozen=True, slots=True)
class PinRecord:
    """A unit's variant, and under which allocation it was given."""

    variant: str
    epoch: int
    propensity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an experiment stands."""

    experiment: ExperimentRecord
    definition: DefinitionRecord
    """The revision that holds now."""
    last: TransitionRecord
    allocation: AllocationRecord
    slot: SlotRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is written together with a transition, or not at all."""

    transition: TransitionRecord
    experiment: ExperimentRecord | None = None
    definition: DefinitionRecord | None = None
    allocation: AllocationRecord | None = None
    slot: SlotRecord | None = None
    baselines: tuple[BaselineRecord, ...] = ()
