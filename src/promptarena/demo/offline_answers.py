"""The offline part over real HTTP: both prompts answer the golden questions, a judge compares the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final

from promptarena.definitions.event_id import new_event_id
from promptarena.definitions.events import Generation
from promptarena.definitions.experiment import Experiment
from promptarena.definitions.variant import Variant
from promptarena.demo.live_project import FEATURE, Case, LiveProject
from promptarena.llm.chat_request import chat_request
from promptarena.llm.response_facts import ResponseFacts, read_response

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from promptarena.definitions.clock import Clock
    from promptarena.storage.event_log import EventLog

__all__ = ["OfflineRun"]

_JUDGE: Final = (
    "You compare two answers of a shop's support. Which one tells the customer better what applies here, "
    "by the shop's own rule? Answer with one word: first, second or tie."
)
_WORDS: Final = ("first", "second", "tie")


class OfflineRun:
    """One run of all golden cases.

    Args:
        client: of the provider.
        judge: the model that compares.
        log: where the generations are written, as offline ones, which never enter a live readout.
        done: called after each model call.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        judge: str,
        log: EventLog,
        clock: Clock,
        done: Callable[[], None],
        concurrency: int = 16,
    ) -> None:
        self._client = client
        self._judge = judge
        self._log = log
        self._clock = clock
        self._done = done
        self._room = asyncio.Semaphore(concurrency)
        self._run_id = new_event_id(clock.now())

    async def run(self, experiment: Experiment, cases: Sequence[Case], project: LiveProject) -> None:
        """Answer and judge all cases, and write what came of it for `arena duel`.

        Raises:
            openai.APIError: the provider did not answer, after the client's own retries.
        """
        answers = {
            variant.name: dict(
                zip(
                    (case.id for case in cases),
                    await asyncio.gather(*(self._answer(variant, case) for case in cases)),
                    strict=True,
                )
            )
            for variant in experiment.variants
        }
        for name, texts in answers.items():
            project.write_answers(name, texts)
        verdicts = await asyncio.gather(
            *(
                self._compare(case, first, second, answers)
                for case in cases
                for first, second in permutations(answers, 2)
            )
        )
        project.write_verdicts(verdicts)

    async def _answer(self, variant: Variant, case: Case) -> str:
        request = chat_request(variant.settings, case.question)
        started, at = self._clock.monotonic(), self._clock.now()
        facts = await self._ask(self._client.chat.completions.create, user=case.id, **request)
        self._log.append(
            Generation(
                ts=at,
                request_id=new_event_id(at),
                feature=FEATURE,
                role="offline",
                run_id=self._run_id,
                case_id=case.id,
                experiment=None,
                variant=variant.name,
                config_hash=variant.settings.config_hash,
                provider=variant.settings.provider,
                model_asked=variant.settings.model,
                model_answered=facts.model,
                response_id=facts.response_id,
                input_tokens=facts.input_tokens,
                output_tokens=facts.output_tokens,
                finish_reason=facts.finish_reason,
                latency_ms=(self._clock.monotonic() - started) * 1000,
            ),
            "process",
        )
        return facts.output or ""

    async def _compare(
        self, case: Case, first: str, second: str, answers: dict[str, dict[str, str]]
    ) -> tuple[str, str, str, str]:
        content = (
            f"Question: {case.question}\nThe shop's rule: {case.policy.name}. {case.policy.rule}\n"
            f"First answer: {answers[first][case.id]}\nSecond answer: {answers[second][case.id]}"
        )
        messages = [{"role": "system", "content": _JUDGE}, {"role": "user", "content": content}]
        facts = await self._ask(
            self._client.chat.completions.create,
            model=self._judge,
            messages=messages,
            temperature=0,
            user=f"judge-{case.id}",
        )
        word = (facts.output or "").strip().strip(".").lower()
        # What is none of the words stays as it was said: the duel counts it as unreadable.
        return case.id, first, second, word if word in _WORDS else (facts.output or "(nothing)")

    async def _ask(self, create: Callable[..., Awaitable[Any]], **request: Any) -> ResponseFacts:
        async with self._room:
            answer = await create(**request)
        self._done()
        return read_response(answer)
