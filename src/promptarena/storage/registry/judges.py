"""Configurations of judges, by content: measurements of one are never taken for those of another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from promptarena.definitions.content_hash import content_hash
from promptarena.storage.registry.database import Database
from promptarena.storage.registry.rows import insert_or_keep
from promptarena.storage.registry.tables import judge_configurations

__all__ = ["Judges"]


class Judges:
    """All configurations that ever judged."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, configuration: Mapping[str, Any], at: datetime) -> str:
        """Insert a configuration unless it is there; its hash, which measurements carry as `evaluator_hash`.

        Raises:
            StorageError: it cannot be written.
            ValueError: it is not plain data of finite numbers.
        """
        name = content_hash(configuration)
        values = {"hash": name, "configuration": dict(configuration), "at": at}
        self._database.write(
            lambda connection: insert_or_keep(connection, judge_configurations, values, ("hash",))
        )
        return name

    def find(self, evaluator_hash: str) -> dict[str, Any] | None:
        """The configuration of a hash.

        Raises:
            StorageError: it cannot be read.
        """
        query = select(judge_configurations.c.configuration).where(
            judge_configurations.c.hash == evaluator_hash
        )
        return self._database.read(lambda connection: connection.execute(query).scalar())
