"""Customers at the shop's support: every turn is a real request, timed and recorded through the Arena."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from promptarena.demo.customers import Conversation, Customer
from promptarena.demo.live_project import FEATURE
from promptarena.demo.simulated_clock import SimulatedClock
from promptarena.sdk.async_client import AsyncArena

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["ShopFloor"]

_READS: Final = timedelta(seconds=40)
_DECIDES: Final = timedelta(minutes=5)


class ShopFloor:
    """Where customers are served, some at a time.

    Args:
        concurrency: how many conversations are under way at once.
        served: called after each conversation.
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

    async def serve(self, customers: Iterable[Customer]) -> None:
        """Serve customers in the order in which they arrive, until the last of them has left."""
        room = asyncio.Semaphore(self._concurrency)

        async def visit(customer: Customer) -> None:
            try:
                await self._visit(customer)
            finally:
                room.release()

        async with asyncio.TaskGroup() as visits:
            for customer in customers:
                await room.acquire()
                visits.create_task(visit(customer))

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
