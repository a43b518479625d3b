"""Every test of the registry runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres import Server, running_server

from promptarena.storage.registry.address import Address, parse_address
from promptarena.storage.registry.registry import Registry, open_registry


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder,
        running_server(Path(folder)) as server,
    ):
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Of a registry that is not there yet."""
    if request.param == "sqlite":
        return parse_address("registry.db", tmp_path)
    server: Server = request.getfixturevalue("postgres")
    return parse_address(server.new_database(), tmp_path)


@pytest.fixture
def registry(address: Address) -> Iterator[Registry]:
    with open_registry(address) as opened:
        yield opened
