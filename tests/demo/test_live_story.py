"""The live story: what its log holds is what truly happened, and it ends as its verdict says."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console

from promptarena.definitions.course import Move
from promptarena.definitions.events import Event, Exposure, Generation, Measurement
from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.project import load_project
from promptarena.definitions.readout import Readout, Status
from promptarena.demo.customers import Customer, customers
from promptarena.demo.live_project import golden_cases
from promptarena.demo.live_story import SEED, RealProvider, tell_live
from promptarena.demo.provider import SimulatedProvider
from promptarena.demo.shop import deciding_policy
from promptarena.demo.truth import resolved_under
from promptarena.errors import ArenaError, UsageError
from promptarena.storage.event_log import LogReader
from promptarena.storage.registry.records import TransitionRecord
from promptarena.storage.registry.registry import open_registry
from promptarena.storage.segments import read_segment
from promptarena.wiring import log_folder, registry_of


class Told(NamedTuple):
    """A story, and what it left."""

    folder: Path
    text: str
    readout: Readout | None
    customers: list[Customer]

    def events(self) -> list[Event]:
        reader = LogReader(log_folder(load_project(self.folder)))
        return [event for path in reader.folder.segments() for event in read_segment(path).events]

    def history(self) -> list[TransitionRecord]:
        with open_registry(registry_of(load_project(self.folder))) as registry:
            return list(registry.history("cite-policy"))


Tell = Callable[[int, int], Told]


def _tell(folder: Path, daily: int, weeks: int) -> Told:
    printed = io.StringIO()
    readout = tell_live(folder, Console(file=printed, width=110), daily=daily, weeks=weeks)
    days = 7 * weeks + 2
    sunday = datetime(2026, 3, 1, tzinfo=UTC)
    return Told(folder, printed.getvalue(), readout, customers(daily * days, sunday, days, SEED))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A week with few customers: too little to decide."""
    return _tell(tmp_path_factory.mktemp("short") / "demo", daily=12, weeks=1)


def test_the_log_holds_what_truly_happened(short: Told) -> None:
    events = short.events()
    first: dict[str, Exposure] = {}
    for event in events:
        if isinstance(event, Exposure):
            kept = first.setdefault(event.unit_id, event)
            assert kept.variant == event.variant
    outcomes = {
        event.target: event.value
        for event in events
        if isinstance(event, Measurement) and event.name == "resolved"
    }
    experiment = load_experiment(short.folder / "experiments" / "cite-policy.yaml")
    truth = {
        variant.name: resolved_under(variant.settings, short.customers, SEED)
        for variant in experiment.variants
    }
    # By way of HTTP, the client, the SDK and the log: every customer as the draws alone would have it.
    for customer, *resolved in zip(short.customers, truth["control"], truth["treatment"], strict=True):
        exposure = first.get(customer.conversation_id)
        treated = exposure is not None and exposure.variant == "treatment"
        assert outcomes[customer.conversation_id] == resolved[treated], customer
    assert truth["control"] != truth["treatment"]
    assert len(outcomes) == len(short.customers)


def test_every_exposure_is_of_its_stage_and_before_its_answers(short: Told) -> None:
    stages: defaultdict[str, set[str]] = defaultdict(set)
    exposed: dict[str, datetime] = {}
    for event in short.events():
        if isinstance(event, Exposure):
            stages[event.ts.date().isoformat()].add(event.stage)
            exposed.setdefault(event.unit_id, event.ts)
            assert set(event.segments) == {"device", "tier"}
        if isinstance(event, Generation) and event.role == "served" and event.variant is not None:
            assert event.conversation_id is not None
            assert exposed[event.conversation_id] <= event.ts
            assert None not in (
                event.ttft_ms,
                event.latency_ms,
                event.cost_usd,
                event.output_tokens,
                event.turn,
            )
    assert stages.pop("2026-03-01") == {"canary"}
    assert set(map(frozenset, stages.values())) == {frozenset({"ab"})}
    # Canary: a fifth of a day's customers (4 standard errors of 20 are about 7).
    assert sum(moment.date().day == 1 for moment in exposed.values()) <= 11


