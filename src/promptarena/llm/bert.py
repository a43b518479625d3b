"""The forward pass of a BERT encoder, in numpy: from tokens' numbers to a vector for each token.

Devlin et al. 2019, "BERT", section 3, on the encoder of Vaswani et al. 2017, "Attention is all you need",
section 3; GELU by its exact form (Hendrycks and Gimpel 2016), as the published weights expect.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bert", "read_safetensors"]

Floats = NDArray[np.float32]
_LAYER_NORM_EPSILON: Final = 1e-12
_ABSENT: Final = np.float32(-1e9)
"""Added to a padded token's attention: its weight is 0."""


class Bert:
    """An encoder with its weights."""

    def __init__(self, weights: Mapping[str, Floats], heads: int) -> None:
        """Take the weights by the names that Hugging Face's BERT has for them.

        Args:
            weights: of `embeddings` and `encoder.layer.N`; what else there is, is not needed.
            heads: how many each attention has.
        """
        self._weights, self._heads = weights, heads
        self._layers = 1 + max(
            int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer.")
        )

    def encode(self, tokens: NDArray[np.int64], present: NDArray[np.bool_]) -> Floats:
        """Vectors of tokens in their context.

        Args:
            tokens: shape (texts, length), padded.
            present: the same shape; False where a text is padded.

        Returns:
            Shape (texts, length, width); meaningless where not `present`.
        """
        x = self._embedded(tokens)
        bias = np.where(present, np.float32(0), _ABSENT)[:, None, None, :]
        for number in range(self._layers):
            at = f"encoder.layer.{number}"
            x = self._normed(
                x + self._attention(x, bias, f"{at}.attention"), f"{at}.attention.output.LayerNorm"
            )
            inner = _gelu(self._linear(x, f"{at}.intermediate.dense"))
            x = self._normed(x + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        return x

    def _embedded(self, tokens: NDArray[np.int64]) -> Floats:
        words = self._weights["embeddings.word_embeddings.weight"][tokens]
        places = self._weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._normed(words + places + kind, "embeddings.LayerNorm")

    def _attention(self, x: Floats, bias: Floats, at: str) -> Floats:
        texts, length, width = x.shape
        size = width // self._heads

        def parted(name: str) -> Floats:
            found = self._linear(x, f"{at}.self.{name}").reshape(texts, length, self._heads, size)
            return found.transpose(0, 2, 1, 3)

        query = np.asarray(parted("query") / math.sqrt(size), dtype=np.float32)
        # In place: of all arrays here these are the largest by far.
        shares: Floats = query @ parted("key").transpose(0, 1, 3, 2)
        shares += bias
        shares -= shares.max(axis=-1, keepdims=True)
        np.exp(shares, out=shares)
        shares /= shares.sum(axis=-1, keepdims=True)
        mixed: Floats = (shares @ parted("value")).transpose(0, 2, 1, 3).reshape(texts, length, width)
        return self._linear(mixed, f"{at}.output.dense")

    def _linear(self, x: Floats, at: str) -> Floats:
        weight = self._weights[f"{at}.weight"]
        # One product of two matrices is several times faster than one for each text.
        product = x.reshape(-1, x.shape[-1]) @ weight.T
        product += self._weights[f"{at}.bias"]
        return np.asarray(product.reshape(*x.shape[:-1], -1))

    def _normed(self, x: Floats, at: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(_LAYER_NORM_EPSILON))
        return np.asarray(centred / spread * self._weights[f"{at}.weight"] + self._weights[f"{at}.bias"])


def _gelu(x: Floats) -> Floats:
    from scipy.special import erf

    share = erf(x * np.float32(1 / math.sqrt(2)))
    share += 1
    share *= x
    share *= np.float32(0.5)
    return np.asarray(share, dtype=np.float32)


def read_safetensors(path: Path) -> dict[str, Floats]:
    """The 32-bit tensors of a file, mapped and not read.

    The format: eight bytes with the length of a JSON header, the header, the values (https://github.com/
    huggingface/safetensors, "Format").

    Raises:
        ValueError: the file is none.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= 100 << 20:
            raise ValueError(f"{path.name} is not a file of tensors")
        header = json.loads(file.read(size))
    values = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + size)
    return {
        name: values[slice(*told["data_offsets"])].view(np.float32).reshape(told["shape"])
        for name, told in header.items()
        if name != "__metadata__" and told["dtype"] == "F32"
    }
