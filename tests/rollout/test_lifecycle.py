"""The whole course of an experiment, on a real registry."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.rollout.projects import ab_only, edit, gate, verdict, write_project

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.course import Move, Status
from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.project import load_project
from promptarena.errors import DefinitionError, StaleWriteError, UsageError
from promptarena.rollout.evidence import read_evidence
from promptarena.rollout.lifecycle import Lifecycle, definition_of
from promptarena.rollout.status import statuses
from promptarena.storage.registry.address import registry_address
from promptarena.storage.registry.records import Standing
from promptarena.storage.registry.registry import Registry


def _standing(registry: Registry, name: str = "cites") -> Standing:
    standing = registry.standing(name)
    assert standing is not None
    return standing


def test_what_no_readout_could_size_is_not_started(lifecycle: Lifecycle, file: Path) -> None:
    edit(file, ("primary: resolution", "primary: csat"), ("secondary: [csat]\n", ""))
    with pytest.raises(DefinitionError, match="standard deviation") as refused:
        lifecycle.start(file)
    assert str(refused.value.problems[0].where).endswith("cites.yaml:14:1 (design.sd)")
    edit(file, ("expected: 0.6, mde: 0.05", "expected: 4, mde: 0.1, sd: 1.2"))
    assert lifecycle.start(file).notes is not None


def test_a_change_goes_the_whole_way(
    lifecycle: Lifecycle, registry: Registry, clock: ManualClock, file: Path, project: Path
) -> None:
    lifecycle.start(file, reason="let us see")
    clock.advance(timedelta(hours=1))
    lifecycle.ramp("cites", evidence=read_evidence(gate(project)))
    clock.advance(timedelta(days=1))
    lifecycle.ramp("cites")
    lifecycle.pause("cites", reason="provider is down")
    clock.advance(timedelta(hours=2))
    lifecycle.resume("cites")
    lifecycle.ramp("cites", traffic=1.0)
    clock.advance(timedelta(days=14))
    done = lifecycle.ship("cites", reason="better", evidence=read_evidence(verdict(project)))
    told = [
        (t.move, t.status, t.stage, t.traffic, t.reason, t.actor, bool(t.evidence))
        for t in registry.history("cites")
    ]
    assert told == [
        (Move.START, Status.RUNNING, "offline", 0.0, "let us see", "anna", False),
        (Move.RAMP, Status.RUNNING, "canary", 0.1, None, "anna", True),
        (Move.RAMP, Status.RUNNING, "ab", 0.5, None, "anna", False),
        (Move.PAUSE, Status.PAUSED, "ab", 0.5, "provider is down", "anna", False),
        (Move.RESUME, Status.RUNNING, "ab", 0.5, None, "anna", False),
        (Move.RAMP, Status.RUNNING, "ab", 1.0, None, "anna", False),
        (Move.SHIP, Status.SHIPPED, "ab", 1.0, "better", "anna", True),
    ]
    assert [t.at for t in registry.history("cites")] == sorted(t.at for t in registry.history("cites"))
    assert done.baseline is not None
    assert (done.baseline.version, done.baseline.origin, done.baseline.variant) == (2, "ship", "treatment")
    assert done.baseline.settings["system"] == "Be helpful. Cite the policy.\n"
    assert done.baseline.settings["temperature"] == 0.3


def test_what_was_started_is_kept_as_written_and_as_resolved(
    lifecycle: Lifecycle, registry: Registry, file: Path, project: Path
) -> None:
    lifecycle.start(file)
    kept = _standing(registry)
    written = load_experiment(file, load_project(project))
    assert kept.definition.text == file.read_text()
    assert definition_of(kept).content_hash == kept.experiment.definition_hash == written.content_hash
    assert kept.allocation.weights == {"control": 0.5, "treatment": 0.5}
    assert kept.slot.ranges == ((0, 10_000),)
    # The prompt's file may go; what was frozen stays.
    (project / "cite.md").unlink()
    assert definition_of(_standing(registry)).variants[1].settings.system == "Be helpful. Cite the policy.\n"


def test_starting_again_changes_nothing(lifecycle: Lifecycle, registry: Registry, file: Path) -> None:
    lifecycle.start(file)
    edit(file, ("hypothesis: Citing helps.", "hypothesis:   'Citing helps.'   # laid out anew"))
    done = lifecycle.start(file)
    assert done.transition is None
    assert "says what it said then" in done.notes[0]
    assert len(registry.history("cites")) == 1


@pytest.mark.parametrize(
    ("old", "new", "told", "line"),
    [
        (
            "unit: conversation",
            "unit: user",
            r"`unit` is frozen .*\"conversation\", the file says \"user\"",
            4,
        ),
        ("alpha: 0.05", "alpha: 0.1", r"`design.alpha` .* it was 0.05, the file says 0.1", 15),
        ("margin: 300", "margin: 400", r"`guardrails.latency_p95.margin.value` .* 300", 13),
        ("{rate: resolved,", "{rate: solved,", r"`metrics.resolution.of` ", 9),
        ("segments: [device]", "segments: [device, tier]", r"`segments.tier` .* it was not there", 16),
        ("control: {}", "control: {temperature: 0.9}", r"`variants.control.temperature` ", 6),
        ("  treatment:", "  better:", r"`variants.treatment` .* the file says not there", 5),
        ("feature: support-bot", "feature: search", r"`feature` is frozen", 2),
        (
            "primary: resolution",
            "primary: {metric: resolution, test: non-inferiority, margin: 2%}",
            "`primary.test` ",
            11,
        ),
        ("segments:", "eligibility: {tier: free}\nsegments:", r"`eligibility.tier` ", 16),
    ],
)
def test_a_frozen_part_that_differs_is_named_with_its_place(
    lifecycle: Lifecycle, registry: Registry, file: Path, old: str, new: str, told: str, line: int
) -> None:
    lifecycle.start(file)
    with pytest.raises(DefinitionError, match=told) as caught:
        lifecycle.start(edit(file, (old, new)))
    assert caught.value.problems[-1].hint == (
        "Put it back, or start this as another experiment: a name other than `cites`."
    )
    assert any(p.where is not None and p.where.line == line for p in caught.value.problems)
    assert len(registry.history("cites")) == 1


def test_a_prompt_file_that_was_edited_is_a_frozen_part_too(
    lifecycle: Lifecycle, file: Path, project: Path
) -> None:
    lifecycle.start(file)
    (project / "cite.md").write_text("Cite nothing.")
    with pytest.raises(DefinitionError, match=r"`variants.treatment.system` is frozen .*Cite nothing"):
        lifecycle.start(file)


def test_what_may_be_amended_is_and_goes_on_record(
    lifecycle: Lifecycle, registry: Registry, file: Path, clock: ManualClock
) -> None:
    lifecycle.start(file)
    clock.advance(timedelta(hours=1))
    edit(
        file,
        ("max: 0.01", "max: 0.02"),
        ("traffic: 10%, for: 1d", "traffic: 5%, for: 2d"),
        ("hypothesis: Citing helps.", "hypothesis: Citing helps a lot."),
        ("secondary: [csat]", "secondary: [csat, latency_p50]"),
    )
    done = lifecycle.start(file, reason="5% will do")
    assert done.transition is not None
    assert done.transition.move is Move.AMEND
    assert done.transition.reason == "amended: hypothesis, secondary, rollout, monitors. 5% will do"
    assert done.notes == ("What was added to `secondary` is not preregistered.",)
    kept = _standing(registry)
    assert kept.definition.revision == 1
    assert definition_of(kept).monitors[0].max is not None
    assert kept.experiment.definition_hash == definition_of(kept).content_hash
    # The next stage is entered as amended.
    clock.advance(timedelta(hours=1))
    assert lifecycle.ramp("cites", override=True, reason="gate by hand").transition is not None
    assert _standing(registry).last.traffic == 0.05


def test_a_stage_that_has_begun_is_not_amended(
    lifecycle: Lifecycle, registry: Registry, file: Path, project: Path
) -> None:
    lifecycle.start(file)
    lifecycle.ramp("cites", evidence=read_evidence(gate(project)))
    text = file.read_text()
    for old, new, stage in (
        ("traffic: 10%", "traffic: 20%", "canary"),
        ("above: 0.5", "above: 0.4", "offline"),
        ("{stage: canary, traffic: 10%, for: 1d}", "{stage: canary, skip: why not}", "canary"),
    ):
        file.write_text(text)
        with pytest.raises(DefinitionError, match=f"`{stage}` has begun and stays as it was"):
            lifecycle.start(edit(file, (old, new)))
    file.write_text(text)
    lifecycle.start(edit(file, ("{stage: ab, traffic: 50%}", "{stage: ab, traffic: 80%}")))
    assert _standing(registry).last.move is Move.AMEND


def test_another_checkout_of_the_same_files_says_the_same(
    lifecycle: Lifecycle, file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lifecycle.start(file)
    elsewhere = tmp_path_factory.mktemp("checkout")
    write_project(elsewhere)
    assert lifecycle.start(elsewhere / "cites.yaml").transition is None


@pytest.mark.parametrize("end", ["stop", "rollback", "ship"])
def test_a_name_is_used_once(lifecycle: Lifecycle, project: Path, end: str) -> None:
    file = ab_only(project, "cites")
    lifecycle.start(file)
    if end == "ship":
        lifecycle.ship("cites", reason="r", evidence=read_evidence(verdict(project)))
    else:
        getattr(lifecycle, end)("cites", reason="r")
    with pytest.raises(UsageError, match="a name is used once"):
        lifecycle.start(file)


@pytest.mark.parametrize("status", ["fail", "inconclusive", "invalid"])
def test_a_gate_that_does_not_pass_holds_until_somebody_overrules_it_on_record(
    lifecycle: Lifecycle, registry: Registry, file: Path, project: Path, status: str
) -> None:
    lifecycle.start(file)
    with pytest.raises(UsageError, match="no gate's result was given"):
        lifecycle.ramp("cites")
    evidence = read_evidence(gate(project, status))
    with pytest.raises(UsageError, match=f"The gate of `offline` says `{status}`. win rate .61"):
        lifecycle.ramp("cites", evidence=evidence)
    with pytest.raises(UsageError, match="needs a reason"):
        lifecycle.ramp("cites", evidence=evidence, override=True)
    lifecycle.ramp("cites", evidence=evidence, override=True, reason="the judge was wrong")
    last = _standing(registry).last
    assert last.overrides == (f"The gate of `offline` says `{status}`. win rate .61",)
    assert last.evidence is not None
    assert last.evidence["status"] == status
    assert len(registry.history("cites")) == 2


def test_a_verdict_is_no_gate(lifecycle: Lifecycle, file: Path, project: Path) -> None:
    lifecycle.start(file)
    with pytest.raises(UsageError, match="no gate's result was given"):
        lifecycle.ramp("cites", evidence=read_evidence(verdict(project)))


def test_a_stage_runs_as_long_as_declared_and_pauses_do_not_count(
    lifecycle: Lifecycle, file: Path, project: Path, clock: ManualClock
) -> None:
    lifecycle.start(file)
    lifecycle.ramp("cites", evidence=read_evidence(gate(project)))
    clock.advance(timedelta(hours=20))
    lifecycle.pause("cites")
    clock.advance(timedelta(hours=20))
    lifecycle.resume("cites")
    lifecycle.ramp("cites", traffic=0.2)  # widening is no new stage
    with pytest.raises(UsageError, match="is to run for 1 d and has run for 20 h; 4 h are left"):
        lifecycle.ramp("cites")
    clock.advance(timedelta(hours=4))
    lifecycle.ramp("cites")


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ({"status": "hold"}, "The verdict on `treatment` is `hold`. z 2.77"),
        ({"status": "invalid", "by_variant": {}, "variant": None}, "The verdict on `treatment` is `invalid`"),
        ({"experiment": "shorter"}, "The readout is of `shorter`, not of `cites`"),
        ({"preregistered": False}, "not preregistered"),
        (None, "No readout with a verdict was given"),
    ],
)
def test_shipping_rests_on_a_verdict_that_says_so(
    lifecycle: Lifecycle, registry: Registry, project: Path, evidence: dict[str, object] | None, told: str
) -> None:
    lifecycle.start(ab_only(project, "cites"))
    given = read_evidence(verdict(project, **evidence)) if evidence is not None else None  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=told):
        lifecycle.ship("cites", reason="r", evidence=given)
    assert len(registry.baselines("support-bot")) == 1
    lifecycle.ship("cites", reason="the board wants it", evidence=given, override=True)
    assert told.split(" `")[0] in _standing(registry).last.overrides[0]
    assert len(registry.baselines("support-bot")) == 2


def test_of_several_treatments_one_is_named(lifecycle: Lifecycle, project: Path) -> None:
    file = edit(ab_only(project, "cites"), ("control: {}", "control: {}\n  shorter: {max_tokens: 100}"))
    lifecycle.start(file)
    both = {"treatment": "harmful", "shorter": "ship"}
    evidence = read_evidence(verdict(project, "harmful", by_variant=both))
    with pytest.raises(UsageError, match="There are 2 treatments"):
        lifecycle.ship("cites", reason="r", evidence=evidence)
    with pytest.raises(UsageError, match=r"no treatment `short`.*Did you mean `?'?shorter"):
        lifecycle.ship("cites", reason="r", variant="short", evidence=evidence)
    with pytest.raises(UsageError, match="no treatment `control`"):
        lifecycle.ship("cites", reason="r", variant="control", evidence=evidence)
    with pytest.raises(UsageError, match="The verdict on `treatment` is `harmful`"):
        lifecycle.ship("cites", reason="r", variant="treatment", evidence=evidence)
    done = lifecycle.ship("cites", reason="r", variant="shorter", evidence=evidence)
    assert done.baseline is not None
    assert done.baseline.settings["max_tokens"] == 100


def test_a_stale_writer_fails_with_the_name_of_the_one_who_was_first(
    registry: Registry, clock: ManualClock, project: Path
) -> None:
    """Two people decide on the same state: the second one's service read before the first one wrote."""

    class Late(Registry):
        """Its answer was true when it was asked."""

        def standing(self, experiment: str) -> Standing | None:
            found = super().standing(experiment)
            if found is not None and found.last.number == 0:
                Lifecycle(registry, clock, "bert").pause("cites", reason="slow answers")
            return found

    Lifecycle(registry, clock, "anna").start(ab_only(project, "cites"))
    late = Late(registry_address(None, project, {}))
    with pytest.raises(StaleWriteError, match="`cites` has changed meanwhile: pause by bert"):
        Lifecycle(late, clock, "cleo").ship("cites", reason="r", evidence=read_evidence(verdict(project)))
    late.close()
    assert [t.actor for t in registry.history("cites")] == ["anna", "bert"]
    assert len(registry.baselines("support-bot")) == 1


