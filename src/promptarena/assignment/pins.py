"""Where a unit's variant is kept, for the experiments whose weights change.

A unit that met a bandit in one epoch must not move when the weights do. Its first assignment is inserted, and
whoever comes second, on whichever node, keeps what is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["CachedPins", "MemoryPins", "Pin", "PinStore"]


@dataclass(frozen=True, slots=True)
class Pin:
    """A unit's variant, and under which allocation it was given."""

    variant: str
    epoch: int
    propensity: float


class PinStore(Protocol):
    """What keeps pins. Both methods may be called from many threads, processes and nodes at once."""

    def find(self, experiment: str, unit_id: str) -> Pin | None:
        """The unit's pin, if it has one.

        Raises:
            StorageError: it cannot be known now.
        """

    def keep(self, experiment: str, unit_id: str, pin: Pin) -> Pin:
        """Insert this pin unless the unit has one; give the one that it has now.

        Of calls at the same time exactly one inserts, and all of them get what it inserted. What has been
        given is kept: no later call gives another one.

        Raises:
            StorageError: it cannot be kept now.
        """


class MemoryPins:
    """Pins of this process, gone when it ends: for tests, simulations and a single short-lived node.

    >>> pins = MemoryPins()
    >>> pins.keep("exp", "unit", Pin("treatment", 0, 0.5)).variant
    'treatment'
    >>> pins.keep("exp", "unit", Pin("control", 1, 0.9)).variant
    'treatment'
    """

    def __init__(self) -> None:
        self._pins: dict[tuple[str, str], Pin] = {}

    def find(self, experiment: str, unit_id: str) -> Pin | None:
        return self._pins.get((experiment, unit_id))

    def keep(self, experiment: str, unit_id: str, pin: Pin) -> Pin:
        # One call into C on keys that hash and compare in C: no other thread comes between.
        return self._pins.setdefault((experiment, unit_id), pin)


class CachedPins:
    """A store, with the pins that were asked for lately remembered here. As pins never change, none is stale.

    Args:
        store: where they are kept.
        capacity: how many are remembered at least (and at most twice as many).

    Raises:
        ValueError: a capacity below 1.
    """

    def __init__(self, store: PinStore, capacity: int = 100_000) -> None:
        if capacity < 1:
            raise ValueError(f"a cache holds at least one pin, not {capacity}")
        self._store = store
        self._capacity = capacity
        # Two generations: when the young one is full it becomes the old one. Eviction costs one assignment,
        # needs no lock, and what is asked for again moves to the young.
        self._young: dict[tuple[str, str], Pin] = {}
        self._old: dict[tuple[str, str], Pin] = {}

    def find(self, experiment: str, unit_id: str) -> Pin | None:
        key = experiment, unit_id
        if (pin := self._remembered(key)) is None and (pin := self._store.find(*key)) is not None:
            self._remember(key, pin)
        return pin

    def keep(self, experiment: str, unit_id: str, pin: Pin) -> Pin:
        key = experiment, unit_id
        if (kept := self._remembered(key)) is None:
            kept = self._store.keep(experiment, unit_id, pin)
            self._remember(key, kept)
        return kept

    def _remembered(self, key: tuple[str, str]) -> Pin | None:
        if (pin := self._young.get(key)) is None and (pin := self._old.get(key)) is not None:
            self._remember(key, pin)
        return pin

    def _remember(self, key: tuple[str, str], pin: Pin) -> None:
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, {}
        self._young[key] = pin
