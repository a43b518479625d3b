"""A judge made ready from its definition: which calls a case needs, and what their completions say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from promptarena.definitions.content_hash import content_hash
from promptarena.definitions.events import Measurement
from promptarena.definitions.judge import JudgeEntry, Scoring
from promptarena.definitions.judge_panel import JudgeModel
from promptarena.evaluation.judges.conduct import member_names
from promptarena.evaluation.judges.gathered import Gathered
from promptarena.evaluation.judges.instructions import instructions
from promptarena.evaluation.judges.judgment import (
    PREFERENCE,
    Axis,
    JudgeCall,
    JudgedAnswer,
    JudgedCase,
    Judgment,
    Subject,
    Task,
)
from promptarena.evaluation.judges.measurements import measurements
from promptarena.evaluation.judges.pairwise import PairwiseQuestion
from promptarena.evaluation.judges.panel_votes import decided_verdicts
from promptarena.evaluation.judges.questions import NO_ANSWER, Question, Read, documents_of, message
from promptarena.evaluation.judges.reply import Reply, UnreadableError, own_reply, reply_format
from promptarena.evaluation.judges.rubric_scores import RubricQuestion
from promptarena.evaluation.judges.statements import StatementQuestion
from promptarena.evaluation.judges.suspicion import signs_of_steering
from promptarena.evaluation.judges.tally import JudgeTally
from promptarena.evaluation.judges.token_weights import number_places, weighted_score
from promptarena.evaluation.judges.untrusted import seal_of
from promptarena.llm.model_client import Completion, ModelCall

__all__ = ["LONGEST_TEXT", "READING_VERSION", "PreparedJudge"]

READING_VERSION: Final = 1
"""Of how calls are put together and answers are read; part of every judge's hash."""
LONGEST_TEXT: Final = 200_000
"""Characters that are judged, of all texts of a call together."""
_ALIKE: Final = "Both answers are the same text; nobody was asked."
_SENT: Final = ("temperature", "top_p", "max_tokens", "seed", "reasoning_effort")


