from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.assignment.experiments import BASELINE, by_definition, configuration, definition, running

from promptarena.assignment.assigned import Assignment, Reason
from promptarena.assignment.configuration import Configuration
from promptarena.assignment.layers import Slot, free_slot
from promptarena.assignment.pins import MemoryPins, Pin
from promptarena.assignment.router import Router
from promptarena.assignment.running import RunningExperiment, Serving
from promptarena.definitions.event_lines import decode_events, encode_events
from promptarena.definitions.events import Exposure
from promptarena.errors import StorageError, UsageError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
UNITS = [f"conversation-{number}" for number in range(2000)]
TREATED = next(
    unit for unit in UNITS if by_definition("support-cites-policy", {"a": 0.5, "b": 0.5}, 1, unit) == "b"
)
THREE = {"control": 0.5, "brief": 0.125, "warm": 0.375}


def assign(experiment: RunningExperiment, unit: str, **attributes: Any) -> Assignment:
    return Router(configuration(experiment)).assign("support-bot", {"conversation": unit}, attributes)


@pytest.mark.parametrize("traffic", [0, 1e-3, 0.1, 1 / 3, 0.5, 1])
@pytest.mark.parametrize(
    "weights",
    [
        {"control": 0.5, "treatment": 0.5},
        {"control": 0.8, "treatment": 0.2},
        {"control": 1 / 3, "brief": 1 / 3, "warm": 1 / 3},
        {"control": 0.0, "treatment": 1.0},
        {"control": 1.0, "treatment": 0.0},
        {"control": 0.999, "treatment": 0.001},
        THREE,
    ],
)
def test_a_unit_gets_the_variant_that_the_design_says_in_so_many_words(
    weights: dict[str, float], traffic: float
) -> None:
    router = Router(configuration(running(definition(weights=weights), traffic)))
    for unit in [*UNITS[:300], "Zoë☂", " ", "\x00", "0", "a/b", "x" * 512]:
        found = router.assign("support-bot", {"conversation": unit})
        assert found.variant == by_definition("support-cites-policy", weights, traffic, unit)
        assert found.reason is (Reason.ENROLLED if found.variant else Reason.NOT_ENROLLED)


def test_an_enrolled_unit_is_told_whole() -> None:
    experiment = running(definition(weights=THREE), 1.0, stage="canary")
    found = {a.variant: a for unit in UNITS[:100] for a in [assign(experiment, unit)]}
    warm = experiment.definition.variants[2]
    it = found["warm"]
    assert (it.feature, it.experiment, it.stage, it.epoch) == (
        "support-bot",
        "support-cites-policy",
        "canary",
        0,
    )
    assert (it.variant, it.served, it.propensity) == ("warm", "warm", 0.375)
    assert (it.settings, it.config_hash) == (warm.settings, warm.settings.config_hash)
    assert (it.unit_kind, it.reason, it.exposed, it.deviation) == ("conversation", "enrolled", True, None)
    assert it.unit_id in UNITS


def test_who_is_not_enrolled_gets_the_baseline_and_is_not_exposed() -> None:
    it = assign(running(traffic=0.0, stage="shadow"), "unit")
    assert (it.reason, it.variant, it.served, it.propensity) == (Reason.NOT_ENROLLED, None, None, None)
    assert (it.settings, it.config_hash) == (BASELINE, BASELINE.config_hash)
    assert (it.exposed, it.exposure(NOW), it.deviation) == (False, None, "not-enrolled")
    assert (it.experiment, it.unit_id) == ("support-cites-policy", "unit")


def test_the_baseline_is_the_features_own_though_the_control_is_frozen() -> None:
    moved = BASELINE.changed({"temperature": 0.9})
    router = Router(Configuration({"support-bot": moved}, [running(traffic=0.5)]))
    served = {
        a.reason: a.settings
        for unit in UNITS[:100]
        for a in [router.assign("support-bot", {"conversation": unit})]
        if a.variant != "treatment"
    }
    assert served == {Reason.NOT_ENROLLED: moved, Reason.ENROLLED: definition().variants[0].settings}


