"""`arena start ramp pause resume stop rollback ship revert`: the course of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptarena.cli.options import AsJson
from promptarena.cli.registry_access import opened_lifecycle
from promptarena.errors import UsageError

if TYPE_CHECKING:
    from promptarena.rollout.evidence import Evidence
    from promptarena.storage.registry.registry import Registry

__all__ = ["register"]

Name = Annotated[str, typer.Argument(help="The experiment's name.", show_default=False)]
Why = Annotated[str | None, typer.Option("--reason", "-m", help="Why; goes on record.", metavar="WHY")]
NeededWhy = Annotated[str, typer.Option("--reason", "-m", help="Why; goes on record.", metavar="WHY")]
EvidenceFile = Annotated[
    Path | None,
    typer.Option(
        "--evidence", help="What it rests on: JSON of `arena duel` or `arena readout`.", metavar="FILE"
    ),
]
Override = Annotated[bool, typer.Option("--override", help="Overrule what speaks against it, on record.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (start, ramp, pause, resume, rollback, stop, ship, revert):
        app.command(command.__name__)(command)


def start(
    file: Annotated[Path, typer.Argument(help="The experiment's definition.", show_default=False)],
    slot: Annotated[
        str, typer.Option(help="Share of the feature's units, for experiments side by side.", metavar="SHARE")
    ] = "100%",
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Start an experiment: its definition is frozen. Once more, and what may be amended in the file is.

    Frozen: unit, eligibility, variants, metrics, primary, guardrails, design, segments, allocation,
    interleaving. Amended on record: monitors, secondaries, hypothesis and the stages that have not begun.
    """
    from promptarena.cli.lifecycle_rendering import render_done

    with opened_lifecycle(beside=file) as (registry, lifecycle):
        done = lifecycle.start(file, slot=_share("--slot", slot), reason=reason)
        render_done(done, registry, as_json=as_json)


def ramp(
    name: Name,
    to: Annotated[str | None, typer.Option(help="The stage to enter; the next one.", metavar="STAGE")] = None,
    traffic: Annotated[
        str | None, typer.Option(help="The share to have; as declared.", metavar="SHARE")
    ] = None,
    evidence: EvidenceFile = None,
    override: Override = False,
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Go on to the next stage, or give the present one more traffic. Traffic only widens."""
    from promptarena.cli.lifecycle_rendering import render_done

    share = _share("--traffic", traffic) if traffic is not None else None
    with opened_lifecycle() as (registry, lifecycle):
        done = lifecycle.ramp(
            name,
            to=to,
            traffic=share,
            reason=reason,
            evidence=_evidence(evidence) or _offline_evidence(registry, name),
            override=override,
        )
        render_done(done, registry, as_json=as_json)


def pause(name: Name, reason: Why = None, as_json: AsJson = False) -> None:
    """Serve the control to everybody, from the next turn on, until it is resumed."""
    from promptarena.cli.lifecycle_rendering import render_done

    with opened_lifecycle() as (registry, lifecycle):
        render_done(lifecycle.pause(name, reason=reason), registry, as_json=as_json)


def resume(name: Name, reason: Why = None, as_json: AsJson = False) -> None:
    """Let a paused experiment go on as it was."""
    from promptarena.cli.lifecycle_rendering import render_done

    with opened_lifecycle() as (registry, lifecycle):
        render_done(lifecycle.resume(name, reason=reason), registry, as_json=as_json)


def rollback(name: Name, reason: NeededWhy, evidence: EvidenceFile = None, as_json: AsJson = False) -> None:
    """It does harm: serve the control to everybody, from the next turn on, for good."""
    from promptarena.cli.lifecycle_rendering import render_done

    with opened_lifecycle() as (registry, lifecycle):
        done = lifecycle.rollback(name, reason=reason, evidence=_evidence(evidence))
        render_done(done, registry, as_json=as_json)


def stop(name: Name, reason: NeededWhy, as_json: AsJson = False) -> None:
    """End it to the baseline, and free its part of the feature's units."""
    from promptarena.cli.lifecycle_rendering import render_done

    with opened_lifecycle() as (registry, lifecycle):
        render_done(lifecycle.stop(name, reason=reason), registry, as_json=as_json)


def ship(
    name: Name,
    reason: NeededWhy,
    variant: Annotated[
        str | None, typer.Option(help="The treatment; the only one.", metavar="VARIANT")
    ] = None,
    evidence: EvidenceFile = None,
    override: Override = False,
    as_json: AsJson = False,
) -> None:
    """Make a treatment the feature's new baseline, and end the experiment."""
    from promptarena.cli.lifecycle_rendering import render_done

    with opened_lifecycle() as (registry, lifecycle):
        done = lifecycle.ship(
            name, variant=variant, reason=reason, evidence=_evidence(evidence), override=override
        )
        render_done(done, registry, as_json=as_json)


def revert(
    feature: Annotated[str, typer.Argument(help="The feature's name.", show_default=False)],
    reason: NeededWhy,
    to: Annotated[int | None, typer.Option(help="The version; the one before.", metavar="VERSION")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring an earlier baseline of a feature back."""
    from promptarena.cli.lifecycle_rendering import render_baseline

    with opened_lifecycle() as (_, lifecycle):
        render_baseline(lifecycle.revert(feature, to=to, reason=reason), as_json=as_json)


def _share(flag: str, written: str) -> float:
    from promptarena.definitions.quantities import parse_share

    try:
        return parse_share(float(written) if written.replace(".", "", 1).isdigit() else written)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}.") from None


def _offline_evidence(registry: Registry, name: str) -> Evidence | None:
    """What `arena duel` found of the offline stage of exactly the definition that was started."""
    from promptarena.definitions.project import find_project
    from promptarena.rollout.evidence import read_evidence, stored_evidence
    from promptarena.rollout.lifecycle import known_standing

    standing = known_standing(registry, name)
    if standing.last.stage != "offline":
        return None
    root = find_project(Path.cwd()).parent
    file = stored_evidence(root, name, standing.experiment.definition_hash)
    return read_evidence(file) if file.is_file() else None


def _evidence(file: Path | None) -> Evidence | None:
    from promptarena.rollout.evidence import read_evidence

    return read_evidence(file) if file is not None else None
