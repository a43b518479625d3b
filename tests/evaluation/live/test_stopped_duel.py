"""Live duels that end before their time, by a budget, a key, a kill, a disk or a decision, and go on."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.evaluation.live.live_duels import DUEL, JUDGE, is_judge, provider, run, sensible, write
from tests.llm.loopback import Asked, Loopback, says
from tests.sdk.arenas import events_in

from promptarena.definitions.duel_readout import GateStatus
from promptarena.definitions.events import Generation, Measurement
from promptarena.errors import (
    RunStoppedError,
    UsageError,
)


def test_every_call_is_in_the_log_once_however_often_it_is_run(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + JUDGE, cases=3)
    with provider(sensible) as server:
        run(path, server)
        again = run(path, server)
    assert any("18 known already" in note for note in again.notes)
    assert len(server.asked) == 18
    events = events_in(tmp_path / ".arena")
    generations = [event for event in events if isinstance(event, Generation)]
    measurements = [event for event in events if isinstance(event, Measurement)]
    assert {event.role for event in generations} == {"offline"}
    assert len(generations) == 6
    assert len({event.run_id for event in generations}) == 1
    [about] = [
        json.loads(file.read_text())
        for file in tmp_path.glob(".arena/runs/*/run.json")
        if json.loads(file.read_text())["run_id"] == generations[0].run_id
    ]
    assert {event.dataset_hash for event in generations} == {about["dataset_hash"]}
    first = generations[0]
    assert (first.feature, first.provider, first.model_asked) == ("bot", "openai", "gpt-4o-mini")
    assert first.params == {"temperature": 0.3, "retrieval": {"depth": 3}}
    assert first.model_answered == "gpt-4o-mini-2024-07-18"
    assert first.cost_usd is not None
    assert (first.case_id, first.repeat) in {(f"q{number}", 0) for number in range(3)}
    assert {event.name for event in measurements} == {"preference", "clarity"}
    assert {event.target for event in measurements} <= {event.request_id for event in generations}


def test_a_budget_stops_the_run_says_what_is_missing_and_a_higher_one_goes_on(tmp_path: Path) -> None:
    duel = DUEL.replace("control: {}", "control: {max_tokens: 5}").replace(
        "{system: Cite", "{max_tokens: 5, system: Cite"
    )
    path = write(tmp_path, duel=duel + "checks: [{contains: days}]\n", cases=40)
    with provider(sensible) as server:
        with pytest.raises(
            RunStoppedError, match=r"budget of \$0.0001 .* calls are missing.*higher --budget"
        ) as caught:
            run(path, server, budget=0.0001, concurrency=4)
        paid = len(server.asked)
        assert 0 < paid < 80
        assert paid * (10 * 0.15 + 5 * 0.6) / 1e6 <= 0.0001
        assert caught.value.exit_status == 4
        found = run(path, server, budget=1.0)
        assert len(server.asked) == 80
    assert found.cases == 40


def test_a_judge_without_a_price_is_told_before_a_budget_pays_for_answers(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + JUDGE.replace("gpt-4o", "own-judge"))
    with provider(sensible) as server:
        with pytest.raises(UsageError, match=r"No price is known of the model 'own-judge'"):
            run(path, server, budget=1.0)
        assert server.asked == []


def _in_a_process(path: Path, server: Loopback) -> subprocess.Popen[str]:
    import os

    environment = os.environ | {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k"}
    command = [sys.executable, "-m", "promptarena", "duel", str(path), "--concurrency", "4"]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ctrl_c_waits_for_what_is_paid_says_how_to_go_on_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: days}]\n", cases=100)
    with provider(sensible, delay_s=0.02) as server:
        process = _in_a_process(path, server)
        _until(lambda: len(server.asked) > 20)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert process.returncode == 4, told
        assert "Stopped by Ctrl-C" in told
        assert "The same command goes on from here" in " ".join(told.split())
        assert "Traceback" not in told
        paid = len(server.asked)
        assert paid < 200
        run(path, server)
        assert len(server.asked) == 200


def test_a_killed_run_is_gone_on_with_and_only_what_was_under_way_is_paid_twice(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: days}]\n", cases=100)
    with provider(sensible, delay_s=0.02) as server:
        process = _in_a_process(path, server)
        _until(lambda: len(server.asked) > 60)
        process.kill()
        process.communicate(timeout=60)
        paid = len(server.asked)
        found = run(path, server)
        assert paid < 200
        # Four calls at once: what had no answer yet, and what was answered and not yet on disk.
        assert 200 <= len(server.asked) <= 200 + 8
    assert found.cases == 100


def test_a_duel_that_is_decided_early_asks_no_more_and_says_the_same_on_every_run(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + JUDGE + "early_stop: true\n", cases=120)
    with provider(sensible) as server:
        found = run(path, server, concurrency=8)
        asked = len(server.asked)
        again = run(path, server, concurrency=32)
    assert found.gate is not None
    assert found.gate.status is GateStatus.PASS
    assert found.gate == again.gate
    # Two answers, two orders and two scores a case.
    assert asked < 120 * 6 / 2
    assert asked % 6 == 0
    assert not any("no output" in note for note in found.notes)


def test_order_of_completion_decides_nothing(tmp_path: Path) -> None:
    """Cases that the treatment wins are answered at once and the others late: the gate must not see that."""

    def behave(asked: Asked, number: int) -> Any:
        reply = sensible(asked, number)
        text = asked.body["messages"][-1]["content"]
        slow = not is_judge(asked) and int(text.split()[4]) % 2 == 1
        if not slow:
            return reply

        async def later(writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.05)
            writer.write(reply)

        return later

    readouts = []
    for name, behaviour in (("at-once", sensible), ("late", behave)):
        folder = tmp_path / name
        folder.mkdir()
        with provider(behaviour) as server:
            readouts.append(run(write(folder, duel=DUEL + JUDGE + "early_stop: true\n", cases=40), server))
    assert readouts[0].gate == readouts[1].gate


def test_fresh_asks_everything_again_and_what_it_hears_is_what_is_known_then(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: eleven}]\n", cases=5)
    said = {"days": "ten"}

    def behave(_asked: Asked, _number: int) -> bytes:
        return says(f"It takes {said['days']} days.")

    with provider(behave) as server:
        passed = [run(path, server).checks[0].rates["control"].passed]
        said["days"] = "eleven"
        passed.append(run(path, server).checks[0].rates["control"].passed)
        passed.append(run(path, server, fresh=True).checks[0].rates["control"].passed)
        passed.append(run(path, server).checks[0].rates["control"].passed)
    assert passed == [0, 0, 5, 5]
    assert len(server.asked) == 2 * 5 * 2


def test_a_disk_that_refuses_stops_the_run_and_says_so(tmp_path: Path) -> None:
    """Files may not grow beyond 64 kB, as on a disk that is full."""
    import os
    import resource

    path = write(tmp_path, duel=DUEL + "checks: [{contains: days}]\n", cases=300)
    with provider(lambda *_: says("Ten days. " * 300)) as server:
        environment = os.environ | {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "k"}
        done = subprocess.run(
            [sys.executable, "-m", "promptarena", "duel", str(path)],
            env=environment,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536)),
        )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot" in done.stderr
    assert "The same command goes on" in done.stderr


def test_a_second_ctrl_c_waits_for_nobody(tmp_path: Path) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: days}]\n", cases=20)
    with provider(sensible, delay_s=120) as server:
        process = _in_a_process(path, server)
        _until(lambda: len(server.asked) >= 4)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 4, told
    assert "Stopped by Ctrl-C" in told
    assert "Traceback" not in told