def test_what_is_not_known_is_told_with_what_is(lifecycle: Lifecycle, file: Path) -> None:
    with pytest.raises(UsageError, match="No experiment `cites` was started"):
        lifecycle.pause("cites")
    with pytest.raises(UsageError, match="no baseline of `support-bot`, nor of any other feature"):
        lifecycle.revert("support-bot", reason="r")
    lifecycle.start(file)
    with pytest.raises(
        UsageError, match=r"no baseline of `suport-bot`; it has those of `support-bot`.*Did you"
    ):
        lifecycle.revert("suport-bot", reason="r")
    with pytest.raises(UsageError, match=r"No experiment `cite` was started; .*`cites`.*Did you mean"):
        lifecycle.pause("cite")


def test_experiments_side_by_side_share_the_units_of_their_feature(
    lifecycle: Lifecycle, registry: Registry, project: Path
) -> None:
    lifecycle.start(ab_only(project, "one"), slot=0.6)
    with pytest.raises(
        UsageError, match=r"40.00% .* 100.00% are asked for. On `support-bot` there are `one`"
    ):
        lifecycle.start(ab_only(project, "two"))
    lifecycle.start(ab_only(project, "two"), slot=0.4)
    assert [s.slot.ranges for s in registry.standings()] == [((0, 6_000),), ((6_000, 10_000),)]
    with pytest.raises(UsageError, match=r"0\.00% .*--slot 50%"):
        lifecycle.start(ab_only(project, "three"), slot=0.1)
    users = edit(ab_only(project, "four"), ("unit: conversation", "unit: user"))
    with pytest.raises(UsageError, match=r"`one` randomises conversations .*users cannot be kept apart"):
        lifecycle.start(users, slot=0.1)
    # A rollback keeps its places, since assignments stand; a stop frees them.
    lifecycle.rollback("one", reason="slow")
    with pytest.raises(UsageError, match=r"0\.00%"):
        lifecycle.start(ab_only(project, "three"), slot=0.5)
    lifecycle.stop("one", reason="mended elsewhere")
    lifecycle.start(ab_only(project, "three"), slot=0.5)
    assert _standing(registry, "three").slot.ranges == ((0, 5_000),)


