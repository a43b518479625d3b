"""What a registry keeps, and what it refuses; the same on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from tests.storage.registry.steps import T0, baseline, start, step

from promptarena.definitions.course import Move, Status
from promptarena.errors import StaleWriteError, StorageError
from promptarena.storage.registry import tables
from promptarena.storage.registry.address import Address
from promptarena.storage.registry.database import Database
from promptarena.storage.registry.records import AllocationRecord, Change, LookRecord
from promptarena.storage.registry.registry import Registry, open_registry


def test_what_was_committed_is_read_back_as_it_was(registry: Registry, address: Address) -> None:
    begun = start()
    later = step(
        1,
        move=Move.SHIP,
        status=Status.SHIPPED,
        reason="better, “really”",
        evidence={"verdict": {"status": "ship", "z": 2.77}, "none": None},
        overrides=("the canary was short",),
        variant="treatment",
        at=(T0 + timedelta(days=3)).astimezone(timezone(timedelta(hours=5))),
        traffic=1 / 3,
    )
    registry.commit(begun)
    registry.commit(Change(transition=later, baselines=(baseline(2, origin="ship", experiment="cites"),)))
    with open_registry(address) as again:
        assert again.history("cites") == (begun.transition, later)
        standing = again.standing("cites")
        assert standing is not None
        assert standing.experiment == begun.experiment
        assert standing.definition == begun.definition
        assert standing.allocation == begun.allocation
        assert standing.slot == begun.slot
        assert standing.last == later
        assert again.standings() == (standing,)
        assert again.standings(ended=False) == ()
        assert again.baselines("support-bot") == (baseline(1), baseline(2, origin="ship", experiment="cites"))


def test_what_was_never_started_is_not_there(registry: Registry) -> None:
    assert registry.standing("cites") is None
    assert registry.standings() == ()
    assert registry.history("cites") == ()
    assert registry.baselines("support-bot") == ()
    assert registry.looks.taken("cites") == ()
    assert registry.pins.find("cites", "u") is None


def test_the_second_of_two_who_decided_on_the_same_step_fails_and_writes_nothing(registry: Registry) -> None:
    registry.commit(start())
    registry.commit(Change(transition=step(1, actor="bert", move=Move.PAUSE, status=Status.PAUSED)))
    stale = Change(
        transition=step(1, actor="cleo", move=Move.SHIP, status=Status.SHIPPED),
        baselines=(baseline(2, origin="ship"),),
    )
    with pytest.raises(StaleWriteError, match="pause by bert at 2026-03-02 10:30:15 UTC came first"):
        registry.commit(stale)
    assert [t.actor for t in registry.history("cites")] == ["anna", "bert"]
    assert len(registry.baselines("support-bot")) == 1


def test_a_step_that_leaves_one_out_or_comes_before_the_start_fails(registry: Registry) -> None:
    with pytest.raises(StaleWriteError, match="never started"):
        registry.commit(Change(transition=step(1)))
    registry.commit(start())
    with pytest.raises(StaleWriteError, match="this one was to be 2"):
        registry.commit(Change(transition=step(2)))


def test_a_change_that_is_sent_again_counts_once(registry: Registry) -> None:
    begun, on = start(), Change(transition=step(1))
    for change in (begun, begun, on, on):
        registry.commit(change)
    assert len(registry.history("cites")) == 2
    with pytest.raises(StaleWriteError):
        registry.commit(begun)


def test_a_name_is_started_once(registry: Registry) -> None:
    registry.commit(start())
    with pytest.raises(StaleWriteError, match="`cites` has changed meanwhile: start by anna"):
        registry.commit(start(slot=1, baselines=0))


def test_two_starts_on_one_feature_cannot_claim_the_same_turn(registry: Registry) -> None:
    registry.commit(start())
    with pytest.raises(StaleWriteError, match="Another experiment on this feature was started"):
        registry.commit(start("shorter", slot=0, baselines=0))
    assert registry.standing("shorter") is None
    registry.commit(start("shorter", slot=1, baselines=0))
    assert [slot.experiment for slot in registry.slots("support-bot")] == ["cites", "shorter"]


def test_shipping_over_a_baseline_that_came_meanwhile_fails_whole(registry: Registry) -> None:
    registry.commit(start())
    registry.add_baseline(baseline(2))
    with pytest.raises(StaleWriteError, match="its baseline was changed"):
        registry.commit(Change(transition=step(1), baselines=(baseline(2, origin="ship"),)))
    assert len(registry.history("cites")) == 1


def test_baselines_follow_one_another(registry: Registry) -> None:
    registry.add_baseline(baseline(1))
    for version in (1, 3):
        with pytest.raises(StaleWriteError, match="baseline of `support-bot` has changed"):
            registry.add_baseline(baseline(version))
    registry.add_baseline(baseline(2, restores=1))
    assert [b.restores for b in registry.baselines("support-bot")] == [None, 1]


def test_epochs_follow_one_another(registry: Registry) -> None:
    def epoch(number: int) -> AllocationRecord:
        return AllocationRecord(
            experiment="cites", epoch=number, weights={"control": 0.1, "treatment": 0.9}, at=T0
        )

    with pytest.raises(StaleWriteError, match="`cites` was never started"):
        registry.commit(Change(transition=step(1, move=Move.REALLOCATE), allocation=epoch(1)))
    registry.commit(start())
    registry.commit(Change(transition=step(1, move=Move.REALLOCATE), allocation=epoch(1)))
    with pytest.raises(StaleWriteError, match="has changed meanwhile"):
        registry.commit(Change(transition=step(1, move=Move.REALLOCATE), allocation=epoch(2)))
    assert [a.epoch for a in registry.allocations("cites")] == [0, 1]
    standing = registry.standing("cites")
    assert standing is not None
    assert standing.allocation == epoch(1)


def test_a_revision_holds_from_the_step_that_names_it(registry: Registry) -> None:
    begun = start()
    assert begun.definition is not None
    amended = replace(begun.definition, revision=1, text="amended")
    registry.commit(begun)
    registry.commit(Change(transition=step(1, move=Move.AMEND, revision=1), definition=amended))
    standing = registry.standing("cites")
    assert standing is not None
    assert standing.definition == amended


@pytest.mark.parametrize("table", tables.APPEND_ONLY, ids=lambda table: table.name)
def test_the_database_itself_keeps_what_was_written(
    registry: Registry, address: Address, table: sa.Table
) -> None:
    registry.commit(start())
    registry.looks.record(look_of_one())
    database = Database(address)
    for statement in (sa.delete(table), sa.update(table).values({next(iter(table.c)): "x"})):
        with pytest.raises((StorageError, DBAPIError), match="stands as it was written"):
            database.write(lambda connection, s=statement: connection.execute(s))  # type: ignore[misc]
    rows = database.read(lambda connection: connection.execute(sa.select(table)).all())
    assert len(rows) == 1
    database.close()


def look_of_one() -> LookRecord:
    return LookRecord(experiment="cites", number=1, at=T0, day=None, fraction=0.5, units=10, result={})


def test_judges_are_kept_by_content(registry: Registry) -> None:
    one = registry.judges.keep({"model": "j", "temperature": 0}, T0)
    assert registry.judges.keep({"temperature": 0.0, "model": "j"}, T0 + timedelta(days=1)) == one
    assert registry.judges.find(one) == {"model": "j", "temperature": 0}
    assert registry.judges.find("0" * 64) is None


def test_nodes_are_told_of_what_runs_and_of_present_baselines_alone(registry: Registry) -> None:
    registry.commit(start(baselines=2))
    registry.commit(start("other", feature="search", status=Status.PAUSED))
    before = registry.known_state(T0)
    assert [(s.experiment.name, s.last.status) for s in before.experiments] == [
        ("cites", Status.RUNNING),
        ("other", Status.PAUSED),
    ]
    assert {feature: b.version for feature, b in before.baselines.items()} == {"support-bot": 2, "search": 1}
    assert before.changes == registry.changes()
    registry.commit(Change(transition=step(1, move=Move.STOP, status=Status.STOPPED)))
    after = registry.known_state(T0)
    assert [s.experiment.name for s in after.experiments] == ["other"]
    assert after.changes > before.changes


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(registry: Registry, number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        registry.commit(start(evidence={"z": number}))
    assert registry.standing("cites") is None
