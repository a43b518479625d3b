"""Calls as a run makes them, against a real server that answers, fails, storms and breaks off."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.llm.loopback import (
    FAST,
    Behaviour,
    Loopback,
    ask,
    chunk,
    http,
    refuses,
    says,
    serving,
    streams,
)

from promptarena.errors import (
    ArenaError,
    BudgetSpentError,
    ModelCallError,
    ProviderUnusableError,
    RunStoppedError,
    StorageError,
    UsageError,
)
from promptarena.llm.answer_cache import AnswerCache
from promptarena.llm.budget import Budget
from promptarena.llm.model_client import Completion, ModelCall
from promptarena.llm.pricing import built_in_prices
from promptarena.llm.provider_client import CallCounts, ProviderClient
from promptarena.llm.retries import RetryPolicy


def outcomes(
    behave: Behaviour, calls: list[ModelCall], *, most: int = 8, timeout_s: float = 5.0, **client: Any
) -> tuple[list[Completion | BaseException], CallCounts, Loopback]:
    """Make calls at once and give what came of each."""

    async def run() -> tuple[list[Completion | BaseException], CallCounts, Loopback]:
        async with serving(behave) as server:
            made = ProviderClient(lambda _: server.line(most, timeout_s), **{"retries": FAST} | client)
            try:
                found = await asyncio.gather(*map(made.complete, calls), return_exceptions=True)
            finally:
                await made.close()
            return found, made.counts, server

    return asyncio.run(run())


def one(behave: Behaviour, call: ModelCall | None = None, **client: Any) -> Completion:
    [found], _, _ = outcomes(behave, [call or ask()], **client)
    if isinstance(found, BaseException):
        raise found
    return found


def test_an_answer_comes_with_its_facts_its_time_and_its_price() -> None:
    found = one(lambda *_: says("In two days."))
    assert found.facts.output == "In two days."
    assert (found.facts.input_tokens, found.facts.output_tokens) == (10, 5)
    assert found.cost_usd == pytest.approx((10 * 0.15 + 5 * 0.60) / 1e6)
    assert found.timing.latency_ms > 0
    assert not found.cached
    assert found.request_id
    assert found.at is not None


def test_a_stream_is_read_and_timed() -> None:
    events = [
        chunk(""),
        chunk("In "),
        chunk("two days."),
        chunk(finish="stop"),
        'data: {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3}}\n\n',
        "data: [DONE]\n\n",
    ]
    found = one(lambda *_: streams(events, gap_s=0.01), ask(stream=True))
    assert found.facts.output == "In two days."
    assert found.facts.output_tokens == 3
    timing = found.timing
    assert timing.ttft_ms is not None
    assert timing.tpot_ms is not None
    assert timing.itl_p95_ms is not None
    assert timing.ttft_ms + timing.itl_p95_ms <= timing.latency_ms + 1


def test_a_broken_server_is_asked_again_until_it_answers() -> None:
    def behave(_asked: object, number: int) -> bytes:
        failures = [refuses(500, "oops"), http(200, b"<html>"), http(200, b"{}"), refuses(503, "busy")]
        return failures[number] if number < len(failures) else says("yes")

    found = one(behave)
    assert (found.facts.output, found.retry_count) == ("yes", 4)


@pytest.mark.parametrize(
    ("behave", "says_what"),
    [
        (lambda *_: http(200, b'{"choices": '), "is not JSON"),
        (lambda *_: http(200, b"\xff\xfe\x00"), "is not JSON"),
        (lambda *_: http(200, b'{"choices": []}'), "holds no choices"),
        (lambda *_: http(200, b'{"error": {"message": "no capacity"}}'), "no capacity"),
        (lambda *_: refuses(502, "bad gateway"), "answers 502: bad gateway"),
        (lambda *_: b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{", "cut off|did not answer"),
        (lambda *_: b"SSH-2.0-x\r\n\r\n", "cannot reach|does not speak HTTP"),
    ],
)
def test_what_never_becomes_an_answer_is_given_up_after_all_attempts(
    behave: Behaviour, says_what: str
) -> None:
    with pytest.raises(ModelCallError, match=says_what) as caught:
        one(behave, timeout_s=0.3, retries=RetryPolicy(attempts=2, first_wait_s=0.001))
    assert "after 2 attempts" in str(caught.value)
    assert caught.value.exit_status == 4
    assert not isinstance(caught.value, ProviderUnusableError)


@pytest.mark.parametrize("cut", [True, False])
def test_a_stream_that_breaks_off_is_no_answer(cut: bool) -> None:
    def behave(_asked: object, number: int) -> Any:
        if number == 0:
            return streams([chunk("We will ref")], cut=cut)
        return streams([chunk("We will refund it."), chunk(finish="stop"), "data: [DONE]\n\n"])

    found = one(behave, ask(stream=True))
    assert (found.facts.output, found.retry_count) == ("We will refund it.", 1)


def test_an_error_within_a_stream_is_one() -> None:
    def behave(_asked: object, number: int) -> Any:
        if number == 0:
            return streams([chunk("a"), 'data: {"error": {"message": "x", "type": "overloaded_error"}}\n\n'])
        return streams([chunk("yes"), chunk(finish="stop")])

    assert one(behave, ask(stream=True)).facts.output == "yes"


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (refuses(401, "Incorrect API key provided."), "Check its key"),
        (refuses(403, "not yours"), "may do"),
        (refuses(404, "The model `x` does not exist"), "model's name"),
        (refuses(429, "You exceeded your quota", "insufficient_quota"), "nothing left to spend"),
        (http(302, b"", location="http://192.0.2.1/"), ""),
    ],
)
def test_a_provider_that_refuses_everybody_is_asked_once(reply: bytes, hint: str) -> None:
    calls = [ask(f"question {number}") for number in range(30)]
    found, counts, server = outcomes(lambda *_: reply, calls, most=2)
    assert all(isinstance(each, ProviderUnusableError) for each in found)
    assert hint in str(found[0])
    assert len(server.asked) <= 2
    assert counts.sent == 0


def test_a_call_that_is_wrong_by_itself_fails_alone() -> None:
    def behave(asked: Any, _number: int) -> bytes:
        long = "long" in asked.body["messages"][0]["content"]
        return refuses(400, "context_length_exceeded") if long else says("yes")

    found, counts, server = outcomes(behave, [ask("a long one"), ask("short"), ask("brief")])
    assert isinstance(found[0], ModelCallError)
    assert "context_length_exceeded" in str(found[0])
    assert all(isinstance(each, Completion) for each in found[1:])
    assert (counts.sent, counts.failed, len(server.asked)) == (2, 1, 3)


def test_a_provider_that_is_down_stops_the_run_before_every_call_waited_for_it() -> None:
    async def run() -> list[Any]:
        async with serving(lambda *_: says("x")) as server:
            line = server.line(2)
        client = ProviderClient(lambda _: line, retries=RetryPolicy(attempts=2, first_wait_s=0.001))
        try:
            calls = [ask(f"q{number}") for number in range(40)]
            return await asyncio.gather(*map(client.complete, calls), return_exceptions=True)
        finally:
            await client.close()

    found = asyncio.run(run())
    unusable = [each for each in found if isinstance(each, ProviderUnusableError)]
    assert len(unusable) > 30
    assert "cannot reach 127.0.0.1" in str(unusable[0])
    assert "calls in a row failed" in str(unusable[0])


def test_retry_after_is_obeyed_by_all_calls() -> None:
    times: list[float] = []

    def behave(_asked: object, number: int) -> bytes:
        times.append(time.monotonic())
        return refuses(429, "slow down", retry_after="0.3") if number == 0 else says("yes")

    found, counts, _ = outcomes(behave, [ask(f"q{number}") for number in range(5)], most=1)
    assert all(isinstance(each, Completion) for each in found)
    assert times[1] - times[0] >= 0.29
    assert counts.repeated == 1


def test_a_wait_that_is_too_long_is_not_waited_for() -> None:
    calls = [ask(f"q{number}") for number in range(20)]
    found, _, server = outcomes(
        lambda *_: refuses(429, "come back tomorrow", retry_after="86400"), calls, most=2
    )
    assert all(isinstance(each, ProviderUnusableError) for each in found)
    assert "wants to be left alone for 86,400 s" in str(found[-1])
    assert len(server.asked) == 2


def test_who_waits_for_room_hears_at_once_that_the_run_has_ended() -> None:
    async def run() -> list[Any]:
        async with serving(lambda *_: refuses(429, "slow down", retry_after="60")) as server:
            client = ProviderClient(lambda _: server.line(2))
            asked = [asyncio.ensure_future(client.complete(ask(f"q{number}"))) for number in range(20)]
            while len(server.asked) < 2:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            client.halt(RunStoppedError("Stopped by Ctrl-C."))
            try:
                return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)
            finally:
                await client.close()

    assert all(isinstance(each, RunStoppedError) for each in asyncio.run(run()))


def test_a_storm_of_429_is_survived_with_fewer_calls_at_once() -> None:
    """A provider that takes four calls at once and refuses more; 16 are allowed, and all are answered."""

    async def run() -> tuple[list[Any], CallCounts, int]:
        taken = 0

        def behave(_asked: object, _number: int) -> Any:
            nonlocal taken
            if taken >= 4:
                return refuses(429, "rate limit", retry_after_ms="5")
            taken += 1

            async def later(writer: asyncio.StreamWriter) -> None:
                nonlocal taken
                await asyncio.sleep(0.01)
                taken -= 1
                writer.write(says("yes"))

            return later

        async with serving(behave) as server:
            line = server.line(16)
            client = ProviderClient(lambda _: line, retries=RetryPolicy(first_wait_s=0.01))
            try:
                calls = [ask(f"q{number}") for number in range(120)]
                found = await asyncio.gather(*map(client.complete, calls), return_exceptions=True)
            finally:
                await client.close()
            return found, client.counts, line.limiter.limit

    found, counts, limit = asyncio.run(run())
    assert all(isinstance(each, Completion) for each in found)
    assert counts.repeated > 0
    assert limit < 16
    # Blind repetition at 16 would be refused three times for every answer.
    assert counts.repeated < 2 * 120


def test_concurrency_is_kept_to() -> None:
    async def run() -> int:
        async with serving(lambda *_: says("x"), delay_s=0.01) as server:
            client = ProviderClient(lambda _: server.line(5))
            await asyncio.gather(*(client.complete(ask(f"q{number}")) for number in range(40)))
            await client.close()
            return server.most_under_way

    assert asyncio.run(run()) == 5


def test_an_answer_of_ten_megabytes_is_an_answer_and_a_larger_one_than_fits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "word " * 2_000_000
    with AnswerCache(tmp_path / "answers.db") as cache:
        found, _, server = outcomes(lambda *_: says(text), [ask(), ask()], cache=cache)
    assert [each.facts.output == text for each in found if isinstance(each, Completion)] == [True, True]
    assert len(server.asked) == 1
    monkeypatch.setattr("promptarena.llm.http_session.LARGEST_ANSWER", 2**20)
    with pytest.raises(ModelCallError, match="larger than 1 MB"):
        one(lambda *_: says(text))


def test_an_empty_answer_is_an_answer() -> None:
    for written in ("", None):
        assert one(lambda *_, written=written: says(written)).facts.output is None


def test_a_known_answer_is_not_paid_again_and_keeps_its_first_latency_and_cost(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "answers.db") as cache:
        [first], _, server = outcomes(lambda *_: says("yes"), [ask()], cache=cache)
        port = server.port
    assert isinstance(first, Completion)

    async def again() -> Completion:
        with AnswerCache(tmp_path / "answers.db") as cache:
            client = ProviderClient(lambda _: Loopback(port).line(), cache=cache)
            try:
                return await client.complete(ask())
            finally:
                await client.close()

    found = asyncio.run(again())
    assert found.cached
    assert (found.timing, found.cost_usd, found.request_id, found.at) == (
        first.timing,
        first.cost_usd,
        first.request_id,
        first.at,
    )


@pytest.mark.parametrize(
    "other",
    [
        ask("Another question"),
        ask(temperature=0.7),
        ask(repeat=1),
        ask(judge_hash="abc"),
        ask(stream=True),
    ],
)
def test_whatever_differs_in_a_call_is_asked_by_itself(tmp_path: Path, other: ModelCall) -> None:
    def behave(asked: Any, _number: int) -> Any:
        if asked.body.get("stream"):
            return streams([chunk("yes"), chunk(finish="stop")])
        return says("yes")

    with AnswerCache(tmp_path / "answers.db") as cache:
        _, counts, server = outcomes(behave, [ask(), ask(), other], cache=cache)
    assert (counts.sent, counts.cached, len(server.asked)) == (2, 1, 2)


def test_another_address_has_answers_of_its_own(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "answers.db") as cache:
        for text in ("simulated", "real"):
            assert one(lambda *_, text=text: says(text), cache=cache).facts.output == text


def test_a_budget_is_never_exceeded_and_what_was_paid_is_kept(tmp_path: Path) -> None:
    prices = built_in_prices()
    cost = (10 * 2.5 + 5 * 10) / 1e6
    calls = [ask(f"question {number}", model="gpt-4o", max_tokens=5) for number in range(200)]

    def behave(*_: object) -> bytes:
        return says("yes", model="gpt-4o-2024-08-06")

    with AnswerCache(tmp_path / "answers.db") as cache:
        budget = Budget(0.01, prices)
        found, counts, server = outcomes(behave, calls, cache=cache, budget=budget)
        stopped = [each for each in found if isinstance(each, BudgetSpentError)]
        assert stopped
        assert 0.5 * 0.01 < budget.spent <= 0.01
        assert budget.spent == pytest.approx(counts.sent * cost)
        assert len(server.asked) == counts.sent == 200 - len(stopped)


def test_a_budget_needs_prices() -> None:
    with pytest.raises(UsageError, match=r"No price is known .* 'own-model'"):
        one(lambda *_: says("x"), ask(model="own-model"), budget=Budget(1.0, built_in_prices()))
    free = Budget(None, built_in_prices())
    assert one(lambda *_: says("x", model="own-model"), ask(model="own-model"), budget=free).cost_usd is None
    assert free.unpriced == 1


def _run_until_killed(folder: Path, port: int) -> None:
    async def run() -> None:
        with AnswerCache(folder / "answers.db") as cache:
            client = ProviderClient(lambda _: Loopback(port).line(4), cache=cache)

            async def call(number: int) -> None:
                await client.complete(ask(f"q{number}"))
                with (folder / "acknowledged").open("a") as file:
                    file.write(f"{number}\n")

            await asyncio.gather(*map(call, range(400)))

    asyncio.run(run())


def test_after_kill_9_nothing_that_was_acknowledged_is_paid_again(tmp_path: Path) -> None:
    async def run() -> tuple[set[str], list[str]]:
        async with serving(lambda *_: says("yes"), delay_s=0.004) as server:
            context = multiprocessing.get_context("spawn")
            for _ in range(2):
                process = context.Process(target=_run_until_killed, args=(tmp_path, server.port))
                process.start()
                before = len(server.asked)
                while len(server.asked) < before + 60 and process.is_alive():
                    await asyncio.sleep(0.005)
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                await asyncio.to_thread(process.join)
            acknowledged = set((tmp_path / "acknowledged").read_text().split())
            seen = len(server.asked)
            with AnswerCache(tmp_path / "answers.db") as cache:
                client = ProviderClient(lambda _: server.line(4), cache=cache)
                await asyncio.gather(*(client.complete(ask(f"q{number}")) for number in range(400)))
                await client.close()
            return acknowledged, [each.body["messages"][0]["content"][1:] for each in server.asked[seen:]]

    acknowledged, asked_after = asyncio.run(run())
    assert len(acknowledged) > 40
    assert not acknowledged & set(asked_after)
    assert len(asked_after) == len(set(asked_after))


def test_a_damaged_cache_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "answers.db").write_bytes(b"not a database, whatever its name " * 200)
    with pytest.raises(ArenaError, match=r"not a database.*move it away"):
        AnswerCache(tmp_path / "answers.db")


def test_a_cache_whose_folder_is_gone_is_told_of_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(lambda *_: says("yes")) as server:
            with AnswerCache(tmp_path / "cache" / "answers.db") as cache:
                shutil.rmtree(tmp_path / "cache")
                client = ProviderClient(lambda _: server.line(), cache=cache, retries=FAST)
                async with asyncio.timeout(20):
                    with pytest.raises(StorageError, match="cannot keep answers"):
                        await client.complete(ask())
                await client.close()

    asyncio.run(run())


def test_a_key_is_sent_and_never_told() -> None:
    secret = "sk-very-secret-key-0123456789"

    async def run() -> tuple[str, str]:
        async with serving(lambda *_: refuses(401, "no")) as server:
            client = ProviderClient(lambda _: server.line(key=secret), retries=FAST)
            with pytest.raises(ProviderUnusableError) as caught:
                await client.complete(ask())
            await client.close()
            return server.asked[0].headers["authorization"], str(caught.value)

    sent, told = asyncio.run(run())
    assert sent == f"Bearer {secret}"
    assert secret not in told


def test_parameters_are_sent_as_they_are() -> None:
    _, _, server = outcomes(lambda *_: says("x"), [ask(temperature=0, seed=7, stream=True)])
    body = server.asked[0].body
    assert (body["temperature"], body["seed"], body["stream"]) == (0, 7, True)
    assert body["stream_options"] == {"include_usage": True}
    assert json.dumps(body)


def test_a_few_questions_that_a_provider_cannot_answer_do_not_make_it_down() -> None:
    calls = [ask(f"q{number}") for number in range(60)]
    impatient = RetryPolicy(attempts=2, first_wait_s=0.001)
    few, _, _ = outcomes(lambda *_: refuses(500, "boom"), calls[:20], retries=impatient)
    assert not any(isinstance(each, ProviderUnusableError) for each in few)
    many, _, server = outcomes(lambda *_: refuses(500, "boom"), calls, most=2, retries=impatient)
    assert isinstance(many[-1], ProviderUnusableError)
    assert len(server.asked) < 2 * 60