@pytest.mark.parametrize(
    ("eligibility", "units", "attributes", "reason"),
    [
        ({}, {"conversation": "c"}, {}, Reason.ENROLLED),
        ({"tier": "free"}, {"conversation": "c"}, {"tier": "free"}, Reason.ENROLLED),
        ({"tier": "free"}, {"conversation": "c"}, {"tier": "plus"}, Reason.NOT_ELIGIBLE),
        ({"tier": "free"}, {"conversation": "c"}, {}, Reason.NOT_ELIGIBLE),
        ({}, {}, {}, Reason.NO_UNIT),
        ({}, {"conversation": ""}, {}, Reason.NO_UNIT),
        ({}, {"conversation": None}, {}, Reason.NO_UNIT),
        ({}, {"conversation": "x" * 513}, {}, Reason.NO_UNIT),
        ({}, {"conversation": "☂" * 171}, {}, Reason.NO_UNIT),
        ({}, {"conversation": "\ud800"}, {}, Reason.NO_UNIT),
        ({}, {"conversation": ["c"]}, {}, Reason.NO_UNIT),
        ({}, {"conversation": b"c"}, {}, Reason.NO_UNIT),
        # kinds never cross
        ({}, {"user": "u", "session": "s"}, {}, Reason.NO_UNIT),
        ({}, {"user": "u"}, {"conversation": "c"}, Reason.NO_UNIT),
        # a missing unit matters only to who could have taken part
        ({"tier": "free"}, {}, {"tier": "plus"}, Reason.NOT_ELIGIBLE),
        ({"tier": "free"}, {}, {"tier": "free"}, Reason.NO_UNIT),
    ],
)
def test_every_request_has_its_reason(
    eligibility: dict[str, Any], units: dict[str, Any], attributes: dict[str, Any], reason: Reason
) -> None:
    router = Router(configuration(running(definition(eligibility=eligibility))))
    it = router.assign("support-bot", units, attributes)
    assert it.reason is reason
    if reason is not Reason.ENROLLED:
        assert (it.variant, it.settings, it.exposure(NOW, attributes)) == (None, BASELINE, None)


def test_a_feature_without_experiments_serves_its_baseline() -> None:
    router = Router(configuration())
    it = router.assign("support-bot", {"conversation": "c"}, {"tier": "free"})
    assert (it.reason, it.settings, it.experiment, it.exposed) == (Reason.BASELINE, BASELINE, None, False)
    assert router.unit_kind("support-bot") is None


def test_an_id_that_is_a_number_is_its_text() -> None:
    router = Router(configuration(running()))
    units: dict[str, Any] = {"conversation": 42}
    assert router.assign("support-bot", units) == router.assign("support-bot", {"conversation": "42"})


def test_the_unit_may_be_an_attribute() -> None:
    router = Router(configuration(running(definition(unit="tenant"))))
    named = router.assign("support-bot", {"tenant": "7"})
    assert (named.reason, named.unit_id, named.unit_kind) == (Reason.ENROLLED, "7", "tenant")
    assert router.assign("support-bot", {"user": "u"}, {"tenant": "7"}) == named
    assert router.assign("support-bot", {}, {"tenant": 7}) == named
    assert router.assign("support-bot", {"user": "u"}, {}).reason is Reason.NO_UNIT
    assert router.assign("support-bot", {}, {"tenant": ""}).reason is Reason.NO_UNIT
    assert router.unit_kind("support-bot") == "tenant"


def test_an_unknown_feature_is_told_with_the_nearest_one() -> None:
    router = Router(configuration())
    for ask in (router.assign, router.peek):
        with pytest.raises(UsageError, match="Did you mean `support-bot`"):
            ask("suport-bot", {"conversation": "c"})
    with pytest.raises(UsageError, match="no feature `search`"):
        router.unit_kind("search")


@pytest.mark.parametrize("serving", [Serving.PAUSED, Serving.ROLLED_BACK])
def test_a_halt_serves_the_control_from_the_next_turn_while_assignments_stand(serving: Serving) -> None:
    router = Router(configuration(running(traffic=0.5)))
    before = [router.assign("support-bot", {"conversation": unit}) for unit in UNITS]
    router.swap(configuration(running(traffic=0.5, serving=serving)))
    control = definition().variants[0].settings
    for was in before:
        it = router.assign("support-bot", {"conversation": str(was.unit_id)})
        assert (it.variant, it.propensity, it.epoch) == (was.variant, was.propensity, was.epoch)
        if was.reason is Reason.NOT_ENROLLED:
            assert it == was
            continue
        assert (it.served, it.settings, it.config_hash) == ("control", control, control.config_hash)
        assert (it.reason, it.deviation) == (Reason(serving.value), serving.value)
        assert (it.exposed, it.exposure(NOW)) == (False, None)
    router.swap(configuration(running(traffic=0.5)))
    assert [router.assign("support-bot", {"conversation": unit}) for unit in UNITS] == before


