"""One model call, timed and recorded by a context manager.

    with arena.call(assignment) as call:
        answer = call.response(client.chat.completions.create(**assignment.chat(messages)))

    with arena.call(assignment) as call:
        for chunk in call.stream(client.chat.completions.create(**assignment.chat(messages), stream=True)):
            ...

The clock starts when the block is entered. The latency ends with the last chunk, or with the answer, and not
with the block: what the application does with an answer is not the provider's time. An error of the call is
recorded under its name and goes on its way; one of the application, after the answer or between its chunks,
is none of the call's. A call that was cancelled has the finish reason `cancelled`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from promptarena.definitions.clock import Clock
from promptarena.definitions.events import Generation
from promptarena.errors import UsageError
from promptarena.llm.response_facts import ResponseFacts, read_response
from promptarena.llm.stream_reader import StreamReader
from promptarena.llm.timing import ContentTimes
from promptarena.sdk.core import Observed
from promptarena.sdk.recording import error_name

__all__ = ["AsyncCall", "Call", "Watch"]

Answer = TypeVar("Answer")
Chunk = TypeVar("Chunk")


class Watch:
    """What is seen of a call between its beginning and its end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._facts = ResponseFacts()
        self._reader: StreamReader | None = None
        self._end: float | None = None
        self._failure: BaseException | None = None
        self._ts = clock.now()
        self._start = clock.monotonic()
        self._times = ContentTimes(self._start)

    def begin(self) -> None:
        """Start the clock."""
        self._ts = self._clock.now()
        self._start = self._clock.monotonic()
        self._times = ContentTimes(self._start)

    def saw_response(self, answer: object) -> None:
        """The whole answer is here."""
        self._end = self._clock.monotonic()
        self._facts = read_response(answer)

    def begin_stream(self) -> StreamReader:
        """A stream is going to be read."""
        if self._reader is not None:
            raise UsageError("A call has one stream; time another one with a call of its own.")
        self._reader = StreamReader()
        return self._reader

    def saw_chunk(self, reader: StreamReader, chunk: object) -> None:
        """One chunk is here."""
        # The time comes first: reading the chunk is not the provider's.
        now = self._clock.monotonic()
        if reader.read(chunk):
            self._times.saw_content(now)

    def end_stream(self, failure: BaseException | None = None) -> None:
        """Its last byte is here, its reader has gone, or it broke."""
        self._end = self._clock.monotonic()
        if not isinstance(failure, GeneratorExit):
            self._failure = failure

    def observed(self, error: BaseException | None) -> Observed:
        """All of it.

        Args:
            error: what left the block.
        """
        facts = self._facts if self._reader is None else self._reader.facts()
        failure = self._failure or (error if self._end is None else None)
        if failure is not None and not isinstance(failure, Exception):
            facts, failure = replace(facts, finish_reason=facts.finish_reason or "cancelled"), None
        end = self._clock.monotonic() if self._end is None else self._end
        return Observed(
            facts=facts,
            ts=self._ts,
            timing=self._times.timing(end, facts.content_tokens),
            stream=self._reader is not None,
            error=None if failure is None else error_name(failure),
        )


class Call:
    """A call under way; made by `Arena.call`."""

    def __init__(self, clock: Clock, record: Callable[[Observed], Generation]) -> None:
        self._watch = Watch(clock)
        self._record = record
        self.generation: Generation | None = None
        """What was recorded, once the block has been left."""

    def response(self, answer: Answer) -> Answer:
        """Take in a whole answer, and hand it back."""
        self._watch.saw_response(answer)
        return answer

    def stream(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Hand on the chunks of a stream as they come, and time them."""
        reader = self._watch.begin_stream()

        def watched() -> Iterator[Chunk]:
            try:
                for chunk in chunks:
                    self._watch.saw_chunk(reader, chunk)
                    yield chunk
            except BaseException as failure:
                self._watch.end_stream(failure)
                raise
            self._watch.end_stream()

        return watched()

    def __enter__(self) -> Call:
        self._watch.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.generation = self._record(self._watch.observed(error))


class AsyncCall:
    """The same, to be awaited; made by `AsyncArena.call`."""

    def __init__(self, clock: Clock, record: Callable[[Observed], Awaitable[Generation]]) -> None:
        self._watch = Watch(clock)
        self._record = record
        self.generation: Generation | None = None
        """What was recorded, once the block has been left."""

    def response(self, answer: Answer) -> Answer:
        """Take in a whole answer (already awaited), and hand it back."""
        self._watch.saw_response(answer)
        return answer

    def stream(self, chunks: AsyncIterable[Chunk]) -> AsyncIterator[Chunk]:
        """Hand on the chunks of a stream as they come, and time them."""
        reader = self._watch.begin_stream()

        async def watched() -> AsyncIterator[Chunk]:
            try:
                async for chunk in chunks:
                    self._watch.saw_chunk(reader, chunk)
                    yield chunk
            except BaseException as failure:
                self._watch.end_stream(failure)
                raise
            self._watch.end_stream()

        return watched()

    async def __aenter__(self) -> AsyncCall:
        self._watch.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.generation = await self._record(self._watch.observed(error))
