"""Calls to all providers of a run: from the cache where they were paid for, else made, repeated, and kept.

This is the only place that repeats an attempt. What a call goes through, in order: the cache; a call of the
same content that is under way; the budget; room at the provider; attempts; the cache's disk. Only then it
counts as answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Final

from promptarena.definitions.clock import Clock, SystemClock
from promptarena.definitions.event_id import new_event_id
from promptarena.errors import ArenaError, ModelCallError, ProviderUnusableError
from promptarena.llm.answer_cache import AnswerCache, cache_key
from promptarena.llm.attempt import AttemptError, Failure, Received, Transport
from promptarena.llm.budget import Budget
from promptarena.llm.limiter import AdaptiveLimiter
from promptarena.llm.model_client import Completion, ModelCall
from promptarena.llm.pricing import PriceTable, built_in_prices
from promptarena.llm.replay import Recording
from promptarena.llm.retries import RetryPolicy

__all__ = ["CallCounts", "Line", "ProviderClient"]

_DOWN_AFTER: Final = 8
"""Calls in a row that do not reach a provider, with no answer between, before it is taken to be down: going
on would only wait for each of the rest."""
_BROKEN_AFTER: Final = 40
"""The same of calls that it answers with an error; fewer may be a few questions that it cannot answer."""


@dataclass(slots=True)
class Line:
    """A provider as calls meet it."""

    transport: Transport
    limiter: AdaptiveLimiter
    charged: bool = True
    """Whether its calls cost anything that a budget must foresee."""
    failed_in_a_row: int = 0
    unusable: ProviderUnusableError | None = None


@dataclass(slots=True)
class CallCounts:
    """What a client has done until now."""

    sent: int = 0
    """Calls that were made and answered."""
    cached: int = 0
    """Calls whose answer was known."""
    failed: int = 0
    """Calls without an answer, after all attempts."""
    repeated: int = 0
    """Attempts after a call's first."""
    by_reason: dict[str, int] = field(default_factory=dict)
    """Calls without an answer by what went wrong."""


