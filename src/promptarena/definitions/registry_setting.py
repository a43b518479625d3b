"""Where the registry is: a file, a PostgreSQL database, or the environment variable that says so.

registry: shared/registry.db                      # relative to arena.yaml
registry: postgresql://arena@db.example/arena     # the password is libpq's business: PGPASSWORD, ~/.pgpass
registry: {url_env: ARENA_REGISTRY_URL}
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, model_validator

from promptarena.definitions.frozen import Shorthand, mistake
from promptarena.definitions.names import Text

__all__ = ["RegistrySetting", "check_registry_url"]

_SCHEMES: Final = ("sqlite", "postgresql", "postgres")


def check_registry_url(written: str) -> str:
    """Make sure that this is a file's path or an address that a registry can have.

    Raises:
        ValueError: it is not; the message never has the address, which may hold a password.
    """
    if "://" not in written:
        return written
    try:
        url = urlsplit(written)
        _ = url.port
    except ValueError:
        raise ValueError("a registry's address is such as postgresql://user@host/database") from None
    if url.scheme not in _SCHEMES:
        raise ValueError(
            f"a registry is a file or a PostgreSQL database, not {url.scheme}: write a path, "
            "or postgresql://user@host/database"
        )
    return written


def _without_password(written: str) -> str:
    checked = check_registry_url(written)
    if "://" in checked and (urlsplit(checked).password or "password" in parse_qs(urlsplit(checked).query)):
        raise ValueError(
            "a registry's address holds no password: set PGPASSWORD, use ~/.pgpass, "
            "or name the variable that has the whole address by `{url_env: ARENA_REGISTRY_URL}`"
        )
    return checked


def _environment_name(written: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", written):
        raise ValueError(
            "url_env is the name of an environment variable, in capitals, such as ARENA_REGISTRY_URL"
        )
    return written


class RegistrySetting(Shorthand):
    """Where the registry is kept."""

    shorthand: ClassVar[str] = "url"

    url: Annotated[Text, AfterValidator(_without_password)] | None = None
    """A path, relative to arena.yaml, or `postgresql://user@host/database`."""
    url_env: Annotated[str, AfterValidator(_environment_name)] | None = None
    """The environment variable that holds it."""

    @model_validator(mode="after")
    def _one_of_them(self) -> RegistrySetting:
        if (self.url is None) == (self.url_env is None):
            raise mistake("A registry has a `url` or a `url_env`, one of the two.")
        return self
