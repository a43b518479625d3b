"""`arena erase`: what is known of a person is gone."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from promptarena.cli.log_access import LogOption, log_to_read
from promptarena.cli.options import AsJson
from promptarena.errors import UsageError

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
    """Erase a person (user), or one session, conversation or request, from the log, for good.

    From then on no reader meets their events and no new ones are accepted; compaction then rewrites the
    files.
    """
    from promptarena.storage import erasure
    from promptarena.storage.log_folder import LogSettings

    who = erasure.read_identity(kind, id_)
    reader = log_to_read(log)
    if not yes and (as_json or not sys.stdin.isatty()):
        raise UsageError("Erasing cannot be undone.", hint="Say --yes where nobody can be asked.")
    if not yes:
        typer.confirm(f"Erase {kind} {id_!r}? This cannot be undone", abort=True)
    hidden = erasure.erase(reader.folder, LogSettings(), who)
    if as_json:
        typer.echo(json.dumps({"kind": kind, "id": id_, "hidden": hidden}))
        return
    typer.echo(f"Erased. {hidden:,} stored events are hidden from now on, until compaction has removed them.")
