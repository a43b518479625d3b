"""`arena reallocate`: one step of a bandit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from promptarena.cli.log_access import LogOption, log_to_read
from promptarena.cli.options import AsJson

if TYPE_CHECKING:
    from promptarena.rollout.reallocation import Reallocated

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("reallocate")(reallocate)


def reallocate(
    experiment: Annotated[str, typer.Argument(help="Name of an experiment with `allocation`.")],
    log: LogOption = None,
    as_json: AsJson = False,
) -> None:
    """Move the weights of a bandit to where its rewards say: one step, now, if it is time.

    The new weights begin an epoch, which `arena history` tells with its reason. Who was met before keeps the
    variant that he has.
    """
    from promptarena.cli.registry_access import actor, opened_lifecycle
    from promptarena.definitions.clock import SystemClock
    from promptarena.rollout.reallocation import reallocate as one_step

    with opened_lifecycle() as (registry, _):
        _render(one_step(registry, log_to_read(log), experiment, SystemClock(), actor()), as_json=as_json)


def _render(done: Reallocated, *, as_json: bool) -> None:
    if as_json:
        from promptarena.reporting.json import to_json

        typer.echo(to_json(done))
        return
    what = (
        f"epoch {done.epoch} has begun" if done.begun else f"nothing has changed; epoch {done.epoch} goes on"
    )
    typer.echo(f"{done.experiment}: {what}: {done.reason}.")
    for name, arm in (done.found.arms if done.found else {}).items():
        mean = "not known" if arm.mean is None else f"{arm.mean:.4g}"
        chance = "not known" if arm.probability_best is None else f"{arm.probability_best:.1%}"
        typer.echo(
            f"  {name}: {arm.before * 100:.4g}% -> {arm.weight * 100:.4g}%; {arm.units:,} units, mean reward"
            f" {mean}, best with {chance}"
        )
