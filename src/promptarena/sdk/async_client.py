"""The Arena of an application that awaits; the names are those of `client.Arena`.

    async with AsyncArena.local(".") as arena:
        assignment = await arena.assign("support-bot", {"conversation": "c-17"})
        async with arena.call(assignment) as call:
            async for chunk in call.stream(await client.chat.completions.create(..., stream=True)):
                ...

The loop is never held up: where something has to be waited for (room in a full queue, the disk at the end,
the pin of a unit that meets a bandit) a thread waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from promptarena.assignment.assigned import Assignment
from promptarena.definitions.clock import Clock
from promptarena.definitions.events import Event, Generation, Measurement
from promptarena.llm.timing import Timing
from promptarena.sdk.call import AsyncCall
from promptarena.sdk.core import Core, Health, Observed, Price
from promptarena.sdk.details import CallDetails, MeasurementDetails
from promptarena.sdk.event_queue import QueueLimits
from promptarena.sdk.local import open_local
from promptarena.sdk.request_assignment import RequestAssignment
from promptarena.sdk.shown_list import ShownList

if TYPE_CHECKING:
    from promptarena.definitions.variant import Settings

__all__ = ["AsyncArena"]


class AsyncArena:
    """Assigns units to variants and records what comes of it; see `Arena`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @classmethod
    def local(
        cls,
        path: str | Path = ".",
        *,
        clock: Clock | None = None,
        price: Price | None = None,
        limits: QueueLimits | None = None,
        poll_s: float = 1.0,
        maintain: bool = True,
    ) -> AsyncArena:
        """As `Arena.local`; it reads files, so it is called when the application starts."""
        core = open_local(
            Path(path), clock=clock, price=price, limits=limits, poll_s=poll_s, maintain=maintain
        )
        return cls(core)

    async def assign(
        self,
        feature: str,
        units: Mapping[str, str] | None = None,
        attributes: Mapping[str, object] | None = None,
        *,
        request_id: str | None = None,
    ) -> RequestAssignment:
        """As `Arena.assign`."""
        core = self._core
        if core.live.router.configuration.pinned:
            assignment, exposure = await asyncio.to_thread(
                core.assign, feature, units, attributes, request_id
            )
        else:
            assignment, exposure = core.assign(feature, units, attributes, request_id)
        if exposure is not None:
            await self._put(exposure)
        return assignment

    async def interleave(
        self,
        feature: str,
        rank: Callable[[Settings], Awaitable[Sequence[str]]],
        units: Mapping[str, str] | None = None,
        attributes: Mapping[str, object] | None = None,
        *,
        request_id: str | None = None,
    ) -> ShownList:
        """As `Arena.interleave`; both rankings are awaited side by side."""
        assignment = await self.assign(feature, units, attributes, request_id=request_id)
        settings = self._core.rankers(assignment)
        ranked = await asyncio.gather(*(rank(each) for each in settings.values()))
        shown, exposure = self._core.merge(assignment, dict(zip(settings, ranked, strict=True)))
        if exposure is not None:
            await self._put(exposure)
        return shown

    async def peek(
        self,
        feature: str,
        units: Mapping[str, str] | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> Assignment:
        """As `Arena.peek`."""
        core = self._core
        if core.live.router.configuration.pinned:
            return await asyncio.to_thread(core.peek, feature, units, attributes)
        return core.peek(feature, units, attributes)

    async def record(
        self,
        response: object,
        assignment: RequestAssignment,
        *,
        timing: Timing | None = None,
        latency_ms: float | None = None,
        error: str | None = None,
        **details: Unpack[CallDetails],
    ) -> Generation:
        """As `Arena.record`."""
        observed = self._core.observe(response, timing, latency_ms, error)
        return await self._record(assignment, observed, details)

    def call(self, assignment: RequestAssignment, **details: Unpack[CallDetails]) -> AsyncCall:
        """As `Arena.call`, for `async with`."""
        self._core.refuse_other(assignment)
        return AsyncCall(self._core.clock, lambda observed: self._record(assignment, observed, details))

    async def measure(
        self, name: str, value: float | bool | None = None, **details: Unpack[MeasurementDetails]
    ) -> Measurement:
        """As `Arena.measure`."""
        event = self._core.measure(name, value, **details)
        await self._put(event)
        return event

    async def refresh(self) -> bool:
        """As `Arena.refresh`."""
        return await asyncio.to_thread(self._core.live.refresh)

    async def flush(self, timeout_s: float = 5.0) -> int:
        """As `Arena.flush`."""
        return await asyncio.to_thread(self._core.queue.flush, timeout_s)

    def health(self) -> Health:
        """As `Arena.health`."""
        return self._core.health()

    async def close(self) -> None:
        """As `Arena.close`."""
        await asyncio.to_thread(self._core.close)

    async def __aenter__(self) -> AsyncArena:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _record(
        self, assignment: RequestAssignment, observed: Observed, details: CallDetails
    ) -> Generation:
        generation, events = self._core.record(assignment, observed, **details)
        for event, size in events:
            await self._put(event, size)
        return generation

    async def _put(self, event: Event, size: int | None = None) -> None:
        sized = (event,) if size is None else (event, size)
        if not self._core.queue.offer(*sized):
            await asyncio.to_thread(self._core.queue.put, *sized)
