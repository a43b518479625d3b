"""No unit changes its variant: not by ramps, halts, restarts, other nodes, or other experiments' comings and goings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.assignment.experiments import configuration, definition, running

from promptarena.assignment.allocation import Allocation
from promptarena.assignment.assigned import Reason
from promptarena.assignment.layers import Slot, free_slot
from promptarena.assignment.pins import CachedPins, MemoryPins
from promptarena.assignment.router import Router
from promptarena.assignment.running import RunningExperiment, Serving, check_succession

_ROOT = Path(__file__).resolve().parents[2]
IDS = [f"user-{number}" for number in range(60)]
THREE = {"control": 0.4, "brief": 0.2, "warm": 0.4}


class Fleet(RuleBasedStateMachine):
    """Nodes that are restarted and reconfigured at any time, each asked for any unit."""

    adaptive = False

    @initialize(traffic=st.floats(0, 1), share=st.sampled_from([0.2, 0.5, 1.0]))
    def start(self, traffic: float, share: float) -> None:
        self.first: dict[str, tuple[Any, ...]] = {}
        self.others: dict[str, RunningExperiment] = {}
        self.pins = MemoryPins()
        self.running = running(
            definition("cite", THREE), traffic, adaptive=self.adaptive, slot=free_slot(share, [])
        )
        self.nodes = [self._node() for _ in range(3)]

    def _node(self) -> Router:
        return Router(configuration(self.running, *self.others.values()), CachedPins(self.pins, capacity=7))

    def _become(self, **changes: Any) -> None:
        now = replace(self.running, **changes)
        check_succession([self.running], [now])
        self.running = now

    @rule(traffic=st.floats(0, 1))
    def ramp(self, traffic: float) -> None:
        self._become(traffic=max(self.running.traffic, traffic), stage="ab")

    @rule(serving=st.sampled_from(Serving))
    def halt_or_resume(self, serving: Serving) -> None:
        self._become(serving=serving)

    @precondition(lambda self: self.running.slot.share < 1)
    @rule(name=st.sampled_from(["shorten", "warm-up"]), share=st.sampled_from([0.1, 0.4]))
    def another_experiment(self, name: str, share: float) -> None:
        if self.others.pop(name, None) is None:
            taken: list[Slot] = [self.running.slot, *(other.slot for other in self.others.values())]
            if sum(slot.share for slot in taken) + share <= 1:
                self.others[name] = running(definition(name), slot=free_slot(share, taken))

    @rule(at=st.integers(0, 2))
    def restart(self, at: int) -> None:
        self.nodes[at] = self._node()

    @rule(at=st.integers(0, 2))
    def obey(self, at: int) -> None:
        """Late or early: nodes may be of several minds for a while."""
        self.nodes[at].swap(configuration(self.running, *self.others.values()))

    @rule(at=st.integers(0, 2), unit=st.sampled_from(IDS))
    def assign(self, at: int, unit: str) -> None:
        it = self.nodes[at].assign("support-bot", {"conversation": unit})
        if it.experiment != "cite" or it.variant is None:
            return
        said = it.variant, it.epoch, it.propensity
        assert self.first.setdefault(unit, said) == said
        assert it.served == (it.variant if it.reason is Reason.ENROLLED else "control")

    @invariant()
    def whoever_was_enrolled_is_so_on_a_node_that_is_up_to_date(self) -> None:
        node = self._node()
        for unit, said in getattr(self, "first", {}).items():
            it = node.peek("support-bot", {"conversation": unit})
            assert it.reason in (Reason.ENROLLED, Reason.PAUSED, Reason.ROLLED_BACK)
            if it.variant is not None:
                assert (it.variant, it.epoch, it.propensity) == said


class BanditFleet(Fleet):
    """The same while weights change."""

    adaptive = True

    @rule(treated=st.floats(0.05, 0.9))
    def reweight(self, treated: float) -> None:
        weights = {"control": 0.95 - treated, "brief": 0.05, "warm": treated}
        self._become(allocation=Allocation(weights, self.running.allocation.epoch + 1))


@pytest.mark.parametrize("machine", [Fleet, BanditFleet])
@pytest.mark.parametrize(
    ("stories", "steps"),
    [(30, 40), pytest.param(300, 60, marks=[pytest.mark.slow, pytest.mark.soak], id="at length")],
)
def test_no_unit_changes_its_variant_whatever_happens_to_the_fleet(
    machine: type[Fleet], stories: int, steps: int
) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=stories, stateful_step_count=steps, deadline=None)
    )


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_another_process_of_any_hash_seed_assigns_the_same(seed: str) -> None:
    code = """
import json
from promptarena.assignment.router import Router
from tests.assignment.experiments import configuration, definition, running
router = Router(configuration(running(definition("cite", {"warm": 0.4, "control": 0.4, "brief": 0.2}), 0.5)))
print(json.dumps([router.assign("support-bot", {"conversation": str(n)}).variant for n in range(500)]))
"""
    environment = os.environ | {"PYTHONHASHSEED": seed}
    answer = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment, cwd=_ROOT
    )
    router = Router(
        configuration(running(definition("cite", {"warm": 0.4, "control": 0.4, "brief": 0.2}), 0.5))
    )
    assert json.loads(answer.stdout) == [
        router.assign("support-bot", {"conversation": str(number)}).variant for number in range(500)
    ]


def test_a_wider_enrolment_only_adds_units() -> None:
    shares = [0.0, 1e-3, 0.01, 0.05, 0.1, 0.100001, 1 / 3, 0.5, 0.999, 1.0]
    enrolled: set[str] = set()
    for share in shares:
        router = Router(configuration(running(traffic=share)))
        now = {u for u in map(str, range(3000)) if router.assign("support-bot", {"conversation": u}).variant}
        assert enrolled <= now
        enrolled = now
    assert len(enrolled) == 3000
