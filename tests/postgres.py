"""A real PostgreSQL server for tests, from a wheel; one a test process, a database a test."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

__all__ = ["Server", "running_server"]


class Server:
    """A server that runs."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = count()

    def run(self, statement: str) -> None:
        """As the server's owner, outside of any test's database."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(statement.encode())

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"arena_{next(self._numbers)}"
        # A checkpoint a database would cost seconds: its files are written through the log instead.
        self.run(f"CREATE DATABASE {name} STRATEGY wal_log")
        return self._uri.replace("/postgres?", f"/{name}?")


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Start a server in a folder, and stop it.

    Args:
        folder: an empty one; with a short path, since its socket's path may have 107 bytes only.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pgserver asks for XDG_RUNTIME_DIR, which services do not have
        from pgserver.postgres_server import PostgresServer

    try:
        server = PostgresServer(folder, cleanup_mode="delete")
    except subprocess.TimeoutExpired:  # it gives the server ten seconds, which a busy machine may exceed
        time.sleep(10)
        server = PostgresServer(folder, cleanup_mode="delete")
    _forgo_durability(server.get_uri())
    try:
        yield Server(server.get_uri())
    finally:
        if (postmaster := server.get_pid()) is not None:
            _kill(postmaster)
        server.cleanup()


def _forgo_durability(uri: str) -> None:
    """Nothing in it outlives the tests."""
    with psycopg.connect(uri, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


def _kill(postmaster: int) -> None:
    """An orderly stop writes everything out first, which can take a minute."""
    os.kill(postmaster, signal.SIGQUIT)
    deadline = time.monotonic() + 10
    while _is_alive(postmaster) and time.monotonic() < deadline:
        time.sleep(0.02)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A child that nobody has waited for is gone all the same.
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
