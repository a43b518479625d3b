"""A running bandit whose users arrive on a clock that we hold."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.project import load_project
from promptarena.definitions.readout import Readout
from promptarena.rollout.experiment_readout import read_and_record
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.rollout.reallocation import Reallocated, reallocate
from promptarena.sdk.client import Arena
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.registry import Registry
from promptarena.wiring import log_folder

START = datetime(2026, 3, 2, tzinfo=UTC)
ARENA = """
providers: {openai: {base_url: http://127.0.0.1:9/v1, key_env: OPENAI_API_KEY}}
features:
  support-bot: {provider: openai, model: sim-small, system: Be helpful.}
"""
EXPERIMENT = """
experiment: cites
feature: support-bot
unit: conversation
variants: {control: {}, treatment: {system: Cite the policy.}}
metrics: {resolution: {rate: resolved, window: 6h, better: higher}}
primary: resolution
allocation: {bandit: thompson, update: 12h, min_share: 10%, burn_in: 100}
rollout:
  - {stage: offline, skip: a test}
  - {stage: shadow, skip: a test}
  - {stage: canary, skip: a test}
  - {stage: ab, traffic: 100%}
"""


class BanditTrial:
    """A project in a folder, started at `START`."""

    def __init__(self, folder: Path, registry: Registry, experiment: str = EXPERIMENT) -> None:
        (folder / "arena.yaml").write_text(ARENA)
        (folder / "cites.yaml").write_text(experiment)
        self.folder, self.registry, self.clock = folder, registry, ManualClock(START)
        self.lifecycle = Lifecycle(registry, self.clock, "tester")
        self.lifecycle.start(folder / "cites.yaml")
        self._random = random.Random(4)
        self.met: dict[str, str | None] = {}
        """The variant that each conversation met first."""

    def come(self, users: int = 120, *, hours: int = 12, **rates: float) -> Counter[str | None]:
        """Let users come, an hour later their outcomes, and hours pass; how many met each variant."""
        with Arena.local(self.folder, clock=self.clock, maintain=False) as arena:
            began = [f"c{len(self.met) + i}" for i in range(users)]
            for name in began:
                self.met[name] = arena.assign("support-bot", {"conversation": name}).variant
            arena.flush()  # what is written after the clock has moved on would count as late
            self.clock.advance(timedelta(hours=1))
            for name in began:
                if self._random.random() < rates[str(self.met[name])]:
                    arena.measure("resolved", True, conversation=name)
            arena.flush()
        self.clock.advance(timedelta(hours=hours - 1))
        return Counter(self.met[name] for name in began)

    def step(self) -> Reallocated:
        return reallocate(self.registry, self.log(), "cites", self.clock, "the allocator")

    def read(self) -> Readout:
        return read_and_record(self.registry, self.log(), "cites", self.clock.now())

    def log(self) -> LogReader:
        return LogReader(log_folder(load_project(self.folder)), clock=self.clock)
