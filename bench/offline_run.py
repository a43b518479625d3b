"""An offline run beside its ideal, a bare loop and a peer; run again with all answers known; and its memory.

The peer is promptfoo. It is installed by hand in a folder of its own (`npm install promptfoo`), which the
variable PROMPTFOO names; without it that line is left out.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from bench.claim import Claim

_CASES, _VARIANTS, _AT_ONCE, _LATENCY_S = 1_000, 2, 64, 0.2
_CALLS = _CASES * _VARIANTS
_IDEAL_S = _CALLS / _AT_ONCE * _LATENCY_S
_ROUNDS = 3
_SIZES = (1_000, 10_000, 100_000)


def run() -> Iterator[Claim]:
    """Ours and the bare loop by turns, then the rest."""
    with _provider(_LATENCY_S) as port, tempfile.TemporaryDirectory() as scratch:
        folders = [_project(Path(scratch) / str(at), _CASES) for at in range(_ROUNDS)]
        bare, ours, warm, whole, again = (list[float]() for _ in range(5))
        for folder in folders:
            bare.append(_timed(lambda: asyncio.run(_bare_loop(port))))
            for calls, commands in ((ours, whole), (warm, again)):
                commands.append(_timed(lambda folder=folder: _run(folder, port)))
                calls.append(_time_of_calls(folder.parent))
        floor, mine, known, all_of_it, repeated = map(statistics.median, (bare, ours, warm, whole, again))
        name = f"{_CALLS:,} calls of {_LATENCY_S * 1000:g} ms, {_AT_ONCE} at once"
        yield Claim(name, _s(mine), f"ideal {_s(_IDEAL_S)}", mine / _IDEAL_S, 1.05)
        yield Claim(f"{name}, beside", _s(mine), f"bare aiohttp loop {_s(floor)}", mine / floor, None)
        yield Claim("the same with all answers known", _s(known), f"first {_s(mine)}", known / mine, 0.02)
        told = "definition, dataset, checks and readout included"
        yield Claim(told, _s(repeated), f"first {_s(all_of_it)}", repeated / all_of_it, None)
        if promptfoo := os.environ.get("PROMPTFOO"):
            yield _beside_promptfoo(Path(promptfoo), Path(scratch), port)
    peaks = {size: _peak_memory(size) for size in _SIZES}
    least = peaks[_SIZES[0]]
    for size in _SIZES[1:]:
        yield Claim(
            f"memory of {size:,} cases",
            f"{peaks[size]} MB",
            f"{_SIZES[0]:,} cases {least} MB",
            peaks[size] / least,
            1.5 if size == _SIZES[-1] else 1.2,
        )


@contextmanager
def _provider(seconds: float) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.slow_provider", str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def _project(folder: Path, cases: int, provider: str = "openai") -> Path:
    """A duel of two prompts with one check; gives its file."""
    folder.mkdir()
    settings = f"provider: {provider}, model: sim-small"
    (folder / "duel.yaml").write_text(
        f"""\
duel: parcels
dataset: {{file: golden.jsonl, input: question}}
variants:
  control: {{{settings}, system: You are helpful.}}
  treatment: {{{settings}, system: Name the policy that decides the case.}}
