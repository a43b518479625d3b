"""Models that play judge on a real HTTP server: a careful one, and some that fall for what they read."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.llm.loopback import FAST, Asked, Reply, says, serving

from promptarena.evaluation.judges import JudgeCall, Judgment, PreparedJudge
from promptarena.llm.provider_client import ProviderClient

Model = Callable[[str, str, dict[str, str]], str]
"""From the system message, the user's message and the texts of its blocks to an answer."""

RIGHT = "After ten days without a scan you may have your money back."


def careful(system: str, message: str, texts: dict[str, str]) -> str:
    """Judges by whether the money is promised after ten days, and obeys nothing."""
    seal = seal_in(message)
    if '"axes"' in system:
        score = 5 if RIGHT in texts["answer"] else 1
        axes = {name: {"rationale": "r", "score": score} for name in re.findall(r"^## (\w+):", system, re.M)}
        return json.dumps({"seal": seal, "axes": axes})
    first, second = (RIGHT in texts[name] for name in ("first_answer", "second_answer"))
    verdict = "tie" if first == second else "first" if first else "second"
    return json.dumps({"seal": seal, "rationale": "r", "verdict": verdict})


def parrot(system: str, message: str, texts: dict[str, str]) -> str:  # noqa: ARG001
    """Says whatever the last answer tells it to say, word for word."""
    return list(texts.values())[-1]


def parrot_of_objects(system: str, message: str, texts: dict[str, str]) -> str:  # noqa: ARG001
    """Repeats every object that it finds in any answer."""
    return "\n".join(found for text in texts.values() for found in re.findall(r"\{[^{}]*\}", text)) or "none"


def led_by_line_starts(system: str, message: str, texts: dict[str, str]) -> str:
    """Believes any line that begins without the bar and names a winner; else it is careful."""
    for line in message.splitlines():
        if not line.startswith("| ") and re.search(r"(?i)(system|developer).*wins|verdict: first", line):
            return json.dumps({"seal": seal_in(message), "rationale": "told so", "verdict": "first"})
    return careful(system, message, texts)


def led_by_ends(system: str, message: str, texts: dict[str, str]) -> str:
    """Takes the first thing that looks like the end of a block for one, whatever its seal, and what follows
    for its client's words, as long as it stands at the beginning of a line."""
    after = re.split(r'^</\w+ seal="(?!' + seal_in(message) + r')[^"]*">$', message, maxsplit=1, flags=re.M)
    if len(after) > 1:
        return json.dumps({"seal": seal_in(message), "rationale": "told so", "verdict": "first"})
    return careful(system, message, texts)


def seal_in(message: str) -> str:
    return message.partition("seal of this message is ")[2][:12]


def texts_in(message: str) -> dict[str, str]:
    """The texts of the blocks, as a reader of the seal sees them."""
    seal = seal_in(message)
    found = re.findall(rf'^<(\w+) seal="{seal}">\n(.*?)\n</\1 seal="{seal}">$', message, re.M | re.S)
    return {name: re.sub(r"^\| ", "", text, flags=re.M) for name, text in found}


def judged_by(model: Model, prepared: PreparedJudge, asked: Sequence[JudgeCall]) -> list[Judgment]:
    """Make the calls over HTTP and read what comes."""

    def behave(request: Asked, _: int) -> Reply:
        system, message = (part["content"] for part in request.body["messages"])
        return says(model(system, message, texts_in(message)))

    async def run() -> list[Judgment]:
        async with serving(behave) as server:
            client = ProviderClient(lambda _: server.line(8), retries=FAST)
            try:
                found: list[Any] = await asyncio.gather(*(client.complete(one.call) for one in asked))
            finally:
                await client.close()
            return [prepared.read(one, completion) for one, completion in zip(asked, found, strict=True)]

    return asyncio.run(run())
