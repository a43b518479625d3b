"""`arena erase`: what is known of a person is gone."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from promptarena.cli.log_access import LogOption, log_to_read
from promptarena.cli.options import AsJson
from promptarena.errors import UsageError

if TYPE_CHECKING:
    from promptarena.storage.log_folder import LogFolder
    from promptarena.storage.tombstones import Identity

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("erase")(erase)


def erase(
    kind: Annotated[str, typer.Argument(help="user, session, conversation, request, or a unit kind.")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="Whom or what to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: this cannot be undone.")] = False,
    log: LogOption = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person (user), or one session, conversation or request, for good.

    From then on no reader of the log meets their events and no new ones are accepted; compaction then
    rewrites the files. Their pins go from the registry; a log that is named by --log has none.
    """
    from promptarena.storage import erasure

    who = erasure.read_identity(kind, id_)
    reader = log_to_read(log)
    if not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError("Erasing cannot be undone.", hint="Say --yes where nobody can be asked.")
    if not yes:
        typer.confirm(f"Erase {kind} {id_!r}? This cannot be undone", abort=True)
    hidden, pins = _erase(reader.folder, who, with_registry=log is None)
    if as_json:
        typer.echo(json.dumps({"kind": kind, "id": id_, "hidden": hidden, "pins": pins}))
        return
    typer.echo(f"Erased. {hidden:,} stored events are hidden from now on, until compaction has removed them.")
    if pins:
        typer.echo(f"{pins:,} pins are gone from the registry.")


def _erase(folder: LogFolder, who: Identity, *, with_registry: bool) -> tuple[int, int]:
    """How many events are hidden, and how many pins are gone."""
    from promptarena.cli.registry_access import opened_registry
    from promptarena.rollout.erasing import forget_pins
    from promptarena.storage.erasure import erase as erase_events
    from promptarena.storage.log_folder import LogSettings

    if not with_registry:
        return erase_events(folder, LogSettings(), who), 0
    pins = 0

    def also(whom: Collection[Identity]) -> None:
        nonlocal pins
        with opened_registry() as registry:
            pins += forget_pins(registry, whom) if registry else 0

    return erase_events(folder, LogSettings(), who, also), pins
