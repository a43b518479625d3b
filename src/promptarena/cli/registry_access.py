"""The registry of the project that a command is called in, and who calls it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from promptarena.rollout.lifecycle import Lifecycle
    from promptarena.storage.registry.address import Address
    from promptarena.storage.registry.registry import Registry

__all__ = ["actor", "opened_lifecycle", "opened_registry", "registry_file"]

_ACTOR_VARIABLE: Final = "ARENA_ACTOR"


@contextmanager
def opened_lifecycle(beside: Path | None = None) -> Iterator[tuple[Registry, Lifecycle]]:
    """Open the registry to change something; it is made where there is none.

    Args:
        beside: a file of the project; the present folder is in it where nothing is said.

    Raises:
        DefinitionError: there is no arena.yaml, or what it says of the registry is wrong.
        StorageError: the registry cannot be opened.
    """
    from promptarena.definitions.clock import SystemClock
    from promptarena.rollout.lifecycle import Lifecycle
    from promptarena.storage.registry.registry import open_registry

    with open_registry(_address(beside)) as registry:
        yield registry, Lifecycle(registry, SystemClock(), actor())


@contextmanager
def opened_registry() -> Iterator[Registry | None]:
    """Open the registry to look; `None` where nothing was ever started, and then none is made.

    Raises:
        DefinitionError: there is no arena.yaml, or what it says of the registry is wrong.
        StorageError: the registry cannot be opened.
    """
    from promptarena.storage.registry.registry import open_registry

    address = _address(None)
    if address.file is not None and not address.file.exists():
        address.refuse_loss()
        yield None
        return
    with open_registry(address) as registry:
        yield registry


def registry_file() -> Path | None:
    """Where the registry is that `opened_registry` opens; `None` on a database server.

    Raises:
        DefinitionError: there is no arena.yaml, or what it says of the registry is wrong.
    """
    return _address(None).file


def actor() -> str:
    """Who is on record: $ARENA_ACTOR, else the user of the system."""
    if named := os.environ.get(_ACTOR_VARIABLE, "").strip():
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"


def _address(beside: Path | None) -> Address:
    from promptarena.definitions.project import find_project, registry_setting
    from promptarena.storage.registry.address import registry_address

    project = find_project(beside.resolve().parent if beside is not None else Path.cwd())
    return registry_address(registry_setting(project), project.parent, os.environ)
