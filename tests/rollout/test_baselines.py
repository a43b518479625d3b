"""A feature's baseline through edits, ships and reverts; and what experiments inherit from it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rollout.projects import ab_only, edit, verdict

from promptarena.definitions.project import load_project
from promptarena.definitions.variant import Settings
from promptarena.errors import UsageError
from promptarena.rollout.baselines import edited, reverted, settings_of, shipped
from promptarena.rollout.evidence import Evidence, read_evidence
from promptarena.rollout.lifecycle import Lifecycle, definition_of
from promptarena.storage.registry.records import BaselineRecord
from promptarena.storage.registry.registry import Registry

_NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def ship_it(project: Path) -> Evidence:
    return read_evidence(verdict(project))


def _systems(registry: Registry, feature: str = "support-bot") -> list[tuple[str, object]]:
    return [(b.origin, b.settings.get("system")) for b in registry.baselines(feature)]


def _control(registry: Registry, name: str) -> Settings:
    standing = registry.standing(name)
    assert standing is not None
    return definition_of(standing).variants[0].settings


CITE = "Be helpful. Cite the policy.\n"


def test_what_comes_next_inherits_from_what_was_shipped(
    lifecycle: Lifecycle, registry: Registry, project: Path, ship_it: Evidence
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    lifecycle.ship("cites", reason="better", evidence=ship_it)
    lifecycle.start(ab_only(project, "shorter"))
    assert _systems(registry) == [("file", "Be helpful."), ("ship", CITE)]
    assert _control(registry, "shorter").system == CITE
    assert _control(registry, "cites").system == "Be helpful."


def test_reverting_brings_the_version_before_back_and_goes_further_each_time(
    lifecycle: Lifecycle, registry: Registry, project: Path, ship_it: Evidence
) -> None:
    with pytest.raises(UsageError, match="nothing was ever started on"):
        lifecycle.revert("support-bot", reason="r")
    lifecycle.start(ab_only(project, "cites"))
    lifecycle.ship("cites", reason="better", evidence=ship_it)
    lifecycle.start(ab_only(project, "second"))
    lifecycle.ship("second", reason="r", evidence=read_evidence(verdict(project, experiment="second")))
    assert lifecycle.revert("support-bot", reason="complaints").restores == 2
    assert lifecycle.revert("support-bot", reason="more complaints").restores == 1
    with pytest.raises(UsageError, match="at its first baseline"):
        lifecycle.revert("support-bot", reason="r")
    assert lifecycle.revert("support-bot", reason="it was the provider", to=3).restores == 3
    for to in (0, 99):
        with pytest.raises(UsageError, match="the versions 1 to 6"):
            lifecycle.revert("support-bot", reason="r", to=to)
    with pytest.raises(UsageError, match="is the baseline of `support-bot` already"):
        lifecycle.revert("support-bot", reason="r", to=6)
    assert [b.reason for b in registry.baselines("support-bot")][3:] == [
        "complaints",
        "more complaints",
        "it was the provider",
    ]


def test_an_edit_of_the_file_holds_from_the_next_start(
    lifecycle: Lifecycle, registry: Registry, project: Path, ship_it: Evidence
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    lifecycle.ship("cites", reason="better", evidence=ship_it)
    edit(project / "arena.yaml", ("system: Be helpful.", "system: Be brief."))
    lifecycle.start(ab_only(project, "after"))
    assert _systems(registry) == [("file", "Be helpful."), ("ship", CITE), ("file", "Be brief.")]
    assert _control(registry, "after").system == "Be brief."


def test_a_node_takes_an_edit_of_the_file_over_once(
    lifecycle: Lifecycle, registry: Registry, project: Path
) -> None:
    assert lifecycle.adopt_baselines(load_project(project)) == ()
    lifecycle.start(ab_only(project, "cites"))
    assert lifecycle.adopt_baselines(load_project(project)) == ()
    edit(project / "arena.yaml", ("system: Be helpful.", "system: Be brief."))
    [adopted] = lifecycle.adopt_baselines(load_project(project))
    assert (adopted.feature, adopted.version, adopted.settings["system"]) == ("support-bot", 2, "Be brief.")
    assert lifecycle.adopt_baselines(load_project(project)) == ()
    assert len(registry.baselines("support-bot")) == 2


def test_a_running_experiment_keeps_the_baseline_of_its_start(
    lifecycle: Lifecycle, registry: Registry, project: Path, ship_it: Evidence
) -> None:
    file = ab_only(project, "slow")
    lifecycle.start(file, slot=0.5)
    lifecycle.start(ab_only(project, "cites"), slot=0.5)
    lifecycle.ship("cites", reason="better", evidence=ship_it)
    edit(project / "arena.yaml", ("system: Be helpful.", "system: Be brief."))
    # Its file says `control: {}` as before, so nothing frozen has changed.
    assert lifecycle.start(file).transition is None
    assert _control(registry, "slow").system == "Be helpful."


def test_a_treatment_that_was_measured_against_an_older_baseline_is_not_shipped_unawares(
    lifecycle: Lifecycle, project: Path, ship_it: Evidence
) -> None:
    lifecycle.start(ab_only(project, "slow"), slot=0.5)
    lifecycle.start(ab_only(project, "cites"), slot=0.5)
    lifecycle.ship("cites", reason="better", evidence=ship_it)
    evidence = read_evidence(verdict(project, experiment="slow"))
    with pytest.raises(UsageError, match=r"measured against version 1 .* is at version 2 now \(ship by anna"):
        lifecycle.ship("slow", reason="r", evidence=evidence)
    lifecycle.revert("support-bot", reason="complaints")
    done = lifecycle.ship("slow", reason="r", evidence=evidence)
    assert done.transition is not None
    assert done.transition.overrides == ()


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("file"), st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("ship"), st.sampled_from(["a", "b", "s", "t"])),
        st.tuples(st.just("revert"), st.none()),
        st.tuples(st.just("revert"), st.integers(1, 6)),
    ),
    max_size=15,
)


@given(events=_EVENTS)
def test_versions_count_up_and_a_revert_holds_what_an_earlier_one_held(
    events: list[tuple[str, str | int | None]],
) -> None:
    versions: list[BaselineRecord] = []
    for kind, what in events:
        try:
            match kind, what:
                case "file", str():
                    new = edited("f", Settings(model=what), versions, _NOW, "anna")
                case "ship", str():
                    new = shipped(
                        "f",
                        Settings(model=what),
                        versions,
                        _NOW,
                        "anna",
                        experiment="e",
                        variant="v",
                        reason=None,
                    )
                case _:
                    new = reverted("f", versions, _NOW, "anna", "r", what if isinstance(what, int) else None)
        except UsageError:
            continue
        if new is not None:
            versions.append(new)
    assert [v.version for v in versions] == list(range(1, len(versions) + 1))
    for version in versions:
        assert settings_of(version).config_hash == version.config_hash
        if version.origin != "revert":
            assert version.restores is None
            continue
        assert version.restores is not None
        restored = versions[version.restores - 1]
        assert version.restores < version.version
        assert restored.origin != "revert"
        assert restored.config_hash == version.config_hash
