"""Vectors by a provider's endpoint: one text a call, kept, priced and repeated as any call is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from promptarena.errors import ModelCallError
from promptarena.llm.model_client import ModelCall, ModelClient

__all__ = ["ProviderEmbedder"]


class ProviderEmbedder:
    """An `Embedder` over a client.

    Args:
        client: who makes the calls; how many at once is its own business.
        provider: whose endpoint; one that speaks OpenAI's protocol.
        model: which vectors.
    """

    def __init__(self, client: ModelClient, provider: str, model: str) -> None:
        self._client, self._provider, self._model = client, provider, model

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """One vector a text; see `Embedder`."""
        return np.array(await asyncio.gather(*map(self._vector, texts)), dtype=np.float64)

    async def _vector(self, text: str) -> list[float]:
        # Endpoints refuse an empty input; white space has no meaning either.
        request = {"model": self._model, "input": text if text.strip() else " "}
        completion = await self._client.complete(
            ModelCall(provider=self._provider, request=request, purpose="embedding")
        )
        found = json.loads(completion.facts.output or "null")
        if not isinstance(found, list) or not found:
            raise ModelCallError(f"The provider {self._provider!r} gave no vector.")
        return [float(number) for number in found]
