"""The model behind the simulated provider: what it answers, how well, how long and how fast.

Nothing here is a language model. A draw by the seed and the whole request decides, so the same request has
the same answer on every machine; what the prompt asks for moves the odds:

- a prompt that has policies named, quoted or cited makes right answers likelier, and longer by about a sixth;
- one that asks for briefness, or for at most some sentences, makes answers shorter;
- one that asks never to promise, or to say when it does not know, makes wrong promises rarer;
- a high temperature makes right answers rarer;
- a question that comes with documents is answered from them (`grounded`);
- a judge's message is answered as a judge would (`judging`);
- a long prompt delays the first token, a long answer takes its time per token, and failures grow with the
  prompt's length.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from promptarena.demo.grounded import Grounded, Habits, grounded_reply, split_documents
from promptarena.demo.judging import judgment
from promptarena.demo.shop import Policy, deciding_policy

__all__ = ["ALIASES", "MODELS", "Failure", "Model", "Reply", "answer", "count_tokens"]

_TOKEN: Final = re.compile(r"\s*(?:\w{1,6}|[^\w\s])")
_CITING: Final = re.compile(r"\b(name|cite|quote|state)\b[^.]*\bpolic", re.IGNORECASE)
_BRIEF: Final = re.compile(r"\bbrief|\bshort\b|at most \w+ sentences", re.IGNORECASE)
_CAREFUL: Final = re.compile(r"never promise|do not know|don't know", re.IGNORECASE)

_GREETINGS: Final = ("Thank you for writing.", "I am sorry for the trouble.", "Happy to help.")
_VAGUE: Final = (
    "Usually this sorts itself out; please wait a little and write again if it does not.",
    "I have noted it, and a colleague will look into it.",
    "That should not be a problem at all, it will be taken care of.",
    "Please have a look at our help pages, where most questions are answered.",
)
_CLOSINGS: Final = (
    "I have made a note on your order, and you will get a message within the day.",
    "If anything is unclear, just answer this message.",
    "The next step is in your order's page.",
)


@dataclass(frozen=True, slots=True)
class Model:
    """What a model of the provider is like."""

    skill: float
    """Share of right answers to a plain prompt at temperature 0."""
    first_token_s: float
    token_s: float


MODELS: Final = {
    "sim-small": Model(skill=0.46, first_token_s=0.012, token_s=0.0003),
    "sim-large": Model(skill=0.60, first_token_s=0.030, token_s=0.0006),
    # Knows no policy whatever its prompt says: what a gate is for.
    "sim-blank": Model(skill=-1.0, first_token_s=0.006, token_s=0.0002),
}


ALIASES: Final = {"gpt-4o-mini": "sim-small", "gpt-4o": "sim-large"}
"""Names under which the models are asked too, so that what is written for a real provider runs here as it is.
Answers say which model they are of."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and how it comes."""

    text: str
    pieces: tuple[str, ...]
    """The tokens; joined they are the text."""
    prompt_tokens: int
    finish_reason: str
    first_token_s: float
    """From the request to the first piece."""
    token_s: float
    """From one piece to the next."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is answered in place of an answer."""

    status: int
    """429 or 500."""


def answer(body: Mapping[str, Any], seed: int, *, attempt: int = 0, failures: float = 1.0) -> Reply | Failure:
    """What the provider answers to a request.

    Args:
        body: of a chat completion; `stream` and `stream_options` change nothing.
        attempt: a repetition of the same request has a draw of its own.
        failures: how much likelier failures are than by nature (about 1 in 150); 0 is never.
    """
    said = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    written = json.dumps([seed, attempt, said], sort_keys=True, ensure_ascii=False, default=str)
    draw = Random(hashlib.sha256(written.encode()).digest())
    name = str(body["model"])
    model = MODELS[ALIASES.get(name, name)]
    messages = _texts(body["messages"])
    prompt_tokens = sum(count_tokens(text) + 4 for _, text in messages)
    if draw.random() < failures * (0.004 + prompt_tokens / 40_000):
        return Failure(429 if draw.random() < 0.6 else 500)
    text = _reply_text(messages, model, float(body.get("temperature") or 0), draw)
    pieces = tuple(_TOKEN.findall(text))
    limit = body.get("max_tokens") or body.get("max_completion_tokens")
    cut = isinstance(limit, int) and len(pieces) > limit
    pieces = pieces[:limit] if cut else pieces
    return Reply(
        text="".join(pieces),
        pieces=pieces,
        prompt_tokens=prompt_tokens,
        finish_reason="length" if cut else "stop",
        first_token_s=(model.first_token_s + prompt_tokens * 0.00002) * draw.lognormvariate(0, 0.25),
        token_s=model.token_s * draw.lognormvariate(0, 0.15),
    )


def count_tokens(text: str) -> int:
    """Tokens of a text, as this provider counts them: pieces of at most six letters.

    >>> count_tokens("Delivery policy 4: ten days.")
    8
    """
    return len(_TOKEN.findall(text))


def _texts(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Roles and texts; parts of a message that are no text are left out."""
    found = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
        found.append((str(message.get("role")), str(content or "")))
    return found


def _reply_text(messages: list[tuple[str, str]], model: Model, temperature: float, draw: Random) -> str:
    system = " ".join(text for role, text in messages if role in ("system", "developer"))
    asked = [text for role, text in messages if role == "user"]
    judged = judgment(system, asked[-1], draw) if asked else None
    if judged is not None:
        return judged
    if asked and (grounded := split_documents(asked[-1])) is not None:
        return _grounded_text(grounded, system, model, temperature, draw)
    policy = deciding_policy(" ".join(asked))
    if policy is None:
        return "Could you tell me a little more about what you need?"
    cites, careful = bool(_CITING.search(system)), bool(_CAREFUL.search(system))
    chance = model.skill + 0.13 * cites + 0.03 * careful - 0.06 * temperature
    # Who asks again is understood a little better.
    chance += 0.06 * (len(asked) - 1)
    right = draw.random() < chance
    sentences = [draw.choice(_GREETINGS), _decision(policy, cites) if right else draw.choice(_VAGUE)]
    if not right and not careful and draw.random() < 0.3:
        sentences.append("We will refund you in any case.")
    if not _BRIEF.search(system) or draw.random() < 0.3:
        sentences.append(draw.choice(_CLOSINGS))
    return " ".join(sentences)


def _grounded_text(asked: Grounded, system: str, model: Model, temperature: float, draw: Random) -> str:
    cites, careful = bool(_CITING.search(system)), bool(_CAREFUL.search(system))
    chance = model.skill + 0.2 * cites + 0.04 * careful - 0.06 * temperature
    habits = Habits.of(system, cites=cites, careful=careful)
    sentences = [draw.choice(_GREETINGS), *grounded_reply(asked, habits, chance, draw)]
    if not _BRIEF.search(system) or draw.random() < 0.3:
        sentences.append(draw.choice(_CLOSINGS))
    return " ".join(sentences)


def _decision(policy: Policy, cites: bool) -> str:
    if not cites:
        return policy.rule
    return f"{policy.name} decides this. {policy.rule}"
