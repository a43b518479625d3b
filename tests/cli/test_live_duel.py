"""`arena duel` with a provider that misbehaves: one clear message, a status of 4, and the same command goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Arena
from tests.evaluation.live.live_duels import DUEL, JUDGE, provider, sensible, write
from tests.llm.loopback import Asked, Behaviour, http, is_question, refuses, says, streams

from promptarena.llm.retries import RetryPolicy


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that a test can afford; which attempts are repeated stays as it is."""
    monkeypatch.setattr(RetryPolicy, "wait_s", _soon(RetryPolicy.wait_s))


def _soon(wait_s: Any) -> Any:
    def soon(*arguments: Any) -> float | None:
        found = wait_s(*arguments)
        return None if found is None else min(found, 0.01)

    return soon


@pytest.mark.parametrize(
    ("reply", "says_what"),
    [
        (
            lambda *_: refuses(401, "Incorrect API key provided."),
            "401: Incorrect API key provided. Check its key.",
        ),
        (lambda *_: refuses(404, "The model `x` does not exist"), "Check its base_url and the model's name."),
        (lambda *_: refuses(500, "boom"), "answers 500: boom"),
        (lambda *_: refuses(429, "slow down"), "answers 429: slow down"),
        (lambda *_: refuses(429, "You exceeded your quota", "insufficient_quota"), "nothing left to spend"),
        (lambda *_: http(200, b'{"choices": ['), "the answer is not JSON"),
        (lambda *_: http(200, b"{}"), "the answer holds no choices"),
        (lambda *_: streams(["data: {}\n\n"], cut=True), "was cut off"),
    ],
)
def test_a_provider_that_never_answers_is_one_message_and_status_4(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Behaviour, says_what: str
) -> None:
    path = write(tmp_path, duel=DUEL + "checks: [{contains: days}]\n", cases=8)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with provider(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        failed = arena("duel", path)
    assert failed.status == 4
    assert says_what in " ".join(failed.err.split())
    assert failed.err.count("arena: ") == 1
    assert failed.out == ""


def test_a_provider_that_is_down_is_told_and_gone_on_with_once_it_is_back(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, duel=DUEL + JUDGE, cases=8)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    down = arena("duel", path, "--json")
    assert down.status == 4
    [problem] = down.json["error"]["problems"]
    assert "cannot reach 127.0.0.1:9" in problem["message"]
    with provider(sensible) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert arena("duel", path).status == 0


def test_calls_that_fail_leave_a_duel_incomplete_and_only_they_are_asked_again(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"now": True}

    def behave(asked: Asked, number: int) -> Any:
        question = asked.body["messages"][-1]["content"]
        if broken["now"] and is_question(question) and int(question.split()[4]) >= 2:
            return refuses(400, "not today")
        return sensible(asked, number)

    path = write(tmp_path, duel=DUEL + JUDGE, cases=12)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with provider(behave) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        first = arena("duel", path)
        assert first.status == 4
        assert "20 answers failed and are missing" in " ".join(first.out.split())
        assert "Calls failed, so nothing is decided" in first.err
        paid, broken["now"] = len(server.asked), False
        second = arena("duel", path, "--json")
        assert second.status == 0
        # The ten cases that failed: two answers, two orders and two scores each.
        assert len(server.asked) - paid == 10 * 6
    assert json.loads(second.out)["gate"]["status"] == "pass"


def test_an_answer_of_ten_megabytes_is_kept_and_its_judgment_is_unscored(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def behave(asked: Asked, number: int) -> Any:
        question = asked.body["messages"][-1]["content"]
        if is_question(question) and "parcel 0" in question:
            return says(asked.body["messages"][0]["content"] + " Ten days." * 1_000_000)
        return sensible(asked, number)

    path = write(tmp_path, duel=DUEL + "checks: [{contains: days}]\n" + JUDGE, cases=3)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with provider(behave) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        found = arena("duel", path, "--json")
    assert found.json["checks"][0]["rates"]["control"]["passed"] == 3
    assert found.json["pairs"][0]["unscored"] == 2
