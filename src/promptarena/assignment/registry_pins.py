"""Pins in the registry, as a router asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptarena.assignment.pins import Pin
from promptarena.errors import StorageError

if TYPE_CHECKING:
    from promptarena.storage.registry.pins import Pins
    from promptarena.storage.registry.records import PinRecord

__all__ = ["RegistryPins"]


class RegistryPins:
    """The registry's pins. Each call is a question to its database: wrap it in `CachedPins`.

    Args:
        pins: of an open registry; the experiments that are pinned were started in it.
    """

    def __init__(self, pins: Pins) -> None:
        self._pins = pins

    def find(self, experiment: str, unit_id: str) -> Pin | None:
        found = self._pins.find(experiment, _storable(unit_id))
        return None if found is None else _pin(found)

    def keep(self, experiment: str, unit_id: str, pin: Pin) -> Pin:
        from promptarena.storage.registry.records import PinRecord

        record = PinRecord(pin.variant, pin.epoch, pin.propensity)
        return _pin(self._pins.keep(experiment, _storable(unit_id), record))


def _pin(record: PinRecord) -> Pin:
    return Pin(record.variant, record.epoch, record.propensity)


def _storable(unit_id: str) -> str:
    # PostgreSQL's text cannot hold it, and an id that SQLite kept would be lost by a move there.
    if "\x00" in unit_id:
        raise StorageError("The registry cannot keep a unit whose id holds a null character.")
    return unit_id
