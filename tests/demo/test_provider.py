"""The simulated provider as the real `openai` package meets it: whole, streamed, failing, refusing."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.sdk.arenas import events_in, open_core

from promptarena.definitions.clock import SystemClock
from promptarena.definitions.events import Generation
from promptarena.demo.bot import MODELS, Failure, Reply, answer
from promptarena.demo.provider import SimulatedProvider
from promptarena.demo.shop import deciding_policy, is_right, policies
from promptarena.sdk.async_client import AsyncArena
from promptarena.sdk.client import Arena

_ASKED: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Name the policy that decides the case."},
    {"role": "user", "content": "The vase arrived in pieces."},
]


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(seed=3, pace=0, failures=0) as provider:
        yield provider


@pytest.fixture
def client(provider: SimulatedProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key="any") as client:
        yield client


def test_an_answer_is_whole_and_counts_its_tokens(client: openai.OpenAI) -> None:
    answered = client.chat.completions.create(model="sim-small", messages=_ASKED)
    [choice] = answered.choices
    assert choice.message.content
    assert (choice.finish_reason, answered.system_fingerprint) == ("stop", "fp_simulated")
    assert answered.usage is not None
    assert answered.usage.total_tokens == answered.usage.prompt_tokens + answered.usage.completion_tokens
    assert answered.model == "sim-small-2026-03-02"


def test_a_streamed_answer_is_the_whole_one_in_pieces(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="sim-small", messages=_ASKED)
    chunks = list(
        client.chat.completions.create(
            model="sim-small", messages=_ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    without = list(client.chat.completions.create(model="sim-small", messages=_ASKED, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in without)


def test_the_same_request_has_the_same_answer_and_another_seed_another() -> None:
    def texts(seed: int) -> list[str | None]:
        with (
            SimulatedProvider(seed=seed, pace=0, failures=0) as provider,
            openai.OpenAI(base_url=provider.base_url, api_key="any") as other,
        ):
            return [
                other.chat.completions.create(model="sim-small", messages=_ASKED, user=f"u-{n}")
                .choices[0]
                .message.content
                for n in range(8)
            ]

    first, again, another = texts(3), texts(3), texts(4)
    assert first == again != another
    assert len(set(first)) > 1


def test_models_are_listed_and_unknown_ones_refused(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [*MODELS, "sim-embedding"]
    with pytest.raises(openai.NotFoundError, match="`gpt-9` does not exist"):
        client.chat.completions.create(model="gpt-9", messages=_ASKED)


def test_bad_requests_are_refused_as_the_protocol_says(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="non-empty array"):
        client.chat.completions.create(model="sim-small", messages=[])
    with pytest.raises(openai.BadRequestError, match="one choice"):
        client.chat.completions.create(model="sim-small", messages=_ASKED, n=2)
    with pytest.raises(openai.BadRequestError, match="Expected a role"):
        client.chat.completions.create(model="sim-small", messages=[{"role": "robot"}])  # type: ignore[typeddict-item]
    with pytest.raises(openai.NotFoundError, match="Unknown request URL"):
        client.moderations.create(input="x")


def test_a_key_is_asked_for_where_there_is_one() -> None:
    with SimulatedProvider(pace=0, failures=0, key="right") as provider:
        with (
            openai.OpenAI(base_url=provider.base_url, api_key="wrong") as wrong,
            pytest.raises(openai.AuthenticationError, match="Incorrect API key"),
        ):
            wrong.models.list()
        with openai.OpenAI(base_url=provider.base_url, api_key="right") as right:
            assert len(list(right.models.list())) == len(MODELS) + 1  # and one of vectors


def test_failures_come_by_the_seed_and_a_repetition_may_succeed() -> None:
    with SimulatedProvider(seed=5, pace=0, failures=40) as provider:
        with openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=0) as once:
            outcomes = [_outcome(once, number) for number in range(60)]
            assert outcomes == [_outcome(once, number) for number in range(60)]
        assert {"429", "500", "answered"} == set(outcomes)
        with openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=4) as patient:
            assert {_outcome(patient, number) for number in range(60)} == {"answered"}
        assert provider.answered[429] > 0
        assert provider.answered[500] > 0


def test_a_client_that_does_not_count_its_attempts_is_not_refused_for_ever() -> None:
    body = json.dumps({"model": "sim-small", "messages": _ASKED}).encode()
    with SimulatedProvider(seed=5, pace=0, failures=60) as provider:
        statuses = []
        for number in range(20):
            sent = body[:-1] + b', "user": "u-%d"}' % number
            while True:
                connection = http.client.HTTPConnection(urlsplit(provider.base_url).netloc, timeout=5)
                connection.request("POST", "/v1/chat/completions", sent)
                statuses.append(connection.getresponse().status)
                connection.close()
                if statuses[-1] == 200:
                    break
    assert statuses.count(200) == 20
    assert len(statuses) > 20


def _outcome(client: openai.OpenAI, number: int) -> str:
    try:
        client.chat.completions.create(model="sim-small", messages=_ASKED, user=f"u-{number}")
    except openai.APIStatusError as error:
        return str(error.status_code)
    return "answered"


def test_an_answer_that_is_too_long_is_cut_and_says_so(client: openai.OpenAI) -> None:
    answered = client.chat.completions.create(model="sim-small", messages=_ASKED, max_tokens=5)
    assert answered.choices[0].finish_reason == "length"
    assert answered.usage is not None
    assert answered.usage.completion_tokens == 5


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/models HTTP/1.1\r\n\r\n", 200),
        (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 3\r\n\r\n{1}", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", 413),
        (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"DELETE /v1/models HTTP/1.1\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_raw_requests_have_a_status(provider: SimulatedProvider, sent: bytes, status: int) -> None:
    connection = http.client.HTTPConnection(str(urlsplit(provider.base_url).netloc), timeout=10)
    connection.connect()
    connection.sock.sendall(sent)
    response = http.client.HTTPResponse(connection.sock)
    response.begin()
    assert response.status == status
    if status in (200, 400) and sent.startswith((b"GET", b"POST")) and (body := response.read()):
        json.loads(body)
    connection.close()


def test_a_port_that_is_taken_is_an_error_at_the_start(provider: SimulatedProvider) -> None:
    taken = urlsplit(provider.base_url).port
    assert taken is not None
    with pytest.raises(OSError, match="address already in use"), SimulatedProvider(port=taken):
        pass


def test_the_prompt_moves_quality_length_and_time() -> None:
    plain, citing = "Be helpful.", "Name the policy that decides the case and its rule."

    def replies(system: str, model: str = "sim-small", temperature: float = 0.0) -> list[tuple[bool, Reply]]:
        found = []
        for number in range(1500):
            policy = policies()[number % len(policies())]
            body = {
                "model": model,
                "temperature": temperature,
                "user": f"u-{number}",
                "messages": [
                    {"role": "system", "content": system},
                    {"role": "user", "content": policy.asked[0]},
                ],
            }
            reply = answer(body, seed=1, failures=0)
            assert isinstance(reply, Reply)
            found.append((is_right(reply.text, policy), reply))
        return found

    def share(found: list[tuple[bool, Reply]]) -> float:
        return sum(right for right, _ in found) / len(found)

    def tokens(found: list[tuple[bool, Reply]]) -> float:
        return sum(len(reply.pieces) for _, reply in found) / len(found)

    base = replies(plain)
    # Four standard errors of a share of 1,500 are .05.
    assert share(base) == pytest.approx(0.46, abs=0.05)
    assert share(replies(citing)) == pytest.approx(0.59, abs=0.05)
    assert share(replies(plain, "sim-large")) == pytest.approx(0.60, abs=0.05)
    assert share(replies(plain, temperature=2)) == pytest.approx(0.34, abs=0.05)
    assert tokens(replies(citing)) > tokens(base) > tokens(replies("Be brief."))
    long = replies("Be helpful. " * 200)
    assert sum(reply.first_token_s for _, reply in long) > 1.5 * sum(reply.first_token_s for _, reply in base)


def test_failures_grow_with_the_prompt() -> None:
    def failed(system: str) -> int:
        bodies = [
            {
                "model": "sim-small",
                "user": f"u-{number}",
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": "Hello"}],
            }
            for number in range(4000)
        ]
        return sum(isinstance(answer(body, seed=1), Failure) for body in bodies)

    assert 5 <= failed("Be helpful.") <= 40
    assert failed("Be helpful. " * 300) > 60


def test_every_question_finds_its_policy() -> None:
    assert len(policies()) == 8
    for policy in policies():
        assert is_right(policy.rule, policy)
        assert not any(is_right(other.rule, policy) for other in policies() if other is not policy)
        for question in policy.asked:
            assert deciding_policy(question) is policy
    assert deciding_policy("zzz") is None


def test_the_arena_times_a_real_stream_of_a_real_client(tmp_path: Path) -> None:
    # Eight times slower than by nature, so that the provider's own times stand out of this machine's.
    with (
        SimulatedProvider(seed=3, pace=8, failures=0) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="any") as client,
        Arena(open_core(tmp_path, clock=SystemClock())) as arena,
    ):
        client.models.list()
        assignment = arena.assign("support-bot", {"conversation": "c-1"})
        request = assignment.chat("The vase arrived in pieces.")
        reply = answer(request, seed=3, failures=0)
        with arena.call(assignment) as call:
            stream = client.chat.completions.create(
                **request, stream=True, stream_options={"include_usage": True}
            )
            text = "".join(
                chunk.choices[0].delta.content or "" for chunk in call.stream(stream) if chunk.choices
            )
        with arena.call(assignment) as whole:
            whole.response(client.chat.completions.create(**request))
    assert isinstance(reply, Reply)
    assert text == reply.text
    first, second = (event for event in events_in(tmp_path, "generation") if isinstance(event, Generation))
    assert (first.input_tokens, first.output_tokens) == (reply.prompt_tokens, len(reply.pieces))
    ttft, spoken = 8 * reply.first_token_s * 1000, 8 * reply.token_s * len(reply.pieces) * 1000
    assert first.ttft_ms is not None
    assert first.tpot_ms is not None
    assert first.itl_p95_ms is not None
    assert first.latency_ms is not None
    assert ttft <= first.ttft_ms < ttft + 1500
    assert first.ttft_ms < first.latency_ms < ttft + spoken + 2000
    assert 0.7 < first.tpot_ms / (8 * reply.token_s * 1000) < 10
    assert first.tpot_ms < first.itl_p95_ms
    assert (second.ttft_ms, second.stream, second.output_tokens) == (None, False, len(reply.pieces))
    assert second.response_id
    assert second.response_id.startswith("chatcmpl-")


def test_the_asynchronous_arena_times_an_asynchronous_client(tmp_path: Path) -> None:
    async def ask() -> None:
        with SimulatedProvider(seed=3, pace=1, failures=0) as provider:
            async with (
                openai.AsyncOpenAI(base_url=provider.base_url, api_key="any") as client,
                AsyncArena(open_core(tmp_path, clock=SystemClock())) as arena,
            ):
                assignment = await arena.assign("support-bot", {"conversation": "c-1"})
                async with arena.call(assignment) as call:
                    stream = await client.chat.completions.create(
                        **assignment.chat("The vase arrived in pieces."), stream=True
                    )
                    async for _ in call.stream(stream):
                        pass

    asyncio.run(ask())
    [event] = events_in(tmp_path, "generation")
    assert isinstance(event, Generation)
    assert event.ttft_ms is not None
    # The usage was not asked for, so the time per token is not known; chunks are not counted for tokens.
    assert (event.output_tokens, event.tpot_ms, event.finish_reason) == (None, None, "stop")


def test_a_rate_limit_is_recorded_by_name_and_the_application_is_told(tmp_path: Path) -> None:
    with (
        SimulatedProvider(seed=1, pace=0, failures=10_000) as provider,
        openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=0) as client,
        Arena(open_core(tmp_path, clock=SystemClock())) as arena,
    ):
        for number in range(6):
            assignment = arena.assign("support-bot", {"conversation": f"c-{number}"})
            with pytest.raises(openai.APIStatusError), arena.call(assignment):
                client.chat.completions.create(
                    **assignment.chat("The vase arrived in pieces."), user=f"u-{number}"
                )
    errors = {event.error for event in events_in(tmp_path, "generation") if isinstance(event, Generation)}
    assert errors == {"RateLimitError 429", "InternalServerError 500"}


def test_closing_a_provider_ends_it_whatever_clients_do() -> None:
    provider = SimulatedProvider(pace=10_000, failures=0)
    with (
        provider,
        openai.OpenAI(base_url=provider.base_url, api_key="any", max_retries=0, timeout=0.3) as client,
    ):
        start = time.monotonic()
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model="sim-small", messages=_ASKED)
    assert time.monotonic() - start < 5
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(str(urlsplit(provider.base_url).netloc), timeout=1).connect()
