"""What other processes do to a registry while a test looks on."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from tests.storage.registry.steps import step

from promptarena.errors import StaleWriteError
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.records import Change, PinRecord
from promptarena.storage.registry.registry import Registry, open_registry


def _open(address: Address) -> Registry:
    return Registry(address, patience_s=60)


def _wait(told: Connection) -> None:
    """Until everybody is here."""
    told.send("ready")
    told.recv()


def open_it(address: Address, told: Connection) -> None:
    """Open a registry, which may not be there yet."""
    _wait(told)
    registry = _open(address)
    told.send(registry.changes())
    registry.close()


def take_steps(address: Address, told: Connection, actor: str, wanted: int) -> None:
    """Decide on what stands and write, as often as it takes; tell how often somebody else was first."""
    with open_registry(address, patience_s=60) as registry:
        _wait(told)
        stale = taken = 0
        while taken < wanted:
            standing = registry.standing("cites")
            assert standing is not None
            time.sleep(0.002)  # to think, so that the others get their turn
            try:
                registry.commit(Change(transition=step(standing.last.number + 1, actor=actor)))
                taken += 1
            except StaleWriteError:
                stale += 1
        told.send(stale)


def step_until_killed(address: Address, told: Connection) -> None:
    """Acknowledge every step as soon as it is written."""
    registry = _open(address)
    while True:
        standing = registry.standing("cites")
        assert standing is not None
        number = standing.last.number + 1
        registry.commit(Change(transition=step(number)))
        told.send(number)


def pin(address: Address, told: Connection, variant: str, units: int) -> None:
    """Keep pins of the same units as everybody else, each with an opinion of its own."""
    registry = _open(address)
    _wait(told)
    kept = [
        registry.pins.keep("cites", f"unit-{n}", PinRecord(variant, 0, 0.5)).variant for n in range(units)
    ]
    told.send(kept)
    registry.close()


def hold_sqlite(file: str, told: Connection, seconds: float) -> None:
    """Hold the lock of an SQLite file."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    told.send("held")
    time.sleep(seconds)
    connection.execute("ROLLBACK")


def use_inherited(registry: Registry, told: Connection, actor: str, wanted: int) -> None:
    """Take steps with a registry that the parent process opened."""
    taken = 0
    while taken < wanted:
        standing = registry.standing("cites")
        assert standing is not None
        try:
            registry.commit(Change(transition=step(standing.last.number + 1, actor=actor)))
            taken += 1
        except StaleWriteError:
            continue
    told.send(taken)


def acknowledged(notes: Path, what: str) -> list[str]:
    """Everything of a kind that any process was told is written."""
    found: list[str] = []
    for path in notes.glob(f"acknowledged-{what}-*"):
        data = path.read_text()
        found += data[: data.rfind("\n") + 1].split()
    return found


def _note(notes: Path, what: str) -> Callable[[str], None]:
    """Notes that survive this process: it is killed, the machine is not."""
    handle = os.open(notes / f"acknowledged-{what}-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(text: str) -> None:
        os.write(handle, f"{text}\n".encode())

    return note


def step_among_others(address: Address, told: Connection, notes: Path) -> None:
    """Take steps for ever, and note those that were acknowledged."""
    registry, note = _open(address), _note(notes, "step")
    told.send("ready")
    while True:
        standing = registry.standing("cites")
        assert standing is not None
        mine = step(standing.last.number + 1)
        try:
            registry.commit(Change(transition=mine))
        except StaleWriteError:
            continue
        note(mine.id)


def pin_among_others(address: Address, told: Connection, notes: Path) -> None:
    """Keep pins of units that others pin too, each with an opinion of its own; note what stands."""
    registry, note = _open(address), _note(notes, "pin")
    chance = random.Random(os.getpid())
    told.send("ready")
    while True:
        unit, wish = f"unit-{chance.randrange(2_000)}", chance.choice(("control", "treatment"))
        note(f"{unit}={registry.pins.keep('cites', unit, PinRecord(wish, 0, 0.5)).variant}")


def read_among_others(address: Address, told: Connection, notes: Path) -> None:
    """Read for ever; ends with an error as soon as a reading is wrong, or lacks what was acknowledged."""
    registry = _open(address)
    told.send("ready")
    before: list[str] = []
    while True:
        expected = set(acknowledged(notes, "step"))
        history = registry.history("cites")
        ids = [one.id for one in history]
        assert [one.number for one in history] == list(range(len(history)))
        assert ids[: len(before)] == before
        assert expected <= set(ids)
        before = ids