def test_while_snapshots_are_swapped_every_answer_is_of_one_of_them() -> None:
    snapshots = [
        configuration(running(stage="canary")),
        configuration(running(stage="ab", serving=Serving.PAUSED)),
        configuration(),
    ]
    wholes = {("canary", Reason.ENROLLED), ("ab", Reason.PAUSED), (None, Reason.BASELINE)}
    router = Router(snapshots[0])
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for snapshot in snapshots:
                router.swap(snapshot)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(swap)
        try:
            seen: set[tuple[str | None, Reason]] = set()
            for _ in range(1_000_000):
                it = router.assign("support-bot", {"conversation": "c"})
                seen.add((it.stage, it.reason))
                if not seen < wholes:
                    break
        finally:
            done.set()
    assert seen == wholes


def test_peek_answers_as_assign_and_gives_nothing_to_log() -> None:
    router = Router(configuration(running(traffic=0.5)))
    for unit in UNITS[:100]:
        seen = router.peek("support-bot", {"conversation": unit})
        done = router.assign("support-bot", {"conversation": unit})
        assert seen.exposure(NOW) is None
        assert (seen.variant, seen.reason, seen.settings) == (done.variant, done.reason, done.settings)


def test_an_exposure_says_what_was_true_when_the_unit_was_assigned() -> None:
    experiment = running(definition(weights=THREE, segments=["device", "tier", "level"]), stage="canary")
    router = Router(configuration(experiment))
    attributes = {"device": "mobile", "level": 3, "beta": True, "score": 0.5, "country": None}
    unreadable = {"list": ["a"], "nan": float("nan"), "lone": "\ud800", "huge": 2**63, "bytes": b"a"}
    it = router.assign("support-bot", {"conversation": "Zoë"}, attributes | unreadable)
    event = it.exposure(NOW, attributes | unreadable, "request-1")
    assert event is not None
    assert event == Exposure(
        event_id=event.event_id,
        ts=NOW,
        experiment="support-cites-policy",
        definition_hash=experiment.definition.content_hash,
        stage="canary",
        epoch=0,
        variant=str(it.variant),
        propensity=THREE[str(it.variant)],
        unit_kind="conversation",
        unit_id="Zoë",
        attributes={"device": "mobile", "level": 3, "beta": True, "score": 0.5},
        segments={"device": "mobile", "level": "3"},
        request_id="request-1",
    )
    assert decode_events(encode_events([event])) == [event]


class UnreachablePins:
    """A store that is down."""

    def find(self, *_: object, **__: object) -> Pin | None:
        raise StorageError("The registry cannot be reached.")

    def keep(self, *_: object, **__: object) -> Pin:
        raise StorageError("The registry cannot be reached.")


