"""`arena status` and `arena history`: where experiments stand, and how they came there."""

from __future__ import annotations

from typing import Annotated

import typer

from promptarena.cli.options import AsJson
from promptarena.cli.registry_access import opened_registry
from promptarena.errors import UsageError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (status, history):
        app.command(command.__name__)(command)


def status(
    name: Annotated[str | None, typer.Argument(help="One experiment; all of them.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say where experiments stand, since when, by whom, and what may come next."""
    from promptarena.cli.lifecycle_rendering import render_statuses
    from promptarena.definitions.clock import SystemClock
    from promptarena.rollout.status import statuses

    with opened_registry() as registry:
        if registry is None and name is not None:
            raise _nothing_started()
        found = statuses(registry, SystemClock(), name) if registry is not None else ()
        render_statuses(found, as_json=as_json)


def history(
    name: Annotated[str, typer.Argument(help="An experiment, or a feature.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Tell an experiment's transitions (who, when, why, on what evidence), or a feature's baselines."""
    from promptarena.cli.lifecycle_rendering import render_history
    from promptarena.rollout.lifecycle import known_standing

    with opened_registry() as registry:
        if registry is None:
            raise _nothing_started()
        transitions, baselines = registry.history(name), registry.baselines(name)
        if not transitions and not baselines:
            known_standing(registry, name)  # says what is known
        render_history(name, transitions, baselines, as_json=as_json)


def _nothing_started() -> UsageError:
    return UsageError(
        "Nothing was started in this project yet.", hint="`arena start FILE` starts an experiment."
    )
