"""What other processes do to a registry while a test looks on."""

from __future__ import annotations

import sqlite3
import time
from multiprocessing.connection import Connection

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