class TestPinned:
    """A bandit: weights change from epoch to epoch."""

    WEIGHTS = ({"control": 0.5, "treatment": 0.5}, {"control": 0.05, "treatment": 0.95})

    def bandit(self, epoch: int, **changes: Any) -> Configuration:
        return configuration(running(adaptive=True, weights=self.WEIGHTS[epoch], epoch=epoch, **changes))

    def test_a_unit_keeps_variant_epoch_and_propensity_of_its_first_meeting(self) -> None:
        pins = MemoryPins()
        router = Router(self.bandit(0), pins)
        before = [router.assign("support-bot", {"conversation": unit}) for unit in UNITS[:200]]
        router.swap(self.bandit(1))
        after = [router.assign("support-bot", {"conversation": unit}) for unit in UNITS[:200]]
        assert after == before
        assert {(a.epoch, a.propensity) for a in after} == {(0, 0.5)}
        fresh = [router.assign("support-bot", {"conversation": unit}) for unit in UNITS[200:]]
        assert {(a.epoch, a.variant, a.propensity) for a in fresh} == {
            (1, "control", 0.05),
            (1, "treatment", 0.95),
        }
        exposures = [a.exposure(NOW) for a in (after[0], fresh[0])]
        assert [(e.epoch, e.propensity) for e in exposures if e] == [(0, 0.5), (1, fresh[0].propensity)]

    def test_peek_sees_a_pin_and_makes_none(self) -> None:
        pins = MemoryPins()
        router = Router(self.bandit(0), pins)
        assert router.peek("support-bot", {"conversation": "c"}).epoch == 0
        assert pins.find("support-cites-policy", "c") is None
        pins.keep("support-cites-policy", "c", Pin("treatment", 5, 0.25))
        it = router.peek("support-bot", {"conversation": "c"})
        assert (it.variant, it.epoch, it.propensity, it.exposed) == ("treatment", 5, 0.25, False)

    def test_who_is_not_enrolled_is_not_pinned(self) -> None:
        pins = MemoryPins()
        Router(self.bandit(0, traffic=0.0), pins).assign("support-bot", {"conversation": "c"})
        assert pins.find("support-cites-policy", "c") is None

    @pytest.mark.parametrize("serving", [Serving.PAUSED, Serving.ROLLED_BACK])
    def test_a_halt_asks_no_store_and_pins_nobody(self, serving: Serving) -> None:
        router = Router(self.bandit(0, serving=serving), UnreachablePins())
        it = router.assign("support-bot", {"conversation": "c"})
        assert (it.served, it.variant, it.reason, it.exposed) == ("control", None, serving.value, False)

    def test_where_pins_cannot_be_read_the_control_is_served_and_nobody_exposed(self) -> None:
        router = Router(self.bandit(0), UnreachablePins())
        for ask in (router.assign, router.peek):
            it = ask("support-bot", {"conversation": TREATED})
            assert (it.served, it.variant, it.reason) == ("control", None, Reason.PINS_UNAVAILABLE)
            assert (it.exposed, it.deviation) == (False, "pins-unavailable")

    def test_a_pin_of_a_variant_that_is_not_there_serves_the_control(self) -> None:
        pins = MemoryPins()
        pins.keep("support-cites-policy", "c", Pin("gone", 0, 0.5))
        it = Router(self.bandit(1), pins).assign("support-bot", {"conversation": "c"})
        assert (it.served, it.variant, it.reason) == ("control", None, Reason.PINS_UNAVAILABLE)

    def test_a_node_without_a_store_refuses_a_bandit_and_goes_on(self) -> None:
        with pytest.raises(UsageError, match="pin store"):
            Router(self.bandit(0))
        router = Router(configuration(running()))
        before = router.configuration
        with pytest.raises(UsageError, match="pin store"):
            router.swap(self.bandit(0))
        assert router.configuration is before

    def test_requests_come_once_and_are_not_pinned(self) -> None:
        experiment = running(definition(unit="request"), adaptive=True)
        it = Router(configuration(experiment)).assign("support-bot", {"request": "r"})
        assert it.reason is Reason.ENROLLED


@pytest.mark.parametrize(
    ("experiments", "told"),
    [
        ([running(), running(definition("other"))], "hold the same places"),
        (
            [running(slot=free_slot(0.5, [])), running(definition("other"), slot=Slot(((4999, 6000),)))],
            "hold the same places",
        ),
        (
            [
                running(slot=free_slot(0.5, [])),
                running(definition("other", unit="user"), slot=Slot(((5000, 6000),))),
            ],
            "different kinds",
        ),
        ([running(), running(definition(feature="search"))], "are called"),
    ],
)
def test_experiments_that_cannot_run_together_are_refused(
    experiments: list[RunningExperiment], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        configuration(*experiments)


def test_an_experiment_on_no_feature_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no feature `support-bot`"):
        Configuration({"search": BASELINE}, [running()])


def test_experiments_on_different_features_do_not_meet() -> None:
    router = Router(configuration(running(), running(definition("rank", feature="search", unit="user"))))
    units = {"conversation": "c", "user": "u"}
    assert router.assign("support-bot", units).experiment == "support-cites-policy"
    assert router.assign("search", units).unit_id == "u"
    assert (router.unit_kind("support-bot"), router.unit_kind("search")) == ("conversation", "user")


def test_the_hot_path_needs_the_standard_library_alone() -> None:
    """A node imports no engine and no validation to assign; definitions bring theirs with them."""
    heavy = ("numpy", "scipy", "pandas", "pyarrow", "duckdb", "ibis", "pydantic", "msgspec", "sqlalchemy")
    code = f"import promptarena.assignment.router, sys; print([m for m in {heavy} if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