class PreparedJudge:
    """Pure: no file, no network, no clock; the runner makes the calls."""

    def __init__(self, judge: JudgeEntry, name: str | None = None) -> None:
        """Make a judge ready.

        Args:
            judge: the definition, with its files read.
            name: what it is called where the definition does not say.
        """
        self.judge = judge
        self.name: str = judge.judge or name or "judge"
        self._members = judge.members
        self._questions = {question.task: question for question in _questions(judge)}
        self._told = {
            task: instructions(judge, task, question.form) for task, question in self._questions.items()
        }
        self.configuration: Mapping[str, Any] = {
            "reading": READING_VERSION,
            "members": [_plain(member) for member in self._members],
            "panel": judge.panel and {"scores": judge.panel.scores.value, "needed": judge.panel.needed},
            "instructions": {task.value: told for task, told in self._told.items()},
            "schemas": {task.value: question.schema for task, question in self._questions.items()},
            "sees": [shown.value for shown in judge.sees],
            "scoring": judge.scoring.value,
            "reply": judge.reply.value,
        }
        """All that a judgment depends on, as plain data; for the registry."""
        self.hash: str = content_hash(self.configuration)
        """Of the configuration; on every call and measurement."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """What single answers are scored on; empty for a judge that only compares pairs."""
        scoring = [question for task, question in self._questions.items() if task is not Task.PAIRWISE]
        return tuple(axis for question in scoring for axis in question.axes)

    @property
    def compares_pairs(self) -> bool:
        return Task.PAIRWISE in self._questions

    def calls_a_case(self, pairs: int, answers: int) -> int:
        """How many calls a case takes where there is something to ask about each answer; those of the sample
        that is asked once more are not among them."""
        scoring = len(self._questions) - self.compares_pairs
        return len(self._members) * (2 * pairs * self.compares_pairs + answers * scoring)

    def pair_calls(
        self, case: JudgedCase, one: JudgedAnswer, other: JudgedAnswer
    ) -> tuple[JudgeCall | Judgment, ...]:
        """What compares two answers: both display orders, each member of the panel, and for a seeded sample
        of cases the same once more.

        A judgment stands in place of a call where there is nothing to ask: a text is too long, or both are
        the same text, which is a tie. Empty where the judge compares no pairs.
        """
        question = self._questions.get(Task.PAIRWISE)
        if question is None:
            return ()
        times = 1 if one.text == other.text else self._times(case.id)
        return tuple(
            asked
            for answers in ((one, other), (other, one))
            for asked in self._asked(question, case, answers, times)
        )

    def score_calls(self, case: JudgedCase, answer: JudgedAnswer) -> tuple[JudgeCall | Judgment, ...]:
        """What scores one answer on every axis; as for pairs, a judgment may stand in place of a call."""
        return tuple(
            asked
            for task, question in self._questions.items()
            if task is not Task.PAIRWISE
            for asked in self._asked(question, case, (answer,), 1)
        )

    def read(self, asked: JudgeCall, completion: Completion) -> Judgment:
        """What a completion says. Never raises: what cannot be read is unscored, with its reason."""
        question = self._questions[asked.subject.task]
        try:
            reply = own_reply(completion, asked.seal)
            read = question.read(reply.value, asked.documents)
        except UnreadableError as error:
            return self._unscored(asked, str(error))
        weighted = self._weighted(read, reply, completion)
        return Judgment(
            subject=asked.subject,
            scores=read.scores | weighted,
            unscored=read.unscored,
            rationale=read.rationale,
            weighted=tuple(weighted),
            suspected=asked.suspected,
        )

    def failed(self, asked: JudgeCall, reason: str) -> Judgment:
        """The judgment of a call that got no completion: unscored, counted as such whatever the reason."""
        return self._unscored(asked, f"{NO_ANSWER}: {reason}")

    def _unscored(self, asked: JudgeCall, reason: str) -> Judgment:
        names = [axis.name for axis in self._questions[asked.subject.task].axes]
        return Judgment(
            subject=asked.subject, unscored=dict.fromkeys(names, reason), suspected=asked.suspected
        )

    def pair_score(self, judgments: Sequence[Judgment], variant: str) -> float | None:
        """One case's score for a variant from all judgments of its pair: the mean over both orders, in
        {0, 1/4, 1/2, 3/4, 1}; `None` where an order is unscored."""
        orders: dict[str, list[float | None]] = {}
        for judgment in judgments:
            subject = judgment.subject
            if subject.task is Task.PAIRWISE and not subject.again:
                orders.setdefault(subject.variant, []).append(judgment.scores.get(PREFERENCE))
        mine = []
        for shown, cast in orders.items():
            votes = np.array([np.nan if vote is None else vote for vote in cast])
            score = float(decided_verdicts(votes, self.judge.panel))
            mine.append(score if shown == variant else 1 - score)
        return sum(mine) / 2 if len(mine) == 2 and not np.isnan(mine).any() else None

    def tally(
        self,
        cases: Mapping[str, int],
        variants: Sequence[str],
        repeats: int = 1,
        models: Mapping[str, str | None] | None = None,
    ) -> JudgeTally:
        """An empty tally.

        Args:
            cases: number of each case, by id, from 0.
            variants: names, in the order that numbers them.
            repeats: answers of each variant to each case.
            models: of the variants, where known: a judge of the same family is told of.
        """
        return JudgeTally(
            name=self.name,
            hash=self.hash,
            judge=self.judge,
            axes=self.axes,
            models=models or dict.fromkeys(variants),
            gathered=Gathered(
                cases=dict(cases),
                variants={variant: number for number, variant in enumerate(variants)},
                repeats=repeats,
                members=len(self._members),
            ),
        )

    def events(
        self, judgment: Judgment, requests: Mapping[str, str], *, at: datetime
    ) -> tuple[Measurement, ...]:
        """The judgment as measurements of the log, source `judge`.

        Args:
            requests: by variant, the `request_id` of the generation that was judged.
            at: when the judgment came, with its zone.
        """
        evaluator = self.name
        if self.judge.panel is not None:
            evaluator = f"{self.name}/{member_names(self.judge)[judgment.subject.member]}"
        return tuple(measurements(judgment, requests, evaluator=evaluator, evaluator_hash=self.hash, at=at))

    def _asked(
        self, question: Question, case: JudgedCase, answers: Sequence[JudgedAnswer], times: int
    ) -> list[JudgeCall | Judgment]:
        passages = question.passages(case, answers)
        texts = [passage.text for passage in passages if passage.text is not None]
        first = answers[0]
        subjects = [
            Subject(
                task=question.task,
                case=case.id,
                variant=first.variant,
                against=answers[1].variant if len(answers) > 1 else None,
                repeat=first.repeat,
                again=again,
                member=member,
            )
            for member in range(len(self._members))
            for again in range(times)
        ]
        if len(answers) > 1 and first.text == answers[1].text:
            scores = {axis.name: 0.5 for axis in question.axes}
            return [Judgment(subject=subject, scores=scores, rationale=_ALIKE) for subject in subjects]
        signs = {answer.variant: signs_of_steering(answer.text) for answer in answers}
        suspected = {variant: found for variant, found in signs.items() if found}
        lacks = question.lacks(case, first)
        if sum(map(len, texts)) > LONGEST_TEXT:
            lacks = f"too long to be judged (more than {LONGEST_TEXT:,} characters)"
        if lacks is not None:
            unscored = dict.fromkeys((axis.name for axis in question.axes), lacks)
            return [Judgment(subject=subject, unscored=unscored, suspected=suspected) for subject in subjects]
        seal = seal_of(self.hash, question.task, texts)
        messages = [
            {"role": "system", "content": self._told[question.task]},
            {"role": "user", "content": message(passages, seal)},
        ]
        return [
            JudgeCall(
                call=self._call(question, subject, messages),
                subject=subject,
                seal=seal,
                documents=len(documents_of(case, first)),
                suspected=suspected,
            )
            for subject in subjects
        ]

    def _call(self, question: Question, subject: Subject, messages: list[dict[str, str]]) -> ModelCall:
        member = self._members[subject.member]
        request: dict[str, Any] = {"model": member.model, "messages": messages}
        request |= {name: value for name in _SENT if (value := getattr(member, name)) is not None}
        request |= reply_format(self.judge.reply, question.task.value, question.schema)
        if question.task is Task.RUBRIC and self.judge.scoring is Scoring.G_EVAL:
            request |= {"logprobs": True, "top_logprobs": 20}
        return ModelCall(
            provider=str(member.provider),
            request=request | dict(member.params),
            purpose="judge",
            judge_hash=self.hash,
            repeat=subject.again,
        )

    def _weighted(self, read: Read, reply: Reply, completion: Completion) -> dict[str, float]:
        """Scores that probabilities weigh, by axis."""
        text, logprobs = completion.facts.output, completion.logprobs
        if self.judge.scoring is not Scoring.G_EVAL or not logprobs or text is None or not read.places:
            return {}
        scales = {axis.name: axis for axis in self.axes}
        found = {}
        for name, path in read.places.items():
            place = number_places(text[reply.start : reply.end], path)
            if place is None:
                continue
            span = (reply.start + place[0], reply.start + place[1])
            axis = scales[name]
            score = weighted_score(text, span, logprobs, int(axis.low), int(axis.high))
            if score is not None:
                found[name] = score
        return found

    def _times(self, case: str) -> int:
        """How often a pair of this case is asked in the same order."""
        rule = self.judge.repeat
        if rule is None:
            return 1
        digest = hashlib.sha256(f"promptarena/again\n{self.hash}\n{case}".encode("utf-8", "surrogatepass"))
        return rule.times if int.from_bytes(digest.digest()[:8]) / 2**64 < rule.share else 1


def _questions(judge: JudgeEntry) -> list[Question]:
    found: list[Question] = []
    if judge.pairwise is not None:
        found.append(PairwiseQuestion(judge.pairwise, judge.sees, judge.abstain))
    if judge.rubric is not None:
        found.append(RubricQuestion(judge.rubric, judge.sees, judge.abstain))
    found += [StatementQuestion(metric) for metric in judge.metrics]
    return found


def _plain(member: JudgeModel) -> dict[str, Any]:
    return {name: getattr(member, name) for name in JudgeModel.model_fields}
