"""Bringing a registry's tables to what this version needs; a registry of a later version is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from promptarena import __version__
from promptarena.errors import StorageError
from promptarena.storage.registry.database import Database

__all__ = ["HEAD", "VERSION_TABLE", "migrate"]

HEAD: Final = "0002"
"""The newest migration. Said here too, so that a registry that has it is opened without loading Alembic."""
VERSION_TABLE: Final = "arena_registry_version"
_SCRIPTS: Final = Path(__file__).parent.parent / "migrations"
_LOCK: Final = int.from_bytes(b"arenareg")
"""Names our lock among a PostgreSQL database's others."""


def migrate(database: Database) -> None:
    """Apply the migrations that a registry lacks, all of them or none. Processes may do so at the same time.

    Raises:
        StorageError: the registry is of a later version, or cannot be reached or changed.
    """
    if database.read(_revision) != HEAD:
        database.write(_upgrade)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    if connection.dialect.name == "postgresql":
        # SQLite's writers exclude each other anyway.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if (revision := _revision(connection)) == HEAD:
        return
    scripts = ScriptDirectory(str(_SCRIPTS))
    try:
        scripts.get_revision(revision or "base")
    except CommandError:
        raise StorageError(
            f"This registry was made by a later version of Prompt Arena (its tables are at {revision}; "
            f"{__version__} knows them up to {HEAD}). It was not touched.",
            hint="Install that version: pip install --upgrade promptarena",
        ) from None
    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": VERSION_TABLE,
            "transactional_ddl": True,
            "fn": lambda current, _: scripts._upgrade_revs("head", current),
        },
    )
    with Operations.context(context):
        context.run_migrations()
