"""A database that is locked, gone, damaged or not ours: a clear message, in bounded time."""

from __future__ import annotations

import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from tests.postgres import Server
from tests.storage.registry import writers
from tests.storage.registry.processes import started
from tests.storage.registry.steps import start, step

from promptarena.definitions.registry_setting import RegistrySetting
from promptarena.errors import StorageError, UsageError
from promptarena.storage.registry.address import Address, parse_address, registry_address
from promptarena.storage.registry.database import Database
from promptarena.storage.registry.records import Change
from promptarena.storage.registry.registry import Registry, open_registry


@pytest.fixture
def sqlite_address(tmp_path: Path) -> Address:
    return parse_address("registry.db", tmp_path)


@pytest.fixture
def postgres_address(postgres: Server, tmp_path: Path) -> Address:
    return parse_address(postgres.new_database(), tmp_path)


def test_a_lock_that_is_held_too_long_is_told_and_readers_go_on(sqlite_address: Address) -> None:
    with open_registry(sqlite_address, patience_s=0.5) as registry:
        registry.commit(start())
        with started((writers.hold_sqlite, (str(sqlite_address), 20.0))) as [(process, pipe)]:
            assert pipe.recv() == "held"
            began = time.monotonic()
            with pytest.raises(StorageError, match="locked by another process") as caught:
                registry.commit(Change(transition=step(1)))
            assert 0.3 < time.monotonic() - began < 5
            assert "fuser" in str(caught.value)
            assert len(registry.history("cites")) == 1
            process.kill()
        # The one who held it was killed: the lock is free.
        registry.commit(Change(transition=step(1)))


def test_a_lock_that_is_given_back_in_time_is_waited_for(sqlite_address: Address) -> None:
    with open_registry(sqlite_address, patience_s=30) as registry:
        registry.commit(start())
        with started((writers.hold_sqlite, (str(sqlite_address), 0.7))) as [(_, pipe)]:
            assert pipe.recv() == "held"
            registry.commit(Change(transition=step(1)))
        assert len(registry.history("cites")) == 2


def test_a_locked_table_of_a_server_is_told(postgres_address: Address) -> None:
    with open_registry(postgres_address, patience_s=0.5) as registry:
        registry.commit(start())
        with psycopg.connect(_libpq(postgres_address)) as other:
            other.execute("LOCK TABLE arena_transitions IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            with pytest.raises(StorageError, match="locked by another connection") as caught:
                registry.commit(Change(transition=step(1)))
            assert time.monotonic() - began < 5
            assert "pg_stat_activity" in str(caught.value)
        registry.commit(Change(transition=step(1)))
        assert len(registry.history("cites")) == 2


def test_connections_that_were_cut_are_made_anew(postgres: Server, postgres_address: Address) -> None:
    with open_registry(postgres_address) as registry:
        registry.commit(start())
        _cut(postgres, postgres_address)
        registry.commit(Change(transition=step(1)))
        assert len(registry.history("cites")) == 2


def test_a_transaction_whose_connection_is_cut_is_done_again(
    postgres: Server, postgres_address: Address
) -> None:
    database = Database(postgres_address)
    tries = 0

    def work(connection: object) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            _cut(postgres, postgres_address)
        return int(connection.execute(text("SELECT 42")).scalar_one())  # type: ignore[attr-defined]

    assert database.write(work) == 42
    assert tries == 2
    database.close()


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    nobody = parse_address("postgresql://arena:hunter2@127.0.0.1:1/arena", tmp_path)
    with pytest.raises(StorageError, match="cannot be reached") as caught:
        Registry(nobody)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_not_there_is_told(postgres_address: Address) -> None:
    missing = Address(postgres_address.url.set(database="nowhere"))
    with pytest.raises(StorageError, match='database "nowhere" does not exist'):
        Registry(missing)


def test_a_file_that_is_something_else_is_told(sqlite_address: Address) -> None:
    Path(str(sqlite_address)).write_text("these are my notes, not a database\n" * 100)
    with pytest.raises(StorageError, match="the file holds something else"):
        Registry(sqlite_address)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the registry's folder"):
        Registry(parse_address("file/registry.db", tmp_path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="cannot be opened"):
        Registry(parse_address("folder", tmp_path))


def _write_without_room(address: Address, told: Connection) -> None:
    registry = Registry(address)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    written = 0
    try:
        for number in range(1, 10_000):
            registry.commit(Change(transition=step(number, reason="x" * 10_000)))
            written = number
    except StorageError as error:
        told.send((written, str(error)))


def test_a_disk_without_room_is_told_and_nothing_acknowledged_is_lost(sqlite_address: Address) -> None:
    with open_registry(sqlite_address) as registry:
        registry.commit(start())
        with started((_write_without_room, (sqlite_address,))) as [(_, pipe)]:
            written, message = pipe.recv()
        assert written > 0
        assert "cannot be" in message
        assert len(registry.history("cites")) == 1 + written
        registry.commit(Change(transition=step(written + 1)))


def test_a_registry_that_vanishes_is_not_made_anew(sqlite_address: Address) -> None:
    with open_registry(sqlite_address) as registry:
        registry.commit(start())
        for file in Path(str(sqlite_address)).parent.glob("registry.db*"):
            file.unlink()
        with pytest.raises(StorageError, match="cannot be opened"):
            registry.standings()
    assert not Path(str(sqlite_address)).exists()


def test_a_project_keeps_its_registry_out_of_its_repository(tmp_path: Path) -> None:
    address = registry_address(None, tmp_path, {})
    with open_registry(address):
        assert (tmp_path / ".arena" / "registry.db").is_file()
    assert (tmp_path / ".arena" / ".gitignore").read_text() == "*\n"


def test_where_the_registry_is_may_be_in_the_environment(tmp_path: Path) -> None:
    setting = RegistrySetting(url_env="ARENA_REGISTRY_URL")
    found = registry_address(setting, tmp_path, {"ARENA_REGISTRY_URL": "postgres://a:b@db/arena"})
    assert str(found) == "postgresql://a:***@db/arena"
    with pytest.raises(UsageError, match="ARENA_REGISTRY_URL holds the registry's address; it is not set"):
        registry_address(setting, tmp_path, {})
    with pytest.raises(UsageError, match="not mysql"):
        registry_address(setting, tmp_path, {"ARENA_REGISTRY_URL": "mysql://a:b@db/arena"})
    with pytest.raises(UsageError, match="needs a file"):
        registry_address(RegistrySetting(url="sqlite://"), tmp_path, {})


def _libpq(address: Address) -> str:
    return address.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _cut(server: Server, address: Address) -> None:
    server.run(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{address.url.database}'"
    )
