"""Killed at any moment among others at work, nothing acknowledged is missing or doubled, and no unit moves."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from tests.storage.registry import writers
from tests.storage.registry.processes import started
from tests.storage.registry.steps import start

from promptarena.storage.registry.address import Address
from promptarena.storage.registry.registry import Registry

_Role = Callable[[Address, Connection, Path], None]
_VICTIMS: tuple[_Role, ...] = (writers.step_among_others, writers.pin_among_others)


class _Process:
    """One of the processes on a registry, at work when this returns."""

    def __init__(self, role: _Role, address: Address, notes: Path, stack: ExitStack) -> None:
        self.role = role
        [(self._process, self._pipe)] = stack.enter_context(started((role, (address, notes))))
        assert self._pipe.recv() == "ready"

    def kill(self) -> None:
        """SIGKILL. It must have been alive until now."""
        process: BaseProcess = self._process
        assert process.is_alive(), f"{self.role.__name__} ended by itself"
        process.kill()
        process.join()


def _kill_and_look(
    registry: Registry, address: Address, notes: Path, kills: int, longest_wait: float
) -> None:
    chance = random.Random(kills)
    registry.commit(start())
    victims = [*_VICTIMS] * kills
    chance.shuffle(victims)
    with ExitStack() as stack:
        running = [_Process(role, address, notes, stack) for role in (*_VICTIMS, *_VICTIMS)]
        reader = _Process(writers.read_among_others, address, notes, stack)
        for role in victims:
            time.sleep(chance.uniform(0, longest_wait))
            victim = chance.choice([one for one in running if one.role is role])
            victim.kill()
            running[running.index(victim)] = _Process(role, address, notes, stack)
        for one in (*running, reader):
            one.kill()

    history = registry.history("cites")
    assert [step.number for step in history] == list(range(len(history)))
    ids = Counter(step.id for step in history)
    steps = writers.acknowledged(notes, "step")
    missing = [id_ for id_ in steps if ids[id_] != 1]
    assert not missing, f"{len(missing)} of {len(steps)} acknowledged steps are missing or doubled"
    assert len(steps) > kills
    # A step may have been written whose acknowledgement a kill cut off: one a process that died.
    assert len(history) - 1 - len(steps) <= kills + 2
    pins = [pin.split("=") for pin in writers.acknowledged(notes, "pin")]
    assert len(pins) > kills
    moved = [
        unit
        for unit, variant in pins
        if getattr(registry.pins.find("cites", unit), "variant", None) != variant
    ]
    assert not moved, f"{len(moved)} of {len(pins)} acknowledged pins moved, such as {moved[0]}"


def test_a_few_kills_lose_and_double_nothing(registry: Registry, address: Address, tmp_path: Path) -> None:
    _kill_and_look(registry, address, tmp_path, kills=2, longest_wait=0.2)


@pytest.mark.slow
@pytest.mark.soak
def test_25_kills_of_each_lose_and_double_nothing(
    registry: Registry, address: Address, tmp_path: Path
) -> None:
    _kill_and_look(registry, address, tmp_path, kills=25, longest_wait=1.0)
