"""From exposures and outcomes in a real log to a verdict; a look that was taken stays as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.project import load_project
from promptarena.definitions.readout import Readout, Status
from promptarena.errors import UsageError
from promptarena.rollout.experiment_readout import read_and_record
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.sdk.client import Arena
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.registry import Registry, open_registry
from promptarena.wiring import log_folder, registry_of

_ARENA = """
providers: {openai: {base_url: http://127.0.0.1:9/v1, key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: sim-small, system: Be helpful.}
"""
_EXPERIMENT = """
experiment: cites
feature: support-bot
unit: conversation
variants: {control: {}, treatment: {system: Cite the policy.}}
metrics: {resolution: {rate: resolved, window: 24h, better: higher}}
primary: resolution
design: {expected: 0.4, mde: 0.15, looks: [0.5, 1]}
segments: [tier]
rollout:
  - {stage: offline, skip: a test}
  - {stage: shadow, skip: a test}
  - {stage: canary, skip: a test}
  - {stage: ab, traffic: 100%}
"""
_START = datetime(2026, 3, 2, tzinfo=UTC)


class _Trial:
    """A project whose users arrive day by day on a clock that we hold."""

    def __init__(self, folder: Path, registry: Registry, clock: ManualClock) -> None:
        self.folder, self.registry, self.clock = folder, registry, clock
        self._random = random.Random(4)
        self._conversations = 0

    def days(self, count: int, *, a_day: int = 80, control: float = 0.4, treatment: float = 0.7) -> None:
        """Let users come; each conversation ends an hour after it began."""
        with Arena.local(self.folder, clock=self.clock, maintain=False) as arena:
            for _ in range(count):
                began = []
                for _ in range(a_day):
                    self._conversations += 1
                    name = f"c{self._conversations}"
                    tier = {"tier": "free" if self._conversations % 3 else "paying"}
                    began.append((name, arena.assign("support-bot", {"conversation": name}, tier).variant))
                arena.flush()  # what is written after the clock has moved on would count as late
                self.clock.advance(timedelta(hours=1))
                for name, variant in began:
                    if self._random.random() < (treatment if variant == "treatment" else control):
                        arena.measure("resolved", True, conversation=name)
                arena.flush()
                self.clock.advance(timedelta(hours=23))

    def read(self) -> Readout:
        log = LogReader(log_folder(load_project(self.folder)), clock=self.clock)
        return read_and_record(self.registry, log, "cites", self.clock.now())


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[_Trial]:
    (tmp_path / "arena.yaml").write_text(_ARENA)
    (tmp_path / "cites.yaml").write_text(_EXPERIMENT)
    clock = ManualClock(_START)
    with open_registry(registry_of(load_project(tmp_path))) as registry:
        Lifecycle(registry, clock, "tester").start(tmp_path / "cites.yaml")
        yield _Trial(tmp_path, registry, clock)


def test_an_effect_ships_from_the_log_and_its_look_is_recorded(trial: _Trial) -> None:
    trial.days(6)
    early = trial.read()
    assert early.verdict.status is Status.CONTINUE
    assert early.looks == ()
    trial.days(4)
    readout = trial.read()
    assert readout.verdict.status is Status.SHIP
    assert readout.verdict.preregistered
    comparison = readout.metrics["resolution"].comparisons["treatment"]
    assert comparison.difference == pytest.approx(0.3, abs=0.1)
    # Of ten days a whole week is in the look, and its windows had all closed.
    assert comparison.n_control + comparison.n_variant == 7 * 80
    [look] = trial.registry.looks.taken("cites")
    assert (look.number, look.day) == (1, "2026-03-08")


def test_a_look_that_was_taken_is_not_changed_by_what_comes_later(trial: _Trial) -> None:
    trial.days(10, treatment=0.4)
    first = trial.read()
    assert first.verdict.status is Status.HOLD
    # Late news of the first conversations: all of treatment's were resolved after all.
    with Arena.local(trial.folder, clock=trial.clock, maintain=False) as arena:
        for number in range(1, 301):
            name = f"c{number}"
            if arena.peek("support-bot", {"conversation": name}, {}).variant == "treatment":
                arena.measure("resolved", True, conversation=name, ts=_START + timedelta(hours=2))
    again = trial.read()
    assert again.looks[0] == first.looks[0]
    assert again.verdict.status is Status.HOLD
    assert len(trial.registry.looks.taken("cites")) == 1


def test_an_experiment_that_was_never_started_is_said(trial: _Trial) -> None:
    log = LogReader(log_folder(load_project(trial.folder)))
    with pytest.raises(UsageError, match="`cites`"):
        read_and_record(trial.registry, log, "citez", trial.clock.now())