def test_an_experiment_on_another_feature_is_in_nobodys_way(
    lifecycle: Lifecycle, registry: Registry, project: Path
) -> None:
    lifecycle.start(ab_only(project, "one"))
    lifecycle.start(edit(ab_only(project, "two"), ("feature: support-bot", "feature: search")))
    assert [s.slot.ranges for s in registry.standings()] == [((0, 10_000),)] * 2


def test_status_says_what_may_come_next(
    lifecycle: Lifecycle, registry: Registry, clock: ManualClock, file: Path, project: Path
) -> None:
    def coming() -> str:
        return statuses(registry, clock, "cites")[0].next

    lifecycle.start(file)
    assert coming() == "ramp to canary (10%) once its gate passes"
    lifecycle.ramp("cites", evidence=read_evidence(gate(project)))
    assert coming() == "ramp to ab (50%) from 2026-03-03 09:00 UTC on"
    clock.advance(timedelta(days=1))
    assert coming() == "ramp to ab (50%)"
    lifecycle.pause("cites")
    assert coming() == "resume, rollback or stop"
    lifecycle.resume("cites")
    lifecycle.ramp("cites")
    assert coming() == "ship once a readout says so, or stop"
    lifecycle.rollback("cites", reason="slow")
    assert coming() == "stop, which frees its units"
    lifecycle.stop("cites", reason="over")
    assert coming() == "nothing: it has ended"
    lifecycle.start(ab_only(project, "after"))
    assert [s.experiment for s in statuses(registry, clock)] == ["after", "cites"]
