"""A project, a duel, a judge, and a provider over real HTTP that answers for them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.llm.loopback import Asked, Behaviour, Loopback, says, serving

from promptarena.definitions.duel_readout import DuelReadout
from promptarena.evaluation.duel import run_duel
from promptarena.wiring import live_setup

PROJECT = """\
providers: {openai: {}}
features:
  bot: {provider: openai, model: gpt-4o-mini, temperature: 0.3, system: Be helpful., retrieval: {depth: 3}}
"""
DUEL = """\
duel: cites
feature: bot
dataset: {file: golden.jsonl, input: question}
variants:
  control: {}
  treatment: {system: Cite the policy.}
"""
JUDGE = """\
judge:
  judge: plain
  provider: openai
  model: gpt-4o
  pairwise: Which answer cites the policy?
  rubric: {clarity: {question: Is it clear?, levels: {1: no, 3: partly, 5: yes}}}
gate: {win_rate: {above: 0.5}}
"""


@contextmanager
def provider(behave: Behaviour, delay_s: float = 0.0) -> Iterator[Loopback]:
    """The server of tests/llm in a thread of its own, so that a duel can run as users run it."""
    ready: list[Any] = []
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(behave, delay_s) as server:
            ready.append(server)
            started.set()
            while not stop.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield ready[0]
    finally:
        stop.set()
        thread.join()


def seal_of(asked: Asked) -> str:
    text = asked.body["messages"][-1]["content"]
    return str(text.split("The seal of this message is ")[1].split(".")[0])


def is_judge(asked: Asked) -> bool:
    return bool(asked.body["model"] == "gpt-4o")


def sensible(asked: Asked, _number: int = 0) -> bytes:
    """Variants say what they were told; the judge prefers whoever cites, and scores everybody 4."""
    messages = asked.body["messages"]
    if not is_judge(asked):
        cites = "Cite" in messages[0]["content"]
        return says("By policy 4 it is ten days." if cites else "Ten days.")
    text = messages[-1]["content"]
    schema = asked.body["response_format"]["json_schema"]["schema"]["properties"]
    if "verdict" in schema or "preference" in schema:
        first_cites = text.index("policy 4") < text.index("| Ten days.")
        name = "verdict" if "verdict" in schema else "preference"
        said = {name: "first" if first_cites else "second", "rationale": "cites"}
    else:
        said = _scores(schema)
    return says(json.dumps({"seal": seal_of(asked)} | said), model="gpt-4o")


def _scores(schema: Any) -> dict[str, Any]:
    axes = schema["axes"]["properties"]
    return {"axes": {name: {"rationale": "clear", "score": 4} for name in axes}}


def write(folder: Path, *, duel: str = DUEL, cases: int = 6, project: str | None = PROJECT) -> Path:
    lines = [
        {"id": f"q{number}", "question": f"How long does parcel {number} take?"} for number in range(cases)
    ]
    (folder / "golden.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if project is not None:
        (folder / "arena.yaml").write_text(project)
    path = folder / "duel.yaml"
    path.write_text(duel)
    return path


def run(path: Path, server: Loopback, **said: Any) -> DuelReadout:
    environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k"}
    with live_setup(path, environment=environment, **said) as live:
        return run_duel(path, live=live)


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    [file] = folder.glob(f".arena/runs/*/{name}")
    return [json.loads(line) for line in file.read_text().splitlines()]
