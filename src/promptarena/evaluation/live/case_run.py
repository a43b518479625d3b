"""One case of a live run: its variants answer, then the judge is asked about the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

from promptarena.definitions.variant import Settings
from promptarena.errors import ModelCallError, ProviderUnusableError
from promptarena.evaluation.cases import Case
from promptarena.evaluation.judges import (
    JudgeCall,
    JudgedAnswer,
    JudgedCase,
    JudgeTally,
    Judgment,
    PreparedJudge,
)
from promptarena.evaluation.live.recorded_texts import RecordedTexts
from promptarena.evaluation.live.run_events import RunIdentity, offline_generation
from promptarena.evaluation.live.run_folder import RunFolder, answer_row
from promptarena.evaluation.live.setup import LiveSetup, RunCounts
from promptarena.evaluation.templates import PreparedTemplate
from promptarena.llm.chat_request import chat_request
from promptarena.llm.model_client import Completion, ModelCall

__all__ = ["CaseRun", "RunPlan"]

T = TypeVar("T")

_REFUSED = ("content_filter", "refusal")
_CUT = ("length", "max_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What is asked of every case."""

    identity: RunIdentity
    live: Mapping[str, Settings]
    """By variant, the settings of those that answer now."""
    templates: Mapping[str, PreparedTemplate] = field(default_factory=dict)
    """By variant, what asks in place of the dataset's input; every case fills it."""
    recorded: tuple[str, ...] = ()
    """The variants whose outputs are on file."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Which variants are compared, each pair once."""
    judge: PreparedJudge | None = None
    repeats: int = 1
    stream: bool = False
    """Whether answers are streamed, for TTFT, TPOT and ITL."""

    @property
    def answers_a_case(self) -> int:
        return len(self.live) * self.repeats

    @property
    def judgments_a_case(self) -> int:
        """Calls of judges that a case needs where all of its answers come and differ."""
        if self.judge is None:
            return 0
        return self.judge.calls_a_case(len(self.pairs), len(self.live) + len(self.recorded)) * self.repeats


