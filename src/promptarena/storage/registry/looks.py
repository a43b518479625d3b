"""Looks that were taken. One that is recorded stands: late events, later code and second writers find it."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from promptarena.errors import StaleWriteError, StorageError
from promptarena.storage.registry.database import Database
from promptarena.storage.registry.records import LookRecord
from promptarena.storage.registry.rows import insert_or_keep, record_of, values_of
from promptarena.storage.registry.tables import experiments, looks

__all__ = ["Looks"]


class Looks:
    """The looks of all experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def taken(self, experiment: str) -> tuple[LookRecord, ...]:
        """An experiment's looks, in their order.

        Raises:
            StorageError: they cannot be read.
        """
        query = select(looks).where(looks.c.experiment == experiment).order_by(looks.c.number)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(record_of(LookRecord, row) for row in rows)

    def record(self, look: LookRecord) -> LookRecord:
        """Record a look unless that one was taken already; the one that stands, which is to be shown.

        Raises:
            StaleWriteError: the look before it is not recorded.
            StorageError: no such experiment was started, or it cannot be written.
            ValueError: the result is not plain data of finite numbers.
        """

        def work(connection: Connection) -> LookRecord:
            mine = looks.c.experiment == look.experiment
            if (
                connection.execute(
                    select(experiments.c.name).where(experiments.c.name == look.experiment)
                ).first()
                is None
            ):
                raise StorageError(f"The registry knows no experiment `{look.experiment}` to look at.")
            taken = connection.execute(select(func.count()).where(mine)).scalar_one()
            if look.number not in range(1, taken + 2):
                raise StaleWriteError(
                    f"`{look.experiment}` has had {taken} looks; look {look.number} is not next."
                )
            insert_or_keep(connection, looks, values_of(look), ("experiment", "number"))
            row = connection.execute(select(looks).where(mine, looks.c.number == look.number)).one()
            return record_of(LookRecord, row)

        return self._database.write(work)
