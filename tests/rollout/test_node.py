"""From a transition to what a node serves: units keep their variants, the control comes at once, nothing is lost
while the registry is down."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from tests.rollout.projects import PROJECT, ab_only, edit, gate, verdict

from promptarena.assignment.assigned import Reason
from promptarena.assignment.router import Router
from promptarena.assignment.running import check_succession
from promptarena.definitions.clock import ManualClock
from promptarena.definitions.project import load_project
from promptarena.errors import UsageError
from promptarena.rollout.evidence import read_evidence
from promptarena.rollout.lifecycle import Lifecycle
from promptarena.rollout.node import RegistrySource, configuration_of
from promptarena.storage.registry.address import registry_address
from promptarena.storage.registry.registry import Registry
from promptarena.storage.registry.watch import RegistryWatch

UNITS = [f"conversation-{n}" for n in range(3_000)]


class Node:
    """A node that looks at the registry before each batch."""

    def __init__(self, project: Path, clock: ManualClock) -> None:
        watch = RegistryWatch(
            registry_address(None, project, {}), project / ".arena" / "registry.known.json", clock
        )
        self.source = RegistrySource(watch, load_project(project), clock)
        self.known = self.source.look()
        self.router = Router(self.known.configuration)

    def look(self) -> None:
        before = self.known.configuration
        self.known = self.source.look()
        check_succession(before.running, self.known.configuration.running)
        self.router.swap(self.known.configuration)

    def variants(self) -> dict[str, str | None]:
        return {unit: self.router.assign("support-bot", {"conversation": unit}).variant for unit in UNITS}

    def served(self) -> Counter[tuple[str, str | None, bool]]:
        assigned = [self.router.assign("support-bot", {"conversation": unit}) for unit in UNITS]
        return Counter((a.reason.value, a.settings.system, a.exposed) for a in assigned)


def test_a_node_follows_an_experiment_to_its_end(
    lifecycle: Lifecycle, clock: ManualClock, file: Path, project: Path
) -> None:
    old, new = "Be helpful.", "Be helpful. Cite the policy.\n"
    node = Node(project, clock)
    assert node.served() == {("baseline", old, False): len(UNITS)}
    lifecycle.start(file)
    node.look()
    assert node.served() == {("not-enrolled", old, False): len(UNITS)}

    lifecycle.ramp("cites", evidence=read_evidence(gate(project)))
    node.look()
    canary = node.variants()
    enrolled = {unit: variant for unit, variant in canary.items() if variant}
    assert 0.07 * len(UNITS) < len(enrolled) < 0.13 * len(UNITS)

    clock.advance(timedelta(days=1))
    lifecycle.ramp("cites")
    node.look()
    ab = node.variants()
    assert 0.45 * len(UNITS) < sum(variant is not None for variant in ab.values()) < 0.55 * len(UNITS)
    assert {unit: ab[unit] for unit in enrolled} == enrolled
    # A node that comes later and knows nothing of before has every unit where it was.
    assert Node(project, clock).variants() == ab
    assert {s for _, s, exposed in node.served() if exposed} == {old, new}

    lifecycle.pause("cites", reason="slow")
    node.look()
    assert {(r, s) for r, s, _ in node.served()} == {("paused", old), ("not-enrolled", old)}
    assert node.variants() == ab
    lifecycle.resume("cites")
    node.look()
    assert node.variants() == ab

    lifecycle.ship("cites", reason="better", evidence=read_evidence(verdict(project)))
    node.look()
    assert node.served() == {("baseline", new, False): len(UNITS)}
    lifecycle.revert("support-bot", reason="complaints")
    node.look()
    assert node.served() == {("baseline", old, False): len(UNITS)}


def test_a_rollback_serves_the_control_while_assignments_stand_and_a_stop_ends_them(
    lifecycle: Lifecycle, clock: ManualClock, project: Path
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    node = Node(project, clock)
    before = node.variants()
    lifecycle.rollback("cites", reason="harm")
    node.look()
    assert node.served() == {(Reason.ROLLED_BACK.value, "Be helpful.", False): len(UNITS)}
    assert node.variants() == before
    lifecycle.stop("cites", reason="over")
    node.look()
    assert node.served() == {("baseline", "Be helpful.", False): len(UNITS)}


def test_experiments_side_by_side_never_share_a_unit(
    lifecycle: Lifecycle, clock: ManualClock, project: Path
) -> None:
    lifecycle.start(ab_only(project, "one"), slot=0.5)
    node = Node(project, clock)
    alone = {u: node.router.assign("support-bot", {"conversation": u}) for u in UNITS}
    lifecycle.start(ab_only(project, "two"), slot=0.5)
    node.look()
    both = {u: node.router.assign("support-bot", {"conversation": u}) for u in UNITS}
    met = Counter(a.experiment for a in both.values())
    assert met["one"] + met["two"] == len(UNITS)
    assert abs(met["one"] - met["two"]) < 0.1 * len(UNITS)
    assert all(both[u].variant == alone[u].variant for u in UNITS if alone[u].experiment == "one")


def test_assignments_go_on_while_the_registry_is_down_also_on_a_node_that_starts_then(
    lifecycle: Lifecycle, clock: ManualClock, project: Path
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    node = Node(project, clock)
    before = node.variants()
    same = node.known.configuration
    for file in (project / ".arena").glob("registry.db*"):
        file.rename(file.with_name(f"away-{file.name}"))
    node.look()
    assert node.known.configuration is same
    assert node.known.problem is not None
    assert "Serving from what was known at 2026-03-02 09:00:00 UTC" in node.known.problem
    fresh = Node(project, clock)
    assert fresh.variants() == node.variants() == before
    assert "Serving from what was known" in str(fresh.known.problem)
    for file in (project / ".arena").glob("away-*"):
        file.rename(file.with_name(file.name.removeprefix("away-")))
    fresh.look()
    assert fresh.known.problem is None
    assert fresh.variants() == before


def test_a_node_that_starts_takes_over_what_the_file_was_edited_to(
    lifecycle: Lifecycle, registry: Registry, clock: ManualClock, project: Path
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    lifecycle.stop("cites", reason="a test")
    running = Node(project, clock)
    edit(project / "arena.yaml", ("system: Be helpful.", "system: Be brief."))
    for node in (Node(project, clock), Node(project, clock)):
        assert node.served() == {("baseline", "Be brief.", False): len(UNITS)}
    running.look()
    assert running.served() == {("baseline", "Be brief.", False): len(UNITS)}
    assert [(record.version, record.origin) for record in registry.baselines("support-bot")] == [
        (1, "file"),
        (2, "file"),
    ]
    assert registry.baselines("support-bot")[-1].actor.startswith("node ")


def test_an_edit_is_taken_over_when_a_registry_that_was_down_answers(
    lifecycle: Lifecycle, registry: Registry, clock: ManualClock, project: Path
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    Node(project, clock)
    edit(project / "arena.yaml", ("system: Be helpful.", "system: Be brief."))
    away = [
        file.rename(file.with_name(f"away-{file.name}")) for file in (project / ".arena").glob("registry.db*")
    ]
    node = Node(project, clock)
    assert "Serving from what was known" in str(node.known.problem)
    for file in away:
        file.rename(file.with_name(file.name.removeprefix("away-")))
    node.look()
    assert node.known.problem is None
    assert [record.settings["system"] for record in registry.baselines("support-bot")] == [
        "Be helpful.",
        "Be brief.",
    ]


def test_nothing_is_made_anew_while_nothing_changes(
    lifecycle: Lifecycle, clock: ManualClock, project: Path
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    node = Node(project, clock)
    first = node.known.configuration
    clock.advance(timedelta(seconds=1))
    node.look()
    assert node.known.configuration is first
    node.source.close()


def test_a_feature_that_was_taken_out_of_the_project_while_it_is_tested_is_told(
    lifecycle: Lifecycle, registry: Registry, clock: ManualClock, project: Path
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    line = next(line for line in PROJECT.splitlines() if "support-bot:" in line)
    edit(project / "arena.yaml", (line, ""))
    with pytest.raises(UsageError, match="`cites`: there is no feature `support-bot`"):
        configuration_of(registry.known_state(clock.now()), load_project(project))