def test_events_are_received_when_they_happen(short: Told) -> None:
    log = LogReader(log_folder(load_project(short.folder)))
    counts = log.counts()
    assert (counts.late, counts.ahead, counts.duplicates, counts.torn) == (0, 0, 0, 0)


def test_offline_answers_are_in_the_log_and_never_exposures(short: Told) -> None:
    offline = [event for event in short.events() if isinstance(event, Generation) and event.role == "offline"]
    assert len(offline) == 2 * len(golden_cases())
    assert {event.case_id for event in offline} == {case.id for case in golden_cases()}
    assert len({event.run_id for event in offline}) == 1
    assert all(event.conversation_id is None for event in offline)


def test_a_trial_without_a_verdict_ends_at_the_baseline(short: Told) -> None:
    assert short.readout is not None
    assert short.readout.verdict.status in (Status.CONTINUE, Status.HOLD)
    assert [step.move for step in short.history()] == [Move.START, Move.RAMP, Move.RAMP, Move.STOP]
    assert short.history()[1].evidence is not None
    assert "Stopped: everybody keeps the baseline." in short.text


def test_the_story_says_what_is_simulated_and_leaves_a_page(short: Told) -> None:
    for word in (
        "Simulated:",
        "Real:",
        "The provider is simulated too",
        "the truth, which only a simulation",
    ):
        assert word.lower() in short.text.lower()
    page = (short.folder / "verdict.html").read_text()
    assert "</html>" in page
    made_up = "the provider, the customers and the calendar; this is a demonstration"
    assert made_up in page[: page.index("<section")]
    assert made_up in " ".join(short.text.split())


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "arena.yaml").write_text("mine")
    with pytest.raises(UsageError, match="not a folder of the demonstration"):
        tell_live(tmp_path, Console(file=io.StringIO()))
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UsageError, match="not a folder of the demonstration"):
        tell_live(tmp_path / "taken", Console(file=io.StringIO()))
    assert (tmp_path / "arena.yaml").read_text() == "mine"


def test_a_real_provider_needs_its_key_and_is_told_from_a_simulated_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_KEY", raising=False)
    real = RealProvider("http://127.0.0.1:9/v1", "sim-small", key_env="SHOP_KEY")
    with pytest.raises(UsageError, match="SHOP_KEY is not set"):
        tell_live(tmp_path / "demo", Console(file=io.StringIO()), real=real)
    monkeypatch.setenv("SHOP_KEY", "wrong")
    with SimulatedProvider(SEED, pace=0, key="right") as provider:
        real = RealProvider(provider.base_url, "sim-small", key_env="SHOP_KEY")
        with pytest.raises(ArenaError, match="Incorrect API key"):
            tell_live(tmp_path / "demo", Console(file=io.StringIO()), real=real)


def test_a_gate_that_does_not_pass_ends_the_story_before_any_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "right")
    printed = io.StringIO()
    # Between two prompts of a model that knows nothing there is nothing to choose.
    with SimulatedProvider(SEED, pace=0, key="right") as provider:
        real = RealProvider(provider.base_url, "sim-blank", key_env="SHOP_KEY")
        readout = tell_live(tmp_path / "demo", Console(file=printed, width=110), real=real, daily=5)
    assert readout is None
    assert "no user meets it" in printed.getvalue()
    told = Told(tmp_path / "demo", printed.getvalue(), readout, [])
    assert not any(isinstance(event, Exposure) for event in told.events())
    assert [step.move for step in told.history()] == [Move.START, Move.STOP]


def test_every_golden_question_finds_its_policy() -> None:
    cases = golden_cases()
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert deciding_policy(case.question) is case.policy


@pytest.mark.soak
@pytest.mark.slow
def test_the_whole_story_ships_in_under_two_minutes(tmp_path: Path) -> None:
    told = _tell(tmp_path / "demo", daily=70, weeks=4)
    assert told.readout is not None
    assert told.readout.verdict.status is Status.SHIP
    assert told.readout.verdict.preregistered
    assert [step.move for step in told.history()] == [Move.START, Move.RAMP, Move.RAMP, Move.SHIP]
    assert "holds it" in told.text
    with open_registry(registry_of(load_project(told.folder))) as registry:
        assert registry.baselines("support-bot")[-1].variant == "treatment"
        assert len(registry.looks.taken("cite-policy")) == len(told.readout.looks)
