from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from promptarena.definitions.project import load_project
from promptarena.definitions.registry_setting import RegistrySetting
from promptarena.errors import DefinitionError


@pytest.mark.parametrize(
    "written",
    [
        "shared/registry.db",
        "sqlite:///shared/registry.db",
        "postgresql://arena@db.example:5432/arena",
        "postgres:///arena?host=/var/run/postgresql",
    ],
)
def test_a_path_or_an_address_says_where_the_registry_is(written: str) -> None:
    assert RegistrySetting.model_validate(written).url == written


def test_the_address_may_be_in_the_environment() -> None:
    assert RegistrySetting.model_validate({"url_env": "ARENA_REGISTRY_URL"}).url_env == "ARENA_REGISTRY_URL"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("postgresql://arena:hunter2@db.example/arena", "holds no password"),
        ("postgresql://db.example/arena?password=hunter2", "holds no password"),
        ("mysql://db.example/arena", "not mysql"),
        ("postgresql://db.example:port/arena", "such as postgresql://user@host/database"),
        ({"url_env": "postgresql://db"}, "in capitals"),
        ({"url_env": "A", "url": "b"}, "one of the two"),
        ({}, "one of the two"),
    ],
)
def test_what_is_no_registry_is_told_without_its_password(written: object, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RegistrySetting.model_validate(written)
    messages = [error["msg"] for error in caught.value.errors()]
    assert any(told in message for message in messages)
    assert not any("hunter2" in message for message in messages)


def test_a_project_says_where_its_registry_is(project_folder: Path) -> None:
    file = project_folder / "arena.yaml"
    assert load_project(file).registry is None
    file.write_text(file.read_text() + "registry: postgresql://arena@db/arena\n")
    assert load_project(file).registry == RegistrySetting(url="postgresql://arena@db/arena")
    file.write_text(file.read_text().replace("//arena@", "//arena:hunter2@"))
    with pytest.raises(DefinitionError, match="holds no password") as caught:
        load_project(file)
    assert "hunter2" not in str(caught.value)
