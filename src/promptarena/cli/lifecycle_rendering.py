"""Transitions, standings and baselines, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import typer

from promptarena.definitions.clock import SystemClock
from promptarena.definitions.course import Move, Status
from promptarena.rollout.status import statuses

if TYPE_CHECKING:
    from promptarena.rollout.lifecycle import Done
    from promptarena.rollout.status import ExperimentStatus
    from promptarena.storage.registry.records import BaselineRecord, TransitionRecord
    from promptarena.storage.registry.registry import Registry

__all__ = ["render_baseline", "render_done", "render_history", "render_statuses"]

_COLOUR: Final = {
    Status.RUNNING: "green",
    Status.PAUSED: "yellow",
    Status.ROLLED_BACK: "red",
    Status.STOPPED: "blue",
    Status.SHIPPED: "cyan",
}
_DID: Final = {
    Move.START: "started",
    Move.AMEND: "amended",
    Move.RAMP: "ramped",
    Move.REALLOCATE: "reallocated",
    Move.PAUSE: "paused: everybody gets the control from the next turn on",
    Move.RESUME: "resumed",
    Move.ROLLBACK: "rolled back: everybody gets the control from the next turn on",
    Move.STOP: "stopped: everybody gets the baseline",
    Move.SHIP: "shipped",
}


def render_done(done: Done, registry: Registry, *, as_json: bool) -> None:
    """What a command did, and what may come next."""
    [standing] = statuses(registry, SystemClock(), done.experiment)
    if as_json:
        _print_json({**asdict(done), "next": standing.next})
        return
    if (step := done.transition) is None:
        typer.echo(f"{done.experiment}: nothing has changed; {_place(standing.stage, standing.traffic)}.")
    else:
        typer.echo(f"{done.experiment}: {_DID[step.move]}; {_place(step.stage, step.traffic)}.")
        for overruled in step.overrides:
            typer.echo(f"  overruled by {step.actor}: {overruled}")
    if done.baseline is not None:
        typer.echo(f"  {_sentence(done.baseline)}")
    for note in done.notes:
        typer.echo(f"  {note}")
    typer.echo(f"Next: {standing.next}.")


def render_baseline(baseline: BaselineRecord, *, as_json: bool) -> None:
    """A feature's new baseline."""
    if as_json:
        _print_json({"baseline": asdict(baseline)})
    else:
        typer.echo(_sentence(baseline))


def render_statuses(found: Sequence[ExperimentStatus], *, as_json: bool) -> None:
    """Where experiments stand."""
    if as_json:
        _print_json({"experiments": [asdict(status) for status in found]})
        return
    if not found:
        typer.echo("Nothing was started yet. `arena start FILE` starts an experiment.")
        return
    for status in found:
        word = typer.style(status.status.value, fg=_COLOUR[status.status])
        beside = f", {status.slot * 100:g}% of its units" if status.slot < 1 else ""
        typer.echo(f"{status.experiment}: {word}; {_place(status.stage, status.traffic)}")
        typer.echo(f"    on {status.feature}{beside}; since {_moment(status.since)} by {status.actor}")
        if status.epoch:
            weights = ", ".join(f"{name} {weight * 100:.4g}%" for name, weight in status.weights.items())
            typer.echo(f"    weights: {weights}, in epoch {status.epoch}")
        typer.echo(f"    next: {status.next}")


def render_history(
    name: str, transitions: Sequence[TransitionRecord], baselines: Sequence[BaselineRecord], *, as_json: bool
) -> None:
    """How an experiment came where it stands; which baselines a feature has had."""
    if as_json:
        plain = {"transitions": [asdict(t) for t in transitions], "baselines": [asdict(b) for b in baselines]}
        _print_json({"name": name, **plain})
        return
    for step in transitions:
        what = f"{step.move} {step.variant}" if step.variant else step.move.value
        place = _place(step.stage, step.traffic)
        typer.echo(f"{step.number}  {_moment(step.at)}  {step.actor}: {what} -> {step.status}; {place}")
        _tell(step.reason, _evidence(step.evidence), *(f"overruled: {text}" for text in step.overrides))
    for version in baselines:
        what = _origin(version)
        model = f"{version.settings.get('model')}, configuration {version.config_hash[:12]}"
        typer.echo(f"{version.version}  {_moment(version.at)}  {version.actor}: {what}")
        _tell(version.reason, model)


def _place(stage: str, traffic: float) -> str:
    return f"{stage}, {traffic * 100:g}% of the traffic" if traffic else f"{stage}, no traffic"


def _sentence(baseline: BaselineRecord) -> str:
    return f"The baseline of {baseline.feature} is version {baseline.version} now: {_origin(baseline)}."


def _origin(baseline: BaselineRecord) -> str:
    if baseline.origin == "ship":
        return f"{baseline.variant} of {baseline.experiment}, shipped"
    if baseline.restores is not None:
        return f"version {baseline.restores} again"
    return "as arena.yaml says"


def _evidence(evidence: dict[str, Any] | None) -> str:
    if evidence is None or "source" not in evidence:  # a bandit's rewards are in its reason
        return ""
    said = f"{evidence['kind']} `{evidence['status']}`" if "status" in evidence else "evidence"
    return f"{said} in {evidence['source']} (sha256 {evidence['sha256'][:12]})"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _tell(*lines: str | None) -> None:
    for line in filter(None, lines):
        typer.echo(f"    {line}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=datetime.isoformat, allow_nan=False))
