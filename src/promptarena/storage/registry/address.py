"""Where a registry is, and how that is said to people: without a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url

from promptarena.definitions.registry_setting import RegistrySetting, check_registry_url
from promptarena.errors import StorageError, UsageError

__all__ = ["KNOWN_FILE", "Address", "parse_address", "registry_address"]

DEFAULT_FILE: Final = Path(".arena") / "registry.db"
KNOWN_FILE: Final = Path(".arena") / "registry.known.json"


@dataclass(frozen=True, slots=True)
class Address:
    """Of one registry.

    >>> str(parse_address("postgresql://arena:hunter2@db/arena", Path("/project")))
    'postgresql://arena:***@db/arena'
    >>> str(parse_address("shared/registry.db", Path("/project")))
    '/project/shared/registry.db'
    """

    url: URL
    known: Path | None = field(default=None, compare=False)
    """The file in which nodes keep what they last saw of it, where there is such a one."""

    @property
    def file(self) -> Path | None:
        """The file of an SQLite registry; `None` for a database server."""
        return Path(str(self.url.database)) if self.url.get_backend_name() == "sqlite" else None

    def refuse_loss(self) -> None:
        """A file that is gone is a loss; an empty one in its place would end every experiment.

        Raises:
            StorageError: nodes know a registry here, and its file is not there.
        """
        if self.file is None or self.known is None or self.file.exists() or not self.known.exists():
            return
        raise StorageError(
            f"The registry {self} is gone.",
            hint=f"Restore it; or, if that is meant, take {self.known} away too to begin anew.",
        )

    def __str__(self) -> str:
        if self.file is not None:
            return str(self.file)
        return self.url.set(drivername=self.url.get_backend_name()).render_as_string(hide_password=True)


def parse_address(written: str, root: Path) -> Address:
    """Read a path or an address.

    Args:
        written: a file's path, `sqlite:///PATH`, or `postgresql://user@host/database`.
        root: the folder that a relative path starts from.

    Raises:
        UsageError: it is none of these.
    """
    try:
        check_registry_url(written)
    except ValueError as error:
        raise UsageError(f"The registry's address cannot be used: {error}.") from None
    if "://" not in written:
        return _file_address(root / written)
    url = make_url(written)
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise UsageError(
                "A registry outlives the command, so it needs a file.",
                hint="Write sqlite:///FILE, or a path.",
            )
        return _file_address(root / url.database)
    return Address(url.set(drivername="postgresql+psycopg"))


def registry_address(setting: RegistrySetting | None, root: Path, environment: Mapping[str, str]) -> Address:
    """Where a project keeps its registry.

    Args:
        setting: of arena.yaml.
        root: the folder of arena.yaml.
        environment: the variables that `url_env` may name.

    Raises:
        UsageError: the variable is not set, or what it holds is no address.
    """
    return replace(_said_address(setting, root, environment), known=root / KNOWN_FILE)


def _said_address(setting: RegistrySetting | None, root: Path, environment: Mapping[str, str]) -> Address:
    if setting is None:
        return _file_address(root / DEFAULT_FILE)
    if setting.url_env is None:
        return parse_address(str(setting.url), root)
    if not (written := environment.get(setting.url_env)):
        raise UsageError(
            f"arena.yaml says that {setting.url_env} holds the registry's address; it is not set.",
            hint=f"Set it, for example: export {setting.url_env}=postgresql://user@host/database",
        )
    return parse_address(written, root)


def _file_address(file: Path) -> Address:
    return Address(URL.create("sqlite", database=str(file.resolve())))
