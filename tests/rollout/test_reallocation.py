"""One step of a bandit: rewards whose time has passed, weights by the rule, an epoch that nobody overwrites."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.rollout.bandits import EXPERIMENT, BanditTrial

from promptarena.definitions.course import Move
from promptarena.definitions.project import load_project
from promptarena.errors import StaleWriteError, UsageError
from promptarena.rollout.reallocation import reallocate
from promptarena.sdk.client import Arena
from promptarena.stats.posteriors import BetaPosterior, probability_best
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.address import registry_address
from promptarena.storage.registry.registry import Registry, open_registry
from promptarena.storage.snapshot import Snapshot
from promptarena.wiring import log_folder


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(registry_address(None, tmp_path, {})) as opened:
        yield opened


@pytest.fixture
def trial(tmp_path: Path, registry: Registry) -> BanditTrial:
    return BanditTrial(tmp_path, registry)


def test_traffic_follows_the_rewards_and_who_was_met_before_stays(trial: BanditTrial) -> None:
    trial.come(control=0.3, treatment=0.7)
    waiting = trial.step()
    assert not waiting.begun
    assert "burning in" in waiting.reason
    trial.come(control=0.3, treatment=0.7)
    done = trial.step()
    assert (done.begun, done.epoch) == (True, 1)
    assert done.found is not None
    assert done.found.weights == {"control": 0.1, "treatment": 0.9}
    [first, second] = trial.registry.allocations("cites")
    assert (first.weights, second.weights) == ({"control": 0.5, "treatment": 0.5}, done.found.weights)
    before = dict(trial.met)
    moved = trial.come(300, control=0.3, treatment=0.7)
    assert 0.84 <= moved["treatment"] / 300 <= 0.96
    with Arena.local(trial.folder, clock=trial.clock, maintain=False) as arena:
        again = [arena.assign("support-bot", {"conversation": name}) for name in before]
    assert [each.variant for each in again] == list(before.values())
    # Of who was met before, epoch and propensity are those of his first assignment.
    assert {(each.epoch, each.propensity) for each in again} == {(0, 0.5)}


def test_the_weights_are_those_of_the_rule_on_the_rewards_that_are_known(trial: BanditTrial) -> None:
    trial.come(400, control=0.45, treatment=0.5)
    found = trial.step().found
    assert found is not None
    arms = []
    for name in ("control", "treatment"):
        met = [unit for unit, variant in trial.met.items() if variant == name]
        arm = found.arms[name]
        assert arm.units == len(met)
        assert arm.mean is not None
        arms.append(BetaPosterior.prior().updated(round(arm.mean * arm.units), arm.units))
    chances = probability_best(arms)
    assert [arm.probability_best for arm in found.arms.values()] == pytest.approx(chances)
    assert list(found.weights.values()) == pytest.approx(chances, abs=1e-4)


def test_a_reward_counts_once_its_time_has_passed_and_not_before(tmp_path: Path, registry: Registry) -> None:
    trial = BanditTrial(tmp_path, registry, EXPERIMENT.replace("update: 12h", "update: 1m"))
    trial.come(300, control=0.5, treatment=0.5)
    # Three hundred more, whose six hours and the hour for late news have not passed.
    with Arena.local(trial.folder, clock=trial.clock, maintain=False) as arena:
        for i in range(300):
            arena.assign("support-bot", {"conversation": f"new{i}"})
            arena.measure("resolved", True, conversation=f"new{i}")
    trial.clock.advance(timedelta(hours=6, minutes=59))
    found = trial.step().found
    assert found is not None
    assert sum(arm.units for arm in found.arms.values()) == 300
    trial.clock.advance(timedelta(minutes=2))
    found = trial.step().found
    assert found is not None
    assert sum(arm.units for arm in found.arms.values()) == 600


def test_a_shorter_delay_learns_sooner(tmp_path: Path, registry: Registry) -> None:
    trial = BanditTrial(tmp_path, registry, EXPERIMENT.replace("update: 12h", "update: 12h, delay: 30m"))
    trial.come(300, control=1.0, treatment=1.0)
    found = trial.step().found
    assert found is not None
    # Everybody's outcome came after an hour: within half an hour nobody had one.
    assert [arm.mean for arm in found.arms.values()] == [0.0, 0.0]


def test_the_step_waits_for_its_time_and_for_a_change_that_matters(trial: BanditTrial) -> None:
    trial.come(300, control=0.2, treatment=0.8)
    assert trial.step().begun
    trial.clock.advance(timedelta(hours=11))
    early = trial.step()
    assert (early.begun, early.found) == (False, None)
    assert "move again from" in early.reason
    trial.clock.advance(timedelta(hours=2))
    same = trial.step()
    assert (same.begun, same.epoch) == (False, 1)
    assert same.reason == "no weight would move by a point"


def test_history_tells_the_epoch_and_its_reason(trial: BanditTrial) -> None:
    trial.come(300, control=0.2, treatment=0.8)
    trial.step()
    step = trial.registry.history("cites")[-1]
    assert (step.move, step.actor, step.stage) == (Move.REALLOCATE, "the allocator", "ab")
    assert str(step.reason).startswith("epoch 1 by resolution: control 50% -> 10% (best with 0.0%, ")
    assert step.evidence is not None
    assert step.evidence["arms"]["treatment"]["weight"] == 0.9


class _SlowReader(LogReader):
    """While it reads, somebody else takes the step."""

    def __init__(self, trial: BanditTrial) -> None:
        super().__init__(log_folder(load_project(trial.folder)), clock=trial.clock)
        self._trial = trial

    def snapshot(self) -> Snapshot:
        self._trial.step()
        return super().snapshot()


def test_of_two_allocators_the_second_writes_nothing(trial: BanditTrial) -> None:
    trial.come(300, control=0.2, treatment=0.8)
    with pytest.raises(StaleWriteError, match="reallocate by the allocator"):
        reallocate(trial.registry, _SlowReader(trial), "cites", trial.clock, "another")
    assert [record.epoch for record in trial.registry.allocations("cites")] == [0, 1]


def test_weights_that_are_fixed_or_at_rest_are_not_moved(tmp_path: Path, trial: BanditTrial) -> None:
    trial.lifecycle.pause("cites")
    with pytest.raises(UsageError, match="paused in `ab`"):
        trial.step()
    other = tmp_path / "other"
    other.mkdir()
    with open_registry(registry_address(None, other, {})) as registry:
        fixed = "\n".join(line for line in EXPERIMENT.splitlines() if not line.startswith("allocation"))
        with pytest.raises(UsageError, match="are fixed"):
            BanditTrial(other, registry, fixed).step()


def test_a_node_that_runs_takes_up_the_new_epoch_and_requests_need_no_pin(
    tmp_path: Path, registry: Registry
) -> None:
    trial = BanditTrial(tmp_path, registry, EXPERIMENT.replace("unit: conversation", "unit: request"))
    rng = random.Random(6)
    with Arena.local(tmp_path, clock=trial.clock, poll_s=0, maintain=False) as arena:
        for i in range(400):
            assigned = arena.assign("support-bot", request_id=f"r{i}")
            if rng.random() < (0.8 if assigned.variant == "treatment" else 0.3):
                arena.measure("resolved", True, request=assigned)
        arena.flush()
        trial.clock.advance(timedelta(hours=8))
        assert trial.step().begun
        before = arena.assign("support-bot", request_id="r1000")
        assert arena.refresh()
        after = [arena.assign("support-bot", request_id=f"r{i}") for i in range(1000, 1400)]
    assert (before.epoch, before.propensity) == (0, 0.5)
    assert {each.epoch for each in after} == {1}
    assert {(each.variant, each.propensity) for each in after} == {("control", 0.1), ("treatment", 0.9)}
    assert sum(each.variant == "treatment" for each in after) / 400 == pytest.approx(0.9, abs=0.05)
    assert registry.pins.find("cites", "r1") is None
