"""Records to write into registries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from promptarena.definitions.course import Move, Status
from promptarena.definitions.event_id import new_event_id
from promptarena.storage.registry.records import (
    AllocationRecord,
    BaselineRecord,
    Change,
    DefinitionRecord,
    ExperimentRecord,
    SlotRecord,
    TransitionRecord,
)

T0 = datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=UTC)


def step(number: int, *, experiment: str = "cites", **more: Any) -> TransitionRecord:
    said: dict[str, Any] = {
        "id": new_event_id(),
        "experiment": experiment,
        "number": number,
        "at": T0 + timedelta(hours=number),
        "actor": "anna",
        "move": Move.START if number == 0 else Move.RAMP,
        "status": Status.RUNNING,
        "stage": "canary",
        "traffic": 0.1,
        "revision": 0,
    }
    return TransitionRecord(**(said | more))


def baseline(version: int, *, feature: str = "support-bot", **more: Any) -> BaselineRecord:
    said: dict[str, Any] = {
        "feature": feature,
        "version": version,
        "settings": {"model": f"m{version}", "temperature": 0.3},
        "config_hash": f"hash-{version}",
        "origin": "file",
        "at": T0,
        "actor": "anna",
    }
    return BaselineRecord(**(said | more))


def start(
    experiment: str = "cites", *, feature: str = "support-bot", slot: int = 0, baselines: int = 1, **more: Any
) -> Change:
    return Change(
        transition=step(0, experiment=experiment, **more),
        experiment=ExperimentRecord(
            name=experiment, feature=feature, definition_hash="d" * 64, baseline_version=1
        ),
        definition=DefinitionRecord(
            experiment=experiment,
            revision=0,
            text="experiment: é\n",
            resolved={"name": experiment, "n": [1, 2.5]},
        ),
        allocation=AllocationRecord(
            experiment=experiment, epoch=0, weights={"control": 0.5, "treatment": 0.5}, at=T0
        ),
        slot=SlotRecord(
            feature=feature, number=slot, experiment=experiment, ranges=((0, 2_500), (7_500, 10_000))
        ),
        baselines=tuple(baseline(version, feature=feature) for version in range(1, baselines + 1)),
    )
