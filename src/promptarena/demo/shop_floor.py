"""Customers at the shop's support: every turn is a real request, timed and recorded through the Arena."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from promptarena.demo.customers import Conversation, Customer
from promptarena.demo.live_project import FEATURE
from promptarena.demo.simulated_clock import SimulatedClock
from promptarena.sdk.async_client import AsyncArena

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["ShopFloor"]

_TOGETHER: Final = timedelta(minutes=30)
_READS: Final = timedelta(seconds=40)
_DECIDES: Final = timedelta(minutes=5)


class ShopFloor:
    """Where customers are served, those together who come within half an hour.

    More at once would have the calendar run ahead of who came first, and the log call their events late.

    Args:
        served: called after each conversation.
        concurrency: how many conversations are under way at once, at most.
    """

    def __init__(
        self,
        arena: AsyncArena,
        client: AsyncOpenAI,
        clock: SimulatedClock,
        served: Callable[[], None],
        concurrency: int = 16,
    ) -> None:
        self._arena = arena
        self._client = client
        self._clock = clock
        self._served = served
        self._concurrency = concurrency
        self._under_way: dict[int, datetime] = {}
        self._left = asyncio.Event()

    async def serve(self, customers: Iterable[Customer]) -> None:
        """Serve customers in the order in which they arrive, until the last of them has left."""

        async def visit(customer: Customer) -> None:
            try:
                await self._visit(customer)
            finally:
                del self._under_way[customer.number]
                self._left.set()

        async with asyncio.TaskGroup() as visits:
            for customer in customers:
                while self._must_wait(customer):
                    self._left.clear()
                    await self._left.wait()
                # What is queued is received now, not when the calendar has gone on.
                await self._arena.flush()
                self._under_way[customer.number] = customer.arrives
                visits.create_task(visit(customer))
        await self._arena.flush()

    def _must_wait(self, customer: Customer) -> bool:
        arrivals = self._under_way.values()
        return len(arrivals) >= self._concurrency or (
            len(arrivals) > 0 and customer.arrives - min(arrivals) > _TOGETHER
        )

    async def _visit(self, customer: Customer) -> None:
        now = customer.arrives
        self._clock.live_at(now)
        conversation = Conversation(customer)
        pause: timedelta | None = timedelta(0)
        while pause is not None:
            now += pause
            self._clock.live_at(now)
            answer = await self._turn(customer, conversation)
            now += _READS
            pause = conversation.hears(answer)
        self._clock.live_at(now + _DECIDES)
        await self._arena.measure(
            "resolved", conversation.resolved, conversation=customer.conversation_id, source="business"
        )
        if conversation.rating is not None:
            await self._arena.measure(
                "rating", conversation.rating, conversation=customer.conversation_id, source="human"
            )
        self._served()

    async def _turn(self, customer: Customer, conversation: Conversation) -> str | None:
        """One question and its answer, as an application would write it."""
        from openai import APIError

        assignment = await self._arena.assign(
            FEATURE,
            {"conversation": customer.conversation_id, "user": customer.user_id},
            customer.attributes,
        )
        parts = []
        try:
            async with self._arena.call(
                assignment, turn=conversation.turn, input=conversation.messages[-1]["content"]
            ) as call:
                stream = await self._client.chat.completions.create(
                    **assignment.chat(conversation.messages),
                    user=customer.conversation_id,
                    stream=True,
                    stream_options={"include_usage": True},
                )
                async for chunk in call.stream(stream):
                    parts += [choice.delta.content or "" for choice in chunk.choices]
        except APIError:
            return None
        return "".join(parts)
