"""Room for calls: AIMD, and a provider that wants to be left alone."""

from __future__ import annotations

import asyncio

import pytest

from promptarena.llm.limiter import AdaptiveLimiter


def test_overload_halves_once_for_calls_that_were_under_way_together() -> None:
    async def run() -> list[int]:
        limiter = AdaptiveLimiter(16)
        numbers = [await limiter.enter() for _ in range(16)]
        limits = []
        for number in numbers:
            limiter.overloaded(number, None)
            limiter.leave()
            limits.append(limiter.limit)
        later = await limiter.enter()
        limiter.overloaded(later, None)
        return [*limits, limiter.limit]

    assert asyncio.run(run()) == [8] * 16 + [4]


def test_the_limit_grows_by_one_a_window_back_to_the_most_and_never_falls_below_one() -> None:
    async def run() -> tuple[int, int, int]:
        limiter = AdaptiveLimiter(8)
        for _ in range(10):
            limiter.overloaded(await limiter.enter(), None)
            limiter.leave()
        lowest = limiter.limit
        for _ in range(4):  # windows of 1, 2, 2 and so on
            limiter.succeeded()
        middle = limiter.limit
        for _ in range(200):
            limiter.succeeded()
        return lowest, middle, limiter.limit

    lowest, middle, highest = asyncio.run(run())
    assert (lowest, highest) == (1, 8)
    assert 1 < middle < 8


def test_nobody_enters_before_the_provider_wants_it_and_then_all_do_in_order() -> None:
    async def run() -> tuple[float, list[int]]:
        loop = asyncio.get_running_loop()
        limiter = AdaptiveLimiter(2)
        limiter.overloaded(await limiter.enter(), 0.1)
        limiter.leave()
        start, entered = loop.time(), []

        async def call(number: int) -> None:
            await limiter.enter()
            entered.append(number)
            await asyncio.sleep(0)
            limiter.leave()

        await asyncio.gather(*map(call, range(5)))
        return loop.time() - start, entered

    waited, entered = asyncio.run(run())
    assert waited >= 0.095
    assert entered == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_cancelled_wait_takes_no_room(cancelled: int) -> None:
    async def run() -> int:
        limiter = AdaptiveLimiter(1)
        await limiter.enter()
        waiting = [asyncio.ensure_future(limiter.enter()) for _ in range(2)]
        await asyncio.sleep(0)
        limiter.leave()  # lets the first one in, which may not know it yet
        waiting[cancelled].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        if cancelled == 1:
            limiter.leave()
            return await asyncio.wait_for(limiter.enter(), 1)
        assert isinstance(done[0], asyncio.CancelledError)
        limiter.leave()
        return await asyncio.wait_for(limiter.enter(), 1)

    assert asyncio.run(run()) > 0
