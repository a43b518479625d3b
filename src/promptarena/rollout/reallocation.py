"""One step of a bandit: rewards from the log, weights by the rule, a new epoch in the registry."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.rewards import Rewards, read_rewards, reward_metric
from promptarena.definitions.clock import Clock
from promptarena.definitions.course import Move, Status
from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.experiment import Experiment
from promptarena.errors import UsageError
from promptarena.rollout.allocator import NextAllocation, next_allocation
from promptarena.rollout.lifecycle import definition_of, known_standing
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.records import AllocationRecord, Change, Standing, TransitionRecord
from promptarena.storage.registry.registry import Registry
from promptarena.storage.warehouse import Warehouse

__all__ = ["Reallocated", "reallocate"]

_STAGE: Final = "ab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reallocated:
    """What one step did."""

    experiment: str
    epoch: int
    """The one that holds now."""
    begun: bool
    """Whether it began just now."""
    reason: str
    """Why, in words: as `arena history` tells it."""
    found: NextAllocation | None
    """What the rule says; `None` where it was too early to ask."""


def reallocate(registry: Registry, log: LogReader, name: str, clock: Clock, actor: str) -> Reallocated:
    """Move a bandit's weights to where its rewards say, if it is time and they say anything new.

    The new epoch and the transition that tells of it are one write, which fails if anything has happened to
    the experiment meanwhile. Units that were met before keep their variant.

    Raises:
        UsageError: it was never started, its weights are fixed, or it does not run in stage `ab`.
        StaleWriteError: somebody else was first.
        StorageError: the registry or the log cannot be read, or the epoch cannot be written.
        DataError: the log holds what cannot be read.
    """
    standing, now = known_standing(registry, name), clock.now()
    definition = definition_of(standing)
    if (bandit := definition.allocation) is None:
        raise UsageError(
            f"The weights of `{name}` are fixed.",
            hint="Weights that follow the outcomes are declared before the start: `allocation: thompson`.",
        )
    last, present = standing.last, standing.allocation
    if last.status is not Status.RUNNING or last.stage != _STAGE:
        raise UsageError(
            f"`{name}` is {last.status.value.replace('-', ' ')} in `{last.stage}`; weights move while it "
            f"runs in `{_STAGE}`."
        )
    due = present.at + bandit.update
    if present.epoch > 0 and now < due:
        reason = (
            f"the weights moved at {present.at:%Y-%m-%d %H:%M} UTC and move again from {due:%H:%M} UTC on"
        )
        return Reallocated(experiment=name, epoch=present.epoch, begun=False, reason=reason, found=None)
    started = registry.history(name)[0].at
    rewards = _rewards(definition, log, now, started)
    weights = {variant: present.weights[variant] for variant in definition.weights}
    found = next_allocation(bandit, reward_metric(definition), rewards, weights)
    if not found.moves:
        reason = _burning_in(found, bandit.burn_in) if found.burning_in else "no weight would move by a point"
        return Reallocated(experiment=name, epoch=present.epoch, begun=False, reason=reason, found=found)
    change = _change(standing, found, now, actor)
    registry.commit(change)
    return Reallocated(
        experiment=name,
        epoch=present.epoch + 1,
        begun=True,
        reason=str(change.transition.reason),
        found=found,
    )


def _rewards(definition: Experiment, log: LogReader, now: datetime, started: datetime) -> Rewards:
    with Warehouse(ordered=False) as warehouse:
        tables = EventTables.of_snapshot(
            warehouse.connection,
            log.snapshot(),
            since=started.astimezone(UTC).date() - timedelta(days=1),
            until=now.astimezone(UTC).date(),
        )
        return read_rewards(definition, tables, as_of=now, started=started)


def _change(standing: Standing, found: NextAllocation, now: datetime, actor: str) -> Change:
    last, epoch = standing.last, standing.allocation.epoch + 1
    transition = TransitionRecord(
        id=new_event_id(now),
        experiment=standing.experiment.name,
        number=last.number + 1,
        at=now,
        actor=actor,
        move=Move.REALLOCATE,
        reason=f"epoch {epoch} by {found.reward}: {_arms(found)}",
        evidence={"kind": "rewards", "epoch": epoch, **asdict(found)},
        status=last.status,
        stage=last.stage,
        traffic=last.traffic,
        revision=last.revision,
    )
    allocation = AllocationRecord(
        experiment=standing.experiment.name, epoch=epoch, weights=found.weights, at=now
    )
    return Change(transition=transition, allocation=allocation)


def _arms(found: NextAllocation) -> str:
    """
    >>> from promptarena.rollout.allocator import ArmReward
    >>> arm = ArmReward(units=210, mean=0.3, probability_best=0.046, before=0.5, weight=0.1)
    >>> _arms(NextAllocation(reward="ok", arms={"control": arm}, burning_in=False, moves=True))
    'control 50% -> 10% (best with 4.6%, 210 units)'
    """
    told = []
    for name, arm in found.arms.items():
        chance = "" if arm.probability_best is None else f"best with {arm.probability_best:.1%}, "
        told.append(
            f"{name} {arm.before * 100:.4g}% -> {arm.weight * 100:.4g}% ({chance}{arm.units:,} units)"
        )
    return ", ".join(told)


def _burning_in(found: NextAllocation, burn_in: int) -> str:
    fewest = min(found.arms, key=lambda name: found.arms[name].units)
    units = found.arms[fewest].units
    return f"burning in: {fewest} has {units:,} of {burn_in:,} units with a reward, and weights stay equal"
