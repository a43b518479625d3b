"""A project with one feature, a registry beside it, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.rollout.projects import write_project

from promptarena.definitions.clock import ManualClock
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.storage.registry.address import registry_address
from promptarena.storage.registry.registry import Registry, open_registry


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder; its experiment is `cites.yaml`."""
    write_project(tmp_path)
    return tmp_path


@pytest.fixture
def file(project: Path) -> Path:
    return project / "cites.yaml"


@pytest.fixture
def registry(project: Path) -> Iterator[Registry]:
    with open_registry(registry_address(None, project, {})) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


@pytest.fixture
def lifecycle(registry: Registry, clock: ManualClock) -> Lifecycle:
    return Lifecycle(registry, clock, "anna")
