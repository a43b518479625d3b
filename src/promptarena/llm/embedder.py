"""Texts as vectors: an endpoint's embeddings or a local encoder's, asked for in one way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Embedder"]


class Embedder(Protocol):
    """Whoever makes vectors of texts. The same text always has the same vector."""

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """One vector a text.

        Args:
            texts: any number of them; how many go into one request is the embedder's own business, and so
                are retries, limits and a cache.

        Returns:
            Shape (texts, dimensions), of any length: cosines are taken by whoever compares.

        Raises:
            ModelCallError: no vectors, after all retries, or an answer that is none.
            BudgetSpentError: the next call would exceed the budget; nothing was sent.
        """
        ...
