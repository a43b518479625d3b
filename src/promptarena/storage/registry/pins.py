"""Pins of units whose experiment changes its weights: inserted once, never moved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, and_, delete, select
from sqlalchemy.exc import IntegrityError

from promptarena.errors import StorageError
from promptarena.storage.registry.database import Database
from promptarena.storage.registry.records import PinRecord
from promptarena.storage.registry.rows import insert_or_keep, record_of, values_of
from promptarena.storage.registry.tables import pins

__all__ = ["Pins"]

_AT_ONCE: Final = 500
"""Units that one statement names: databases take so many parameters and no more."""


class Pins:
    """The pins of all experiments; every method may be called from many threads and processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, experiment: str, unit_id: str) -> PinRecord | None:
        """A unit's pin.

        Raises:
            StorageError: it cannot be known now.
        """
        return self._database.read(lambda connection: _find(connection, experiment, unit_id))

    def keep(self, experiment: str, unit_id: str, pin: PinRecord) -> PinRecord:
        """Insert a pin unless the unit has one; the one that stands.

        Raises:
            StorageError: it cannot be kept now, or no such experiment was started.
        """
        if (standing := self.find(experiment, unit_id)) is not None:
            return standing

        def work(connection: Connection) -> PinRecord:
            values = {"experiment": experiment, "unit_id": unit_id, **values_of(pin)}
            if insert_or_keep(connection, pins, values, ("experiment", "unit_id")):
                return pin
            kept = _find(connection, experiment, unit_id)
            # Only `forget` takes pins out; between the two statements that is as good as just after them.
            return kept if kept is not None else pin

        try:
            return self._database.write(work)
        except IntegrityError:
            raise StorageError(f"The registry knows no experiment `{experiment}` to pin units of.") from None

    def forget(self, experiments: Iterable[str], unit_ids: Iterable[str]) -> int:
        """Take units' pins out of these experiments, to erase a person; how many there were.

        Raises:
            StorageError: it cannot be done now.
        """
        names, ids = list(experiments), list(unit_ids)
        parts = [ids[at : at + _AT_ONCE] for at in range(0, len(ids), _AT_ONCE)] if names else []

        def work(connection: Connection) -> int:
            mine = (and_(pins.c.experiment.in_(names), pins.c.unit_id.in_(part)) for part in parts)
            return sum(connection.execute(delete(pins).where(each)).rowcount for each in mine)

        return self._database.write(work) if parts else 0


def _find(connection: Connection, experiment: str, unit_id: str) -> PinRecord | None:
    row = connection.execute(
        select(pins.c.variant, pins.c.epoch, pins.c.propensity).where(
            pins.c.experiment == experiment, pins.c.unit_id == unit_id
        )
    ).first()
    return None if row is None else record_of(PinRecord, row)
