"""A timed call: durations are the provider's, errors are the call's, content tokens begin with content."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.llm.test_response_facts import CHAT
from tests.llm.test_stream_reader import CHAT as CHUNKS
from tests.sdk.arenas import START, events_in, open_core

from promptarena.definitions.clock import ManualClock
from promptarena.definitions.events import Generation
from promptarena.errors import UsageError
from promptarena.sdk.async_client import AsyncArena
from promptarena.sdk.client import Arena


def _ticking(clock: ManualClock, seconds: list[float]) -> Iterator[dict[str, Any]]:
    """The chunks of an answer, each after its time."""
    for (chunk, _), wait in zip(CHUNKS, seconds, strict=True):
        clock.advance(timedelta(seconds=wait))
        yield chunk


def _generations(folder: Path) -> list[Generation]:
    return [event for event in events_in(folder, "generation") if isinstance(event, Generation)]


def test_a_stream_is_timed_by_its_content_and_not_by_what_the_application_does(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with Arena(open_core(tmp_path, clock=clock)) as arena:
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        clock.advance(timedelta(seconds=60))
        with arena.call(assignment, turn=2) as call:
            texts = list(call.stream(_ticking(clock, [0.1, 0.2, 0.3, 0.16, 0.1, 0.1])))
            clock.advance(timedelta(seconds=30))
    assert texts == [chunk for chunk, _ in CHUNKS]
    [event] = _generations(tmp_path)
    assert msgspec.structs.replace(event, received_at=None) == call.generation
    assert event.ts == START + timedelta(seconds=60)
    assert event.latency_ms == pytest.approx(960)
    assert event.ttft_ms == pytest.approx(600)
    assert event.tpot_ms == pytest.approx(160 / 8)
    assert event.itl_p95_ms == pytest.approx(160)
    assert (event.stream, event.turn, event.output_tokens, event.error) == (True, 2, 9, None)


def test_a_whole_answer_has_a_latency_and_no_first_token(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with Arena(open_core(tmp_path, clock=clock)) as arena, arena.call(arena.assign("support-bot")) as call:
        clock.advance(timedelta(seconds=0.5))
        assert call.response(CHAT) is CHAT
        clock.advance(timedelta(seconds=9))
    [event] = _generations(tmp_path)
    assert event.latency_ms == pytest.approx(500)
    assert (event.ttft_ms, event.tpot_ms, event.itl_p95_ms, event.stream) == (None, None, None, False)
    assert event.finish_reason == "stop"


class RateLimitError(Exception):
    status_code = 429


def _fail(error: Exception) -> None:
    raise error


def test_an_error_of_the_call_is_recorded_by_its_name_and_goes_on(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with Arena(open_core(tmp_path, clock=clock)) as arena:
        assignment = arena.assign("support-bot")

        def ask() -> None:
            with arena.call(assignment):
                clock.advance(timedelta(seconds=0.2))
                raise RateLimitError("slow down, Ann")

        with pytest.raises(RateLimitError):
            ask()
    [event] = _generations(tmp_path)
    assert (event.error, event.output_tokens) == ("RateLimitError 429", None)
    assert event.latency_ms == pytest.approx(200)


def test_a_stream_that_breaks_is_an_error_with_what_came_before(tmp_path: Path) -> None:
    def breaking() -> Iterator[dict[str, Any]]:
        yield from (chunk for chunk, _ in CHUNKS[:3])
        raise ConnectionResetError

    with (
        Arena(open_core(tmp_path)) as arena,
        pytest.raises(ConnectionResetError),
        arena.call(arena.assign("support-bot")) as call,
    ):
        list(call.stream(breaking()))
    [event] = _generations(tmp_path)
    assert (event.error, event.model_answered) == ("ConnectionResetError", "gpt-4o-mini-2024-07-18")
    assert event.ttft_ms is not None


def test_what_the_application_breaks_is_no_error_of_the_call(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena:
        assignment = arena.assign("support-bot")

        def after_the_answer() -> None:
            with arena.call(assignment) as call:
                _fail(KeyError(call.response("mine")))

        def between_chunks() -> None:
            with arena.call(assignment) as call:
                for _ in call.stream(chunk for chunk, _ in CHUNKS):
                    _fail(KeyError("mine"))

        def has_seen_enough() -> None:
            with arena.call(assignment) as call:
                for _ in call.stream(chunk for chunk, _ in CHUNKS):
                    break

        for broken in (after_the_answer, between_chunks):
            with pytest.raises(KeyError, match="mine"):
                broken()
        has_seen_enough()
    assert [event.error for event in _generations(tmp_path)] == [None, None, None]


def test_one_call_has_one_stream(tmp_path: Path) -> None:
    with Arena(open_core(tmp_path)) as arena, arena.call(arena.assign("support-bot")) as call:
        call.stream([])
        with pytest.raises(UsageError, match="one stream"):
            call.stream([])


async def _async_chunks(clock: ManualClock) -> AsyncIterator[dict[str, Any]]:
    for chunk, _ in CHUNKS:
        clock.advance(timedelta(seconds=0.1))
        yield chunk


def test_an_asynchronous_call_is_timed_alike(tmp_path: Path) -> None:
    clock = ManualClock(START)

    async def ask() -> None:
        async with AsyncArena(open_core(tmp_path, clock=clock)) as arena:
            assignment = await arena.assign("support-bot", {"conversation": "c-1"})
            async with arena.call(assignment) as call:
                async for _ in call.stream(_async_chunks(clock)):
                    pass
            async with arena.call(assignment, request_id="second-call") as call:
                call.response(CHAT)

    asyncio.run(ask())
    first, second = _generations(tmp_path)
    assert first.latency_ms == pytest.approx(600)
    assert first.ttft_ms == pytest.approx(300)
    assert first.tpot_ms == pytest.approx(100 / 8)
    assert second.request_id == "second-call"


def test_a_call_that_is_cancelled_is_no_error_of_the_provider(tmp_path: Path) -> None:
    async def ask() -> None:
        async with AsyncArena(open_core(tmp_path)) as arena:
            assignment = await arena.assign("support-bot")

            async def hang() -> None:
                async with arena.call(assignment):
                    await asyncio.sleep(60)

            task = asyncio.create_task(hang())
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(ask())
    [event] = _generations(tmp_path)
    assert (event.error, event.finish_reason) == (None, "cancelled")
