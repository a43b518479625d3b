"""Judges, cases and completions for tests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptarena.definitions.judge import JudgeFile
from promptarena.evaluation.judges import JudgeCall, JudgedAnswer, JudgedCase, Judgment, PreparedJudge
from promptarena.llm.model_client import Completion
from promptarena.llm.response_facts import ResponseFacts
from promptarena.llm.timing import Timing

RUBRIC: dict[str, Any] = {
    "accuracy": {"question": "Is it right?", "levels": {1: "Wrong.", 3: "In part.", 5: "Right."}},
    "tone": {"question": "Is it friendly?", "levels": {1: "Rude.", 5: "Friendly."}},
}
CASE = JudgedCase(
    id="late",
    input="My parcel is late. What now?",
    reference="After ten days you may have your money back.",
    context=("Delivery policy 4: after ten days the money is returned.", "Opening hours: nine to five."),
)


def judge(**said: Any) -> PreparedJudge:
    """A judge of pairs, unless something else is said."""
    doing = {"pairwise", "rubric", "metrics"} & said.keys()
    base: dict[str, Any] = {"judge": "support", "provider": "openai", "model": "gpt-4o"}
    return PreparedJudge(
        JudgeFile.model_validate(base | ({} if doing else {"pairwise": "Which one helps more?"}) | said)
    )


def answer(variant: str, text: str, **said: Any) -> JudgedAnswer:
    return JudgedAnswer(variant=variant, text=text, **said)


def calls_of(asked: Sequence[JudgeCall | Judgment]) -> list[JudgeCall]:
    """What is asked, where everything is."""
    assert all(isinstance(one, JudgeCall) for one in asked)
    return [one for one in asked if isinstance(one, JudgeCall)]


def pair(prepared: PreparedJudge, one: str = "Wait.", other: str = "After ten days.") -> list[JudgeCall]:
    return calls_of(prepared.pair_calls(CASE, answer("control", one), answer("treatment", other)))


def says(
    text: str | None, finish: str | None = "stop", logprobs: Sequence[Mapping[str, Any]] | None = None
) -> Completion:
    facts = ResponseFacts(output=text, finish_reason=finish)
    return Completion(
        facts=facts,
        timing=Timing(latency_ms=1.0),
        cost_usd=None,
        logprobs=tuple(logprobs) if logprobs is not None else None,
    )


def says_object(asked: JudgeCall, **fields: Any) -> Completion:
    """An answer in the form that was asked for."""
    return says(json.dumps({"seal": asked.seal, **fields}))


def shown(asked: JudgeCall) -> dict[str, str]:
    """The texts under the seal of a call, by the name of their block, as the judge sees them."""
    found = re.findall(
        rf'^<(\w+) seal="{asked.seal}">\n(.*?)\n</\1 seal="{asked.seal}">$', message_of(asked), re.M | re.S
    )
    return dict(found)


def message_of(asked: JudgeCall) -> str:
    return str(asked.call.request["messages"][1]["content"])


def tokens_of(text: str, place: tuple[int, int], odds: Mapping[str, float]) -> list[dict[str, Any]]:
    """The tokens of an answer: single characters, and at one place a score with its odds."""
    import math

    entries: list[dict[str, Any]] = [{"token": character, "logprob": -0.01} for character in text[: place[0]]]
    top = [{"token": token, "logprob": math.log(p)} for token, p in odds.items()]
    entries.append({"token": text[place[0] : place[1]], "logprob": top[0]["logprob"], "top_logprobs": top})
    return entries + [{"token": character, "logprob": -0.01} for character in text[place[1] :]]