def compared(variants: Sequence[str], control: str | None) -> tuple[tuple[str, str], ...]:
    """Pairs that are judged: each treatment with the control; all with all where there is none, or more than
    two, so that they can be ranked."""
    if control is not None and len(variants) == 2:
        return tuple((name, control) for name in variants if name != control)
    return tuple(combinations(variants, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRun:
    """Works on one case after another; what comes is written at once, and nothing of it kept in memory."""

    setup: LiveSetup
    plan: RunPlan
    folder: RunFolder
    counts: RunCounts
    tally: JudgeTally | None
    texts: RecordedTexts | None = None
    judged_calls: list[int] = field(default_factory=lambda: [0, 0])
    """Calls of judges and cases until now, from which those of all cases are reckoned."""

    async def run(self, case: Case) -> list[Judgment]:
        """All answers, then all judgments of a case.

        Raises:
            ArenaError: the run has to stop; calls that failed by themselves are counted and noted instead.
        """
        wanted = [(name, repeat) for name in self.plan.live for repeat in range(self.plan.repeats)]

        def answered(at: int, completion: Completion | None, error: str | None) -> Completion | None:
            return self._answered(case, *wanted[at], completion, error)

        found = await self._all([self._answer_call(case, *each) for each in wanted], answered)
        answers = {key: given for key, given in zip(wanted, found, strict=True) if given is not None}
        judgments, failed = await self._judge(case, answers)
        self.counts.complete += len(answers) == len(wanted) and not failed
        return judgments

    def _answer_call(self, case: Case, variant: str, repeat: int) -> ModelCall:
        settings, plan = self.plan.live[variant], self.plan
        request = chat_request(settings, case.asked(plan.templates.get(variant)))
        if repeat and settings.seed is not None:
            request["seed"] = settings.seed + repeat  # the same seed would be the same answer again
        return ModelCall(
            provider=str(settings.provider),
            request=request,
            purpose="answer",
            repeat=repeat,
            stream=plan.stream,
        )

    def _answered(
        self, case: Case, variant: str, repeat: int, completion: Completion | None, error: str | None
    ) -> Completion | None:
        """Write one answer down; `None` where the call failed by itself."""
        self.folder.write_answer(variant, answer_row(case.id, repeat, completion, error))
        if completion is None:
            self.counts.failed_answers += 1
            return None
        self._look_at(completion)
        if self.setup.log is not None and not completion.cached:
            plan = self.plan
            event = offline_generation(
                plan.identity, variant, plan.live[variant], case.id, repeat, completion, stream=plan.stream
            )
            self.setup.log.append(event, "process")
        return completion

    async def _judge(
        self, case: Case, answers: Mapping[tuple[str, int], Completion]
    ) -> tuple[list[Judgment], int]:
        """All judgments of a case, and how many of their calls failed."""
        judge, failed = self.plan.judge, 0
        if judge is None:
            return [], failed
        asked = list(self._questions(judge, case, answers))
        calls = [each for each in asked if isinstance(each, JudgeCall)]
        if len(answers) == self.plan.answers_a_case:  # a case without them says nothing of the others
            self._reckon(len(calls))

        def judged(at: int, completion: Completion | None, error: str | None) -> Judgment:
            nonlocal failed
            failed += completion is None
            return self._judged(judge, calls[at], answers, completion, error)

        judgments = [each for each in asked if isinstance(each, Judgment)]
        judgments += await self._all([each.call for each in calls], judged)
        for judgment in judgments:
            self.folder.write_judgment(judgment)
            if self.tally is not None:
                self.tally.add(judgment)
        return judgments, failed

    def _questions(
        self, judge: PreparedJudge, case: Case, answers: Mapping[tuple[str, int], Completion]
    ) -> Iterator[JudgeCall | Judgment]:
        shown = JudgedCase(id=case.id, input=case.text, reference=case.reference, context=case.context)
        for repeat in range(self.plan.repeats):
            texts = {name: given.facts.output or "" for (name, at), given in answers.items() if at == repeat}
            for name in self.plan.recorded:
                text = self.texts.find(name, case.id) if self.texts is not None else None
                if text is not None:
                    texts[name] = text
            judged = {
                name: JudgedAnswer(variant=name, text=text, repeat=repeat) for name, text in texts.items()
            }
            for one, other in self.plan.pairs:
                if one in judged and other in judged:
                    yield from judge.pair_calls(shown, judged[one], judged[other])
            for answer in judged.values():
                yield from judge.score_calls(shown, answer)

    def _judged(
        self,
        judge: PreparedJudge,
        asked: JudgeCall,
        answers: Mapping[tuple[str, int], Completion],
        completion: Completion | None,
        error: str | None,
    ) -> Judgment:
        if completion is None:
            self.counts.failed_judgments += 1
            return judge.failed(asked, error or "no answer")
        judgment = judge.read(asked, completion)
        if self.setup.log is not None and not completion.cached and completion.at is not None:
            requests = {
                name: given.request_id
                for (name, repeat), given in answers.items()
                if repeat == asked.subject.repeat and given.request_id is not None
            }
            named = {asked.subject.variant, asked.subject.against} - {None}
            # Outputs that were recorded elsewhere have no call in this log that a measurement could be of.
            if named <= requests.keys():
                self.setup.log.append(judge.events(judgment, requests, at=completion.at), "process")
        return judgment

    async def _all(
        self, calls: Sequence[ModelCall], take: Callable[[int, Completion | None, str | None], T]
    ) -> list[T]:
        """Make calls and take what comes of each as soon as it comes; what is known takes no task of its own.

        All of them, also where one stops the run: calls under way are paid for. Then the first failure.

        Args:
            take: given the call's place, and what came of it or why nothing did.
        """
        client = self.setup.client
        found: dict[int, T] = {}

        def took(at: int, completion: Completion | None, error: str | None) -> None:
            found[at] = take(at, completion, error)
            self.counts.done += 1
            self.counts.usd = client.budget.spent
            self.setup.watch.progressed(self.counts)

        async def made(at: int) -> None:
            try:
                completion, error = await client.complete(calls[at]), None
            except ProviderUnusableError:
                raise
            except ModelCallError as failed:
                completion, error = None, str(failed)
            took(at, completion, error)

        missing = []
        for at, call in enumerate(calls):
            known = client.known(call)
            if known is None:
                missing.append(at)
            else:
                took(at, known, None)
        if missing:
            for outcome in await asyncio.gather(*map(made, missing), return_exceptions=True):
                if outcome is not None:
                    raise outcome
        return [found[at] for at in range(len(calls))]

    def _look_at(self, completion: Completion) -> None:
        facts = completion.facts
        self.counts.refused_answers += facts.finish_reason in _REFUSED
        self.counts.cut_answers += facts.finish_reason in _CUT
        self.counts.empty_answers += not (facts.output or "").strip() and not facts.tool_calls

    def _reckon(self, calls: int) -> None:
        """Correct how many calls there will be, by how many judges were asked a case until now."""
        self.judged_calls[0] += calls
        self.judged_calls[1] += 1
        total, cases = self.judged_calls
        answers = self.plan.answers_a_case * self.counts.cases
        self.counts.calls = answers + round(total / cases * self.counts.cases)
