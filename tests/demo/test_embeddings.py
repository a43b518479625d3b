"""The simulated provider's vectors, as the `openai` package and a duel's similarity ask for them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from promptarena.demo.embeddings import vector_of
from promptarena.demo.provider import SimulatedProvider
from promptarena.llm.provider_embedder import ProviderEmbedder
from promptarena.wiring import live_setup


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider(pace=0) as provider:
        yield provider


@pytest.fixture
def client(provider: SimulatedProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.base_url, api_key="any") as client:
        yield client


def test_a_list_of_texts_has_a_vector_each_in_its_order(client: openai.OpenAI) -> None:
    texts = ["A parcel takes five days.", "?!", "A parcel takes five days."]
    found = client.embeddings.create(model="text-embedding-3-small", input=texts)
    first, second, third = (each.embedding for each in found.data)
    assert [each.index for each in found.data] == [0, 1, 2]
    assert first == third
    assert first != second
    assert all(math.hypot(*each) == pytest.approx(1, abs=1e-6) for each in (first, second))
    assert found.model == "sim-embedding"
    assert found.usage.total_tokens == found.usage.prompt_tokens > 0


def test_packed_and_plain_vectors_are_the_same(client: openai.OpenAI) -> None:
    text = "Opened boxes can be sent back."
    packed = client.embeddings.create(model="sim-embedding", input=text)  # in base64, as the package asks
    plain = client.embeddings.create(model="sim-embedding", input=text, encoding_format="float")
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-7)
    assert plain.data[0].embedding == vector_of(text)


def test_texts_that_share_words_are_nearer() -> None:
    def cosine(one: str, other: str) -> float:
        return sum(a * b for a, b in zip(vector_of(one), vector_of(other), strict=True))

    asked = "My parcel was due on Monday."
    assert cosine(asked, "The parcel was due on Monday!") > 0.7
    assert cosine(asked, "Who pays for vases that break?") < 0.4


def test_what_it_has_no_vectors_for_is_refused_as_the_protocol_says(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="`sim-small` has no embeddings; `sim-embedding` has"):
        client.embeddings.create(model="sim-small", input="x")
    with pytest.raises(openai.NotFoundError, match="`vectors` does not exist"):
        client.embeddings.create(model="vectors", input="x")
    with pytest.raises(openai.BadRequestError, match="not empty"):
        client.embeddings.create(model="sim-embedding", input=["x", ""])
    with pytest.raises(openai.BadRequestError, match="Expected a text"):
        client.embeddings.create(model="sim-embedding", input=[])
    with pytest.raises(openai.BadRequestError, match="64 dimensions"):
        client.embeddings.create(model="sim-embedding", input="x", dimensions=8)


def test_a_duels_embedder_has_them_with_their_price(provider: SimulatedProvider, tmp_path: Path) -> None:
    environment = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "simulated"}
    with live_setup(tmp_path / "duel.yaml", environment=environment) as live:

        async def embedded() -> list[list[float]]:
            embedder = ProviderEmbedder(live.client, "openai", "text-embedding-3-small")
            found = await embedder.embed(["Ten days.", "Ten days.", ""])
            await live.client.close()
            return [list(row) for row in found]

        one, same, blank = asyncio.run(embedded())
        assert one == same == vector_of("Ten days.")
        assert blank == vector_of(" ")
        assert live.client.budget.spent > 0
        assert live.client.budget.unpriced == 0