class ProviderClient:
    """Makes calls; close it after use.

    Args:
        lines: gives a provider's line by its name; asked once a name.
        cache: where answers are kept; without one every call is made.
        budget: what may be spent; anything where it is `None`.
        prices: what calls cost.
        retries: when attempts are repeated.
        recording: where every answer is written too.
        clock: for the moment of a request.
        random: for the jitter of waits.
    """

    def __init__(
        self,
        lines: Callable[[str], Line],
        *,
        cache: AnswerCache | None = None,
        budget: Budget | None = None,
        prices: PriceTable | None = None,
        retries: RetryPolicy | None = None,
        recording: Recording | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.counts = CallCounts()
        self.prices = prices or built_in_prices()
        self.budget = budget or Budget(None, self.prices)
        self._make_line = lines
        self._lines: dict[str, Line] = {}
        self._cache = cache
        self._retries = retries or RetryPolicy()
        self._recording = recording
        self._clock = clock or SystemClock()
        self._random = random or Random()
        self._under_way: dict[bytes, asyncio.Future[Completion]] = {}
        self._halted: ArenaError | None = None
        self._halting = asyncio.Event()

    async def complete(self, call: ModelCall) -> Completion:
        """Make one call, or find its answer.

        Raises:
            ModelCallError: no answer, after all attempts.
            ProviderUnusableError: none, and other calls to this provider would fare no better.
            BudgetSpentError: the call would exceed the budget; nothing was sent.
            UsageError, DefinitionError: the provider cannot be used as it is declared.
            StorageError: the cache's disk refused; the answer does not count.
        """
        found = self.known(call)
        if found is not None:
            return found
        line = self._line(call.provider)
        key = cache_key(call, line.transport.identity)
        if (same := self._under_way.get(key)) is not None:
            found = replace(await asyncio.shield(same), cached=True)
            self.counts.cached += 1
        else:
            found = await self._made(call, line, key)
        if self._recording is not None:
            self._recording.add(call, found)
        return found

    def known(self, call: ModelCall) -> Completion | None:
        """The answer of a call that was paid for before, without any waiting.

        Raises:
            UsageError, DefinitionError: the provider cannot be used as it is declared.
            StorageError: the cache is damaged.
        """
        if self._cache is None:
            return None
        found = self._cache.find(cache_key(call, self._line(call.provider).transport.identity))
        if found is None:
            return None
        self.counts.cached += 1
        found = replace(found, cached=True)
        if self._recording is not None:
            self._recording.add(call, found)
        return found

    def halt(self, why: ArenaError) -> None:
        """Begin no further attempt; attempts under way are paid for, so they are waited for."""
        self._halted = self._halted or why
        self._halting.set()
        for line in self._lines.values():
            line.limiter.end()

    def check(self, provider: str, model: str | None) -> None:
        """See whether a provider can be used as it is declared, without asking it anything.

        Raises:
            UsageError, DefinitionError, DataError: it cannot, or there is a budget and no price of the model.
        """
        if self._line(provider).charged:
            self.budget.check(model or "")

    async def close(self) -> None:
        """Give back all connections."""
        for line in self._lines.values():
            await line.transport.close()

    def _line(self, provider: str) -> Line:
        line = self._lines.get(provider)
        if line is None:
            line = self._lines[provider] = self._make_line(provider)
        return line

    async def _made(self, call: ModelCall, line: Line, key: bytes) -> Completion:
        """Make a call while others of the same content wait for it."""
        outcome = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            completion = await self._called(call, line)
            if self._cache is not None:
                await self._cache.keep(key, completion)
        except BaseException as error:
            # Whoever waits for the same gets the same error; a cancelled call is nobody else's error.
            if isinstance(error, Exception):
                outcome.set_exception(error)
                outcome.exception()
            else:
                outcome.cancel()
            raise
        else:
            outcome.set_result(completion)
            return completion
        finally:
            del self._under_way[key]

    async def _called(self, call: ModelCall, line: Line) -> Completion:
        self._refuse_if_over(line)
        reserved = await self.budget.reserve(call.request) if line.charged else None
        try:
            completion = await self._attempted(call, line)
        except BaseException:
            if reserved is not None:
                self.budget.release(reserved)
            raise
        if reserved is not None:
            self.budget.settle(reserved, completion.cost_usd, completion.facts.output_tokens)
        self.counts.sent += 1
        line.failed_in_a_row = 0
        return completion

    async def _attempted(self, call: ModelCall, line: Line) -> Completion:
        """Attempts until one succeeds or the policy has had enough."""
        broken = overloaded = 0
        while True:
            number = await line.limiter.enter()
            at = self._clock.now()
            try:
                self._refuse_if_over(line)
                received = await line.transport.send(call, broken + overloaded)
                line.limiter.succeeded()
                return self._completion(call, received, at, broken + overloaded)
            except AttemptError as failed:
                error = failed
                if failed.failure is Failure.OVERLOAD:
                    line.limiter.overloaded(number, self._retries.pause_s(failed))
            finally:
                line.limiter.leave()
            if error.failure is Failure.OVERLOAD:
                overloaded += 1
            else:
                broken += 1
            wait = self._retries.wait_s(error, broken, overloaded, self._random)
            if wait is None:
                raise self._given_up(call, line, error, broken + overloaded) from error
            self.counts.repeated += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._halting.wait(), wait)

    def _refuse_if_over(self, line: Line) -> None:
        if error := line.unusable or self._halted:
            raise error

    def _completion(self, call: ModelCall, received: Received, at: datetime, retries: int) -> Completion:
        model = call.request.get("model")
        return Completion(
            facts=received.facts,
            timing=received.timing,
            cost_usd=self.prices.cost_usd(received.facts, model if isinstance(model, str) else None),
            retry_count=retries,
            logprobs=received.logprobs,
            request_id=new_event_id(at),
            at=at,
        )

    def _given_up(self, call: ModelCall, line: Line, error: AttemptError, attempts: int) -> ModelCallError:
        self.counts.failed += 1
        reason = str(error)
        self.counts.by_reason[reason] = self.counts.by_reason.get(reason, 0) + 1
        tries = f" after {attempts} attempts" if attempts > 1 else ""
        told = f"The provider {call.provider!r} gave no answer{tries}: {reason}."
        if error.failure is Failure.PROVIDER:
            return self._ended(line, told, _HINTS.get(error.status or 0))
        if self._retries.wants_too_long(error):
            assert error.retry_after_s is not None
            return self._ended(line, told, f"It wants to be left alone for {error.retry_after_s:,.0f} s.")
        if error.failure is not Failure.CALL:
            line.failed_in_a_row += 1
            if line.failed_in_a_row >= (_DOWN_AFTER if error.unreachable else _BROKEN_AFTER):
                return self._ended(line, told, f"{line.failed_in_a_row} calls in a row failed so.")
        return ModelCallError(told)

    @staticmethod
    def _ended(line: Line, told: str, hint: str | None) -> ProviderUnusableError:
        """No more calls of this provider: also those hear of it that wait for room."""
        line.unusable = ProviderUnusableError(told, hint=hint)
        line.limiter.end()
        return line.unusable


_HINTS: Final = {
    401: "Check its key.",
    402: "Check its account.",
    403: "Check what its key may do.",
    404: "Check its base_url and the model's name.",
    429: "Its account has nothing left to spend.",
}
