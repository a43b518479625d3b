"""How many calls of one provider are under way at once: as many as were asked for, fewer under overload.

The limit follows AIMD (Chiu and Jain 1989): every answer adds 1/limit to it, so that it grows by one while a
whole window of calls succeeds; an overload halves it. Of the calls that were under way when it was halved,
others may be refused as well; they say nothing new and do not halve it again. It begins at the most, since
most providers can take what their users ask for. While a provider wants to be left alone (`retry-after`),
no call begins.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

__all__ = ["AdaptiveLimiter"]

_DECREASE: Final = 0.5


class AdaptiveLimiter:
    """Room for calls.

    Args:
        most: calls under way at once, at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._under_way = 0
        self._begun = 0
        self._halved_at = 0
        """How many calls had begun when the limit was last halved."""
        self._closed_until = 0.0
        self._ended = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """Calls that may be under way at once, as things are."""
        return max(int(self._limit), 1)

    async def enter(self) -> int:
        """Wait for room; gives the call's number, which `succeeded` or `overloaded` wants to know."""
        if self._waiting or not self._has_room():
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            self._let_in()
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self.leave()  # it was let in, and nobody is there to come in
                raise
        else:
            self._under_way += 1
        self._begun += 1
        return self._begun

    def leave(self) -> None:
        """A call is over, however it went."""
        self._under_way -= 1
        self._let_in()

    def succeeded(self) -> None:
        """A call was answered."""
        if self._limit < self._most:
            self._limit = min(self._limit + 1 / self._limit, self._most)

    def overloaded(self, number: int, retry_after_s: float | None) -> None:
        """The call of this number was refused for there being too many."""
        if number > self._halved_at:
            self._limit = max(self._limit * _DECREASE, 1.0)
            self._halved_at = self._begun
        if retry_after_s:
            loop = asyncio.get_running_loop()
            self._closed_until = max(self._closed_until, loop.time() + retry_after_s)

    def end(self) -> None:
        """Let everybody in who waits or comes: nothing is asked any more, and each is to hear of it now."""
        self._ended = True
        self._let_in()

    def _has_room(self) -> bool:
        if self._ended:
            return True
        if self._under_way >= self.limit:
            return False
        return not self._closed_until or asyncio.get_running_loop().time() >= self._closed_until

    def _let_in(self) -> None:
        while self._waiting and self._has_room():
            place = self._waiting.popleft()
            if not place.done():
                self._under_way += 1
                place.set_result(None)
        if self._waiting and self._timer is None and self._under_way < self.limit:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._closed_until, self._opened)

    def _opened(self) -> None:
        self._timer = None
        self._let_in()
