"""What the registry keeps of a person: the pins of their units, where weights change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from promptarena.rollout.lifecycle import definition_of
from promptarena.storage.registry.registry import Registry
from promptarena.storage.tombstones import Identity

__all__ = ["forget_pins"]


def forget_pins(registry: Registry, whom: Collection[Identity]) -> int:
    """Take the pins of these units out of all experiments, ended ones too; how many there were.

    Raises:
        StorageError: it cannot be done now.
    """
    experiments: defaultdict[str, list[str]] = defaultdict(list)
    for standing in registry.standings():
        experiments[definition_of(standing).unit].append(standing.experiment.name)
    units: defaultdict[str, list[str]] = defaultdict(list)
    for who in whom:
        units[who.kind].append(who.id)
    return sum(registry.pins.forget(experiments[kind], ids) for kind, ids in units.items())
