"""What an application does with an Arena is what stands in the log."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from tests.llm.test_response_facts import CHAT, MESSAGE
from tests.sdk.arenas import START, SwitchedSource, configuration, events_in, open_core

from promptarena.assignment.assigned import Reason
from promptarena.assignment.pins import MemoryPins
from promptarena.assignment.running import Serving
from promptarena.definitions.clock import ManualClock
from promptarena.definitions.event_lines import EventError
from promptarena.definitions.events import Content, Exposure, Generation, Measurement
from promptarena.errors import UsageError
from promptarena.llm.timing import Timing
from promptarena.sdk.async_client import AsyncArena
from promptarena.sdk.client import Arena
from promptarena.sdk.event_queue import QueueLimits
from promptarena.storage.content_policy import ContentPolicy


def test_an_assignment_is_an_exposure_and_looking_is_none(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena:
        looked = arena.peek("support-bot", {"conversation": "c-1"}, {"tier": "free"})
        assigned = arena.assign("support-bot", {"conversation": "c-1"}, {"tier": "free"})
        arena.assign("search", {"conversation": "c-1"})
    assert (looked.variant, looked.exposed) == (assigned.variant, False)
    [exposure] = events_in(tmp_path, "exposure")
    assert isinstance(exposure, Exposure)
    assert exposure.variant == assigned.variant
    assert (exposure.experiment, exposure.stage, exposure.epoch, exposure.propensity) == (
        "cites",
        "ab",
        0,
        0.5,
    )
    assert (exposure.unit_kind, exposure.unit_id) == ("conversation", "c-1")
    assert exposure.segments == {"tier": "free"}
    assert exposure.request_id == assigned.request_id
    assert exposure.ts == START


def test_the_exposure_is_in_the_log_before_the_stream_has_begun(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        with arena.call(assignment) as call:
            for _ in call.stream([{"choices": [{"index": 0, "delta": {"content": "Within"}}]}]):
                assert arena.flush() == 0
                assert len(events_in(tmp_path, "exposure")) == 1
                assert events_in(tmp_path, "generation") == []
    assert len(events_in(tmp_path, "generation")) == 1


def test_a_generation_says_what_was_served_and_what_the_answer_said(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1", "user": "u-1"}, {"tier": "free"})
        answer = ChatCompletion.model_validate(CHAT)
        arena.record(answer, assignment, latency_ms=812.5, turn=0, retry_count=1, cost_usd=0.002)
    [event] = events_in(tmp_path, "generation")
    assert isinstance(event, Generation)
    assert (event.experiment, event.variant, event.reason) == ("cites", assignment.variant, None)
    assert event.config_hash == assignment.settings.config_hash
    assert (event.conversation_id, event.user_id, event.session_id) == ("c-1", "u-1", None)
    assert (event.request_id, event.response_id) == (assignment.request_id, "chatcmpl-1")
    assert (event.provider, event.model_asked) == ("openai", "sim-small")
    assert event.model_answered == "gpt-4o-mini-2024-07-18"
    assert event.params == {"temperature": 0.3}
    assert (event.input_tokens, event.output_tokens, event.cached_tokens, event.reasoning_tokens) == (
        120,
        45,
        64,
        20,
    )
    assert (event.latency_ms, event.ttft_ms, event.cost_usd, event.turn, event.retry_count) == (
        812.5,
        None,
        0.002,
        0,
        1,
    )
    assert event.role == "served"


def test_no_answer_stands_before_its_exposure_whatever_the_calendar_does(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with Arena(open_core(tmp_path, clock=clock)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        clock.set(START - timedelta(hours=1))
        arena.record(CHAT, assignment, latency_ms=900)
        with arena.call(assignment) as call:
            call.response(CHAT)
    assert [event.ts for event in events_in(tmp_path)] == [START] * 3


def test_who_takes_no_part_is_recorded_with_the_reason_and_no_variant(tmp_path: Path) -> None:
    source = SwitchedSource(configuration(tmp_path / "project", traffic=0))
    with Arena(open_core(tmp_path, source)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        arena.record(MESSAGE, assignment)
    [event] = events_in(tmp_path)
    assert isinstance(event, Generation)
    assert (event.experiment, event.variant, event.reason) == (None, None, "not-enrolled")
    assert event.input_tokens == 120


def test_after_a_rollback_the_control_is_served_and_nobody_is_exposed(tmp_path: Path) -> None:
    source = SwitchedSource(configuration(tmp_path / "project", serving=Serving.ROLLED_BACK))
    with Arena(open_core(tmp_path, source)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        arena.record(CHAT, assignment)
    assert assignment.reason is Reason.ROLLED_BACK
    [event] = events_in(tmp_path)
    assert isinstance(event, Generation)
    assert (event.variant, event.reason) == ("control", "rolled-back")


def test_measurements_name_one_target(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        arena.measure("resolved", True, conversation="c-1", source="business")
        arena.measure("rating", 4, request=assignment, source="human")
        arena.measure("tone", label="kind", request="r-2", source="judge", evaluator="tone-judge")
        arena.measure("churned", False, target={"account": "a-9"})
        with pytest.raises(UsageError, match="one target; found conversation, user"):
            arena.measure("resolved", True, conversation="c-1", user="u-1")
        with pytest.raises(UsageError, match="found none"):
            arena.measure("resolved", True)
        with pytest.raises(EventError, match="NaN"):
            arena.measure("rating", float("nan"), user="u-1")
        with pytest.raises(TypeError, match="conversatoin"):
            arena.measure("rating", 4, conversatoin="c-1")  # type: ignore[call-arg]
    found = [event for event in events_in(tmp_path, "measurement") if isinstance(event, Measurement)]
    assert [(event.name, event.target_kind, event.target, event.value, event.source) for event in found] == [
        ("resolved", "conversation", "c-1", True, "business"),
        ("rating", "request", assignment.request_id, 4, "human"),
        ("tone", "request", "r-2", None, "judge"),
        ("churned", "account", "a-9", False, "code"),
    ]


def test_an_observation_with_a_key_has_one_name_however_often_it_comes(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena:
        first = arena.measure("refund", 20, user="u-1", key="order-17", ts=START)
        again = arena.measure("refund", 20, user="u-1", key="order-17", ts=START)
        other = arena.measure("refund", 20, user="u-2", key="order-17", ts=START)
        with pytest.raises(UsageError, match="give its `ts`"):
            arena.measure("refund", 20, user="u-1", key="order-17")
    assert first.event_id == again.event_id != other.event_id


def test_a_request_is_a_unit_of_its_own(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena:
        assert arena.assign("support-bot", request_id="r-1").units == {"request": "r-1"}
        made = arena.assign("support-bot")
        assert made.units == {"request": made.request_id}
        assert made.reason is Reason.NO_UNIT
        with pytest.raises(UsageError, match=r"datetime with its zone; found 'yesterday'"):
            arena.measure("rating", 4, user="u1", ts="yesterday")  # type: ignore[arg-type]
        looked = arena.peek("support-bot", {"conversation": "c-1"})
        with pytest.raises(UsageError, match="recorded of what `assign` returned; found Assignment"):
            arena.record(None, looked)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="`peek` is for who only looks"):
            arena.call(looked)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="ids by their kind"):
            arena.assign("support-bot", "c-1")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"no feature `suport-bot`.*Did you mean `support-bot`"):
            arena.assign("suport-bot")


def test_content_is_kept_as_the_project_says_and_redacted(tmp_path: Path) -> None:
    kept = ContentPolicy(sample=1.0, redact=frozenset({"email"}))
    with Arena(open_core(tmp_path, content=kept)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        arena.record(CHAT, assignment, input="I am ann@example.org")
    [content] = events_in(tmp_path, "content")
    assert isinstance(content, Content)
    assert content.output == "Within 30 days."
    assert "ann@example.org" not in str(content.input)
    assert (content.request_id, content.conversation_id) == (assignment.request_id, "c-1")
    with Arena(open_core(tmp_path / "none")) as arena:
        arena.record(CHAT, arena.assign("support-bot"), input="I am ann@example.org")
    assert events_in(tmp_path / "none", "content") == []


def test_a_price_fills_in_a_cost_that_nobody_said(tmp_path: Path) -> None:
    core = open_core(tmp_path, price=lambda facts: (facts.input_tokens or 0) * 1e-6)
    with Arena(core) as arena:
        assignment = arena.assign("support-bot")
        priced = arena.record(CHAT, assignment)
        said = arena.record(CHAT | {"usage": CHAT["usage"] | {"cost": 0.5}}, assignment)
        given = arena.record(CHAT, assignment, cost_usd=0.25)
    assert priced.cost_usd == pytest.approx(120e-6)
    assert (said.cost_usd, given.cost_usd) == (0.5, 0.25)


@pytest.mark.parametrize("unit", ["", "x" * 600, "\ud800", 7])
def test_an_odd_id_never_stops_a_request(tmp_path: Path, unit: Any) -> None:
    with Arena(open_core(tmp_path)) as arena:
        assignment = arena.assign("support-bot", {"conversation": unit, "user": unit}, {"tier": unit})
        arena.record(CHAT, assignment)
    assert arena.health().problems == ()
    assert [type(event) for event in events_in(tmp_path, "generation")] == [Generation]


def test_health_tells_what_is_wrong(tmp_path: Path) -> None:
    source = SwitchedSource(configuration(tmp_path / "project"))
    core = open_core(tmp_path, source, limits=QueueLimits(events=1, patience_s=0, linger_s=0.5))
    arena = Arena(core)
    assert arena.health().problems == ()
    source.problem = "The registry is gone."
    arena.refresh()
    arena.assign("support-bot", {"conversation": "c-1"})
    arena.assign("support-bot", {"conversation": "c-2"})
    assert arena.health().problems == ("The registry is gone.", "Events dropped: 1 exposure.")
    arena.close()


def test_the_asynchronous_arena_writes_the_same_events(tmp_path: Path) -> None:
    async def conversation() -> None:
        async with AsyncArena(open_core(tmp_path / "async")) as arena:
            looked = await arena.peek("support-bot", {"conversation": "c-1"})
            assignment = await arena.assign("support-bot", {"conversation": "c-1"}, request_id="r-1")
            assert looked.variant == assignment.variant
            await arena.record(CHAT, assignment, timing=Timing(latency_ms=5.0), turn=1)
            await arena.measure("resolved", True, conversation="c-1")
            assert await arena.flush() == 0
            assert await arena.refresh()
            assert arena.health().problems == ()

    asyncio.run(conversation())
    with Arena(open_core(tmp_path / "sync")) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"}, request_id="r-1")
        arena.record(CHAT, assignment, timing=Timing(latency_ms=5.0), turn=1)
        arena.measure("resolved", True, conversation="c-1")
    one, other = (
        [
            {field: getattr(event, field) for field in event.__struct_fields__ if field != "event_id"}
            for event in found
        ]
        for found in (events_in(tmp_path / "async"), events_in(tmp_path / "sync"))
    )
    assert one == other
    assert len(one) == 3


def test_the_two_arenas_have_the_same_names() -> None:
    names = [{name for name in vars(kind) if not name.startswith("_")} for kind in (Arena, AsyncArena)]
    assert names[0] == names[1]


def test_a_loop_goes_on_while_the_disk_is_slow(tmp_path: Path) -> None:
    async def busy() -> int:
        core = open_core(tmp_path, limits=QueueLimits(events=1, patience_s=0.3, linger_s=0.3))
        beats = 0

        async def heart() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        async with AsyncArena(core) as arena:
            beating = asyncio.create_task(heart())
            for number in range(3):
                await arena.assign("support-bot", {"conversation": f"c-{number}"})
            beating.cancel()
        return beats

    assert asyncio.run(busy()) >= 5


def test_a_bandits_unit_is_pinned_without_holding_up_the_loop(tmp_path: Path) -> None:
    async def meet() -> None:
        pins = MemoryPins()
        source = SwitchedSource(configuration(tmp_path / "project", adaptive=True))
        async with AsyncArena(open_core(tmp_path, source, pins=pins)) as arena:
            await arena.peek("support-bot", {"conversation": "c-1"})
            assert pins.find("cites", "c-1") is None
            assignment = await arena.assign("support-bot", {"conversation": "c-1"})
        pin = pins.find("cites", "c-1")
        assert pin is not None
        assert pin.variant == assignment.variant

    asyncio.run(meet())