checks: [{{contains: working days}}]
"""
    )
    with (folder / "golden.jsonl").open("w") as file:
        for number in range(cases):
            question = f"My parcel {number} was due on Monday and it is Thursday now. What can I do? "
            file.write(json.dumps({"id": f"q{number}", "question": question * 5}) + "\n")
    return folder / "duel.yaml"


def _run(duel: Path, port: int) -> None:
    """All of it: the definition, the dataset, calls, files, checks, the readout."""
    from promptarena.evaluation.duel import run_duel
    from promptarena.wiring import live_setup

    environment = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1", "OPENAI_API_KEY": "k"}
    with live_setup(duel, concurrency=_AT_ONCE, environment=environment) as live:
        found = run_duel(duel, live=live)
    assert found.cases == _CASES
    assert found.checks[0].rates["control"].passed == _CASES


def _time_of_calls(folder: Path) -> float:
    """From the first call to the last answer on disk, of the latest run, as its run.json has it."""
    about = max(folder.glob(".arena/runs/*/run.json"), key=lambda file: file.parent.name)
    said = json.loads(about.read_text())
    began, ended = (datetime.fromisoformat(said[name]) for name in ("started", "ended"))
    return (ended - began).total_seconds()


async def _bare_loop(port: int) -> None:
    """Workers that ask and read JSON, and nothing else."""
    from aiohttp import ClientSession, TCPConnector

    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "My parcel? " * 40}]}).encode()
    left = iter(range(_CALLS))
    headers = {"content-type": "application/json"}
    async with ClientSession(connector=TCPConnector(limit=0)) as session:

        async def work() -> None:
            for _ in left:
                async with session.post(
                    f"http://127.0.0.1:{port}/v1/chat/completions", data=body, headers=headers
                ) as response:
                    json.loads(await response.read())

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


def _beside_promptfoo(folder: Path, scratch: Path, port: int) -> Claim:
    """Whole commands, each in a process of its own, from nothing known to a result on disk."""
    duel = _project(scratch / "peer", _CASES)
    base_url = f"http://127.0.0.1:{port}/v1"
    cases = [json.loads(line) for line in (duel.parent / "golden.jsonl").read_text().splitlines()]
    provider = {"id": "openai:chat:sim-small", "config": {"apiBaseUrl": base_url, "apiKey": "k"}}
    config = {
        "prompts": [
            json.dumps([{"role": "system", "content": system}, {"role": "user", "content": "{{question}}"}])
            for system in ("You are helpful.", "Name the policy that decides the case.")
        ],
        "providers": [provider],
        "defaultTest": {"assert": [{"type": "contains", "value": "working days"}]},
        "tests": [{"vars": {"question": case["question"].strip()}} for case in cases],
    }
    (scratch / "peer.json").write_text(json.dumps(config))
    home = {"PROMPTFOO_CONFIG_DIR": str(scratch / "promptfoo"), "PROMPTFOO_DISABLE_TELEMETRY": "1"}
    quiet = {"PROMPTFOO_DISABLE_UPDATE": "1", "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1"}
    theirs = _command(
        [
            str(folder / "node_modules" / ".bin" / "promptfoo"),
            *("eval", "-c", str(scratch / "peer.json"), "--no-cache", "-j", str(_AT_ONCE)),
            *("--no-progress-bar", "--no-table", "-o", str(scratch / "peer-out.json")),
        ],
        home | quiet,
    )
    ours = _command(
        [sys.executable, "-m", "promptarena", "duel", str(duel), "--concurrency", str(_AT_ONCE)],
        {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "k"},
    )
    results = json.loads((scratch / "peer-out.json").read_text())["results"]["stats"]
    assert results["successes"] == _CALLS, results
    return Claim("the command, beside promptfoo's", _s(ours), f"promptfoo {_s(theirs)}", ours / theirs, 1.0)


def _command(command: list[str], environment: dict[str, str]) -> float:
    return _timed(
        lambda: subprocess.run(
            command, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL, timeout=600
        )
    )


_MEASURED = """
import resource, sys
from pathlib import Path
from promptarena.evaluation.duel import run_duel
from promptarena.wiring import live_setup
duel = Path(sys.argv[1])
with live_setup(duel, concurrency=64) as live:
    run_duel(duel, live=live)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def _peak_memory(cases: int) -> int:
    """MB at most of a run without a network: a function answers with 400 bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        duel = _project(Path(scratch) / "memory", cases, provider="rules")
        (duel.parent / "arena.yaml").write_text(
            "providers: {rules: {kind: python, function: bench_rules:answer}}\n"
            "hooks: [bench_rules:answer]\nfeatures: {bot: {provider: rules, model: m}}\n"
        )
        (duel.parent / "bench_rules.py").write_text(
            "async def answer(request):\n    return 'It takes up to five working days. ' * 12\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(duel)], check=True, capture_output=True, text=True
        )
        return int(done.stdout)


def _timed(action: object) -> float:
    assert callable(action)
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s"
