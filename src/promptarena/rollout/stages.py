"""The stages of a rollout that are not left out, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from promptarena.definitions.gate_rule import GateRule
from promptarena.definitions.rollout_plan import (
    AbStage,
    CanaryStage,
    OfflineStage,
    ShadowStage,
    SkippedStage,
    Stage,
)

__all__ = [
    "ENROLLING",
    "TakenStage",
    "declared_gate",
    "declared_length",
    "declared_traffic",
    "following",
    "taken_stages",
]

TakenStage = OfflineStage | ShadowStage | CanaryStage | AbStage

ENROLLING: Final = ("canary", "ab")
"""Stages whose traffic is a share of units that are enrolled; the shadow's is a share of requests."""


def taken_stages(rollout: Sequence[Stage] | None) -> tuple[TakenStage, ...]:
    """The stages that an experiment goes through."""
    return tuple(stage for stage in rollout or () if not isinstance(stage, SkippedStage))


def following(rollout: Sequence[Stage] | None, stage: str) -> TakenStage | None:
    """The stage after one; `None` if it is the last."""
    names: list[str] = [taken.stage for taken in taken_stages(rollout)]
    after = taken_stages(rollout)[names.index(stage) + 1 :]
    return after[0] if after else None


def declared_traffic(stage: TakenStage) -> float:
    """The share that a stage is to have; none offline."""
    return 0.0 if isinstance(stage, OfflineStage) else stage.traffic


def declared_length(stage: TakenStage) -> timedelta:
    """How long a stage is to run before the next one; no time where nothing is said."""
    return timedelta(0) if isinstance(stage, OfflineStage) else stage.lasts or timedelta(0)


def declared_gate(stage: TakenStage) -> GateRule | None:
    """What is to be passed before the next stage."""
    return stage.gate if isinstance(stage, OfflineStage) else None
