"""Applications on one project, killed at any moment while it is steered: no unit moves, no exposure is lost."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.sdk.projects import python, started_project

from promptarena import Arena
from promptarena.definitions.project import load_project
from promptarena.storage.event_log import EventLog
from promptarena.storage.log_relation import events_relation
from promptarena.storage.warehouse import Warehouse, fetch
from promptarena.wiring import log_folder

_APPLICATION = """
import os, random, time
from promptarena import Arena
from promptarena.sdk.event_queue import QueueLimits

arena = Arena.local(poll_s=0.05, limits=QueueLimits(linger_s=0.002))
chance = random.Random(os.getpid())
notes = os.open(f"acknowledged-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print("ready", flush=True)
while True:
    units = [f"c-{chance.randrange(2000)}" for _ in range(5)]
    assigned = [arena.assign("support-bot", {"conversation": unit}) for unit in units]
    if arena.flush() == 0:
        os.write(notes, "".join(f"{one.request_id}\\n" for one in assigned if one.assigned.exposed).encode())
    time.sleep(0.005)
"""
_STEERING = """
import random, sys, time
from pathlib import Path
from promptarena.definitions.clock import SystemClock
from promptarena.definitions.project import load_project
from promptarena.errors import StaleWriteError, UsageError
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.storage.registry.registry import open_registry
from promptarena.wiring import registry_of

with open_registry(registry_of(load_project(Path("."))), patience_s=60) as registry:
    lifecycle = Lifecycle(registry, SystemClock(), "tester")
    print("ready", flush=True)
    while True:
        try:
            move = random.choice(["pause", "resume", "ramp"])
            if move == "ramp":
                traffic = registry.standing("cites").last.traffic
                lifecycle.ramp("cites", traffic=min(1.0, traffic + 0.02))
            else:
                getattr(lifecycle, move)("cites")
        except (StaleWriteError, UsageError):
            pass
        time.sleep(0.05)
"""
_SCRIPTS = {"application": _APPLICATION, "steering": _STEERING}


class _Process:
    """One of the processes on a project, at work when this returns."""

    def __init__(self, role: str, project: Path) -> None:
        self.role = role
        self._process: subprocess.Popen[str] = python(project, _SCRIPTS[role])
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise AssertionError(self._process.communicate()[1])

    def kill(self) -> None:
        """SIGKILL. It must have been alive until now."""
        alive = self._process.poll() is None
        self._process.kill()
        errors = self._process.communicate()[1]
        assert alive, f"{self.role} ended by itself:\n{errors}"


def _kill_and_look(folder: Path, kills: int, longest_wait: float) -> None:
    chance = random.Random(kills)
    project = started_project(folder, traffic="20%")
    victims = ["application", "steering"] * kills
    chance.shuffle(victims)
    running = [
        _Process(role, project)
        for role in ("application", "application", "application", "steering", "steering")
    ]
    for role in victims:
        time.sleep(chance.uniform(0, longest_wait))
        victim = chance.choice([one for one in running if one.role == role])
        victim.kill()
        running[running.index(victim)] = _Process(role, project)
    for one in running:
        one.kill()

    acknowledged = [line for path in project.glob("acknowledged-*") for line in _whole_lines(path)]
    with EventLog(log_folder(load_project(project))) as log, Warehouse() as warehouse:
        log.maintain()
        exposures = fetch(events_relation(warehouse.connection, log.snapshot().tables("exposure")))
    requests = Counter(exposures["request_id"].to_pylist())
    missing = [one for one in acknowledged if requests[one] != 1]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged exposures are missing or doubled"
    assert len(acknowledged) > 100
    variants = dict(zip(exposures["unit_id"].to_pylist(), exposures["variant"].to_pylist(), strict=True))
    pairs = set(zip(exposures["unit_id"].to_pylist(), exposures["variant"].to_pylist(), strict=True))
    assert len(pairs) == len(variants), f"{len(pairs) - len(variants)} units moved"
    with Arena.local(project, maintain=False) as arena:
        for unit, variant in variants.items():
            assert arena.peek("support-bot", {"conversation": unit}).variant == variant


def _whole_lines(path: Path) -> list[str]:
    data = path.read_text()
    return data[: data.rfind("\n") + 1].split()


@pytest.mark.slow
@pytest.mark.soak
def test_25_kills_of_each_move_and_lose_nothing(tmp_path: Path) -> None:
    _kill_and_look(tmp_path / "shop", kills=25, longest_wait=1.0)
