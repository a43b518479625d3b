"""From any earlier state to today's tables, whole or not at all; a later version's registry is left alone."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text
from tests.storage.registry.steps import T0, start

from promptarena.errors import StorageError
from promptarena.storage.registry import migration, tables
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.database import Database
from promptarena.storage.registry.migration import HEAD, VERSION_TABLE, migrate
from promptarena.storage.registry.registry import Registry, open_registry
from promptarena.storage.registry.rows import add


def _bring_to(database: Database, revision: str) -> None:
    """As the version that ended with this migration would have left it."""
    scripts = ScriptDirectory(str(migration._SCRIPTS))

    def work(connection: Connection) -> None:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "fn": lambda current, _: scripts._upgrade_revs(revision, current),
            },
        )
        with Operations.context(context):
            context.run_migrations()

    database.write(work)


def _tables(database: Database) -> set[str]:
    return database.read(lambda connection: set(inspect(connection).get_table_names()))


def test_the_newest_migration_is_the_one_that_the_code_says() -> None:
    assert ScriptDirectory(str(migration._SCRIPTS)).get_heads() == [HEAD]


def test_migrations_make_exactly_the_tables_that_the_code_knows(registry: Registry, address: Address) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        return list(compare_metadata(context, tables.METADATA))

    assert registry.changes() == 0
    database = Database(address)
    assert database.read(differences) == []
    database.close()


def test_opening_again_changes_nothing(registry: Registry, address: Address) -> None:
    registry.commit(start())
    before = registry.standing("cites")
    for _ in range(2):
        with open_registry(address) as again:
            assert again.standing("cites") == before


def test_an_older_registry_is_brought_up_to_date_with_what_it_holds(address: Address) -> None:
    database = Database(address)
    _bring_to(database, "0001")
    assert "arena_api_keys" not in _tables(database)
    begun = start()

    def fill(connection: Connection) -> None:
        add(connection, tables.experiments, [begun.experiment])
        add(connection, tables.definitions, [begun.definition])
        add(connection, tables.transitions, [begun.transition])
        add(connection, tables.allocations, [begun.allocation])
        add(connection, tables.slots, [begun.slot])

    database.write(fill)
    with open_registry(address) as registry:
        assert registry.history("cites") == (begun.transition,)
        assert registry.judges.find(registry.judges.keep({"model": "j"}, T0)) == {"model": "j"}
    assert {"arena_api_keys", "arena_audit_labels"} <= _tables(database)
    database.close()


def test_a_migration_that_fails_leaves_nothing_behind(address: Address) -> None:
    database = Database(address)
    _bring_to(database, "0001")
    before = _tables(database)
    # The last table of the second migration is in the way, so its first ones were made already.
    database.write(lambda connection: connection.execute(text("CREATE TABLE arena_api_keys (id integer)")))
    with pytest.raises(StorageError, match="already exists"):
        migrate(database)
    assert _tables(database) == before | {"arena_api_keys"}
    database.write(lambda connection: connection.execute(text("DROP TABLE arena_api_keys")))
    migrate(database)
    assert {"arena_api_keys", "arena_judge_configurations"} <= _tables(database)
    database.close()


def test_a_registry_of_a_later_version_is_refused_and_not_touched(address: Address) -> None:
    with open_registry(address) as registry:
        registry.commit(start())
    database = Database(address)
    later = text(f"UPDATE {VERSION_TABLE} SET version_num = '0099'")
    database.write(lambda connection: connection.execute(later))
    with pytest.raises(StorageError, match=r"later version .* at 0099; .* up to 0002") as caught:
        Registry(address)
    assert "pip install --upgrade promptarena" in str(caught.value)
    version = select(text("version_num")).select_from(text(VERSION_TABLE))
    assert database.read(lambda connection: connection.execute(version).scalar()) == "0099"
    database.close()


def test_a_registry_that_is_up_to_date_opens_without_alembic(address: Address) -> None:
    with open_registry(address) as registry:
        registry.commit(start())
    code = (
        "import sys; from pathlib import Path\n"
        "from promptarena.storage.registry.address import parse_address\n"
        "from promptarena.storage.registry.registry import open_registry\n"
        "with open_registry(parse_address(sys.argv[1], Path('/'))) as registry:\n"
        "    print(registry.changes(), 'alembic' in sys.modules)\n"
    )
    url = str(address) if address.file else address.url.set(drivername="postgresql").render_as_string(False)
    run = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["3", "False"]
