"""A feature's baseline: arena.yaml says it first; shipping, reverting and edits make new versions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from promptarena.definitions.project import Project
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.definitions.variant import Settings
from promptarena.errors import UsageError
from promptarena.storage.registry.records import BaselineRecord

__all__ = ["edited", "present_settings", "reverted", "settings_of", "shipped", "with_baseline"]


def settings_of(record: BaselineRecord) -> Settings:
    """The settings of a version."""
    return Settings.model_validate(record.settings)


def edited(
    feature: str, written: Settings, versions: Sequence[BaselineRecord], at: datetime, actor: str
) -> BaselineRecord | None:
    """The version that an edit of arena.yaml makes; `None` if it says what it said last.

    What it said last is what counts, not what holds now: a shipped treatment stands while the file is left as
    it was, and gives way once somebody edits the file.
    """
    said = next((version for version in reversed(versions) if version.origin == "file"), None)
    if said is not None and said.config_hash == written.config_hash:
        return None
    return _record(
        feature,
        written,
        versions,
        origin="file",
        at=at,
        actor=actor,
        reason="arena.yaml was edited" if versions else "arena.yaml, as first seen",
    )


def shipped(
    feature: str,
    settings: Settings,
    versions: Sequence[BaselineRecord],
    at: datetime,
    actor: str,
    *,
    experiment: str,
    variant: str,
    reason: str | None,
) -> BaselineRecord:
    """The version that a treatment becomes."""
    return _record(
        feature,
        settings,
        versions,
        origin="ship",
        at=at,
        actor=actor,
        reason=reason,
        experiment=experiment,
        variant=variant,
    )


def reverted(
    feature: str,
    versions: Sequence[BaselineRecord],
    at: datetime,
    actor: str,
    reason: str | None,
    to: int | None = None,
    *,
    known: Collection[str] = (),
) -> BaselineRecord:
    """The version that brings an earlier one back.

    Args:
        feature: its name.
        versions: all so far.
        at: now.
        actor: who does it.
        reason: why.
        to: the version to bring back; the one before the present one where it is not said. After a revert,
            that is the one before the version that came back, so that reverting again goes further back.
        known: features that have a baseline, to be told where this one has none.

    Raises:
        UsageError: there is no such version, it holds already, or nothing came before.
    """
    if not versions:
        beside = f"; it has those of {listed(known)}" if known else ", nor of any other feature"
        raise UsageError(
            f"The registry has no baseline of `{feature}`{beside}.",
            hint=did_you_mean(feature, known)
            or "A feature that nothing was ever started on is as arena.yaml says.",
        )
    holds = versions[-1].restores or versions[-1].version
    if to is None:
        if holds == 1:
            raise UsageError(f"`{feature}` is at its first baseline; nothing came before it.")
        to = versions[holds - 2].restores or holds - 1
    elif not 1 <= to <= len(versions):
        raise UsageError(f"`{feature}` has the versions 1 to {len(versions)}; found {to}.")
    else:
        to = versions[to - 1].restores or to
    if to == holds:
        raise UsageError(f"Version {to} is the baseline of `{feature}` already.")
    return _record(
        feature,
        settings_of(versions[to - 1]),
        versions,
        origin="revert",
        at=at,
        actor=actor,
        reason=reason,
        restores=to,
    )


def present_settings(written: Settings, versions: Sequence[BaselineRecord]) -> Settings:
    """The settings that hold: the last version's; what arena.yaml says where there is none."""
    return settings_of(versions[-1]) if versions else written


def with_baseline(project: Project, feature: str, settings: Settings) -> Project:
    """A project whose feature has this baseline, for variants to inherit from."""
    return project.model_copy(update={"features": project.features | {feature: settings}})


def _record(
    feature: str,
    settings: Settings,
    versions: Sequence[BaselineRecord],
    *,
    origin: str,
    at: datetime,
    actor: str,
    reason: str | None,
    restores: int | None = None,
    experiment: str | None = None,
    variant: str | None = None,
) -> BaselineRecord:
    return BaselineRecord(
        feature=feature,
        version=len(versions) + 1,
        settings=settings.model_dump(mode="json", exclude_defaults=True),
        config_hash=settings.config_hash,
        origin=origin,
        restores=restores,
        experiment=experiment,
        variant=variant,
        at=at,
        actor=actor,
        reason=reason,
    )
