"""OpenAI's embeddings as the simulated provider has them: what a request must be, the vectors, the body.

No model is behind them. Every word of a text is hashed onto one of 64 places with a sign (the hashing trick,
Weinberger et al. 2009, section 2), and their sum is given unit length: texts that share words are near each
other, whatever they mean, and a text has the same vector on every machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
from typing import Any, Final

from promptarena.demo.bot import ALIASES, MODELS, count_tokens
from promptarena.demo.chat_protocol import BadRequestError, json_body

__all__ = ["EMBEDDING_ALIASES", "EMBEDDING_MODEL", "embedding_answer", "vector_of"]

EMBEDDING_MODEL: Final = "sim-embedding"
EMBEDDING_ALIASES: Final = ("text-embedding-3-small", "text-embedding-3-large")
"""Names under which it is asked too, as `ALIASES` of the chat models."""
_DIMENSIONS: Final = 64
_MOST_TEXTS: Final = 2048
_WORD: Final = re.compile(r"\w+")


def vector_of(text: str) -> list[float]:
    """A text's vector, of unit length.

    >>> sum(x * x for x in vector_of("Ten working days.")) > 0.999
    True
    >>> vector_of("Ten days, ten!") == vector_of("days TEN ten")
    True
    """
    summed = [0.0] * _DIMENSIONS
    for word in _WORD.findall(text.casefold()):
        at, sign = _place(word)
        summed[at] += sign
    if not any(summed):  # no word, or words that take each other away
        at, sign = _place(text)
        summed[at] = sign
    length = math.sqrt(sum(number * number for number in summed))
    return [number / length for number in summed]


def embedding_answer(data: bytes) -> bytes:
    """The answer to a request.

    Raises:
        BadRequestError: it is none, or asks for a model or a form that is not there.
    """
    body = json_body(data)
    texts, packed = _texts(body), body.get("encoding_format") == "base64"
    tokens = sum(map(count_tokens, texts))
    found = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": _written(vector_of(text), packed)}
            for at, text in enumerate(texts)
        ],
        "model": EMBEDDING_MODEL,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return json.dumps(found, separators=(",", ":")).encode()


def _texts(body: dict[str, Any]) -> list[str]:
    model, said = body.get("model"), body.get("input")
    if model in MODELS or model in ALIASES:
        raise BadRequestError(400, f"`{model}` has no embeddings; `{EMBEDDING_MODEL}` has.", "model")
    if model != EMBEDDING_MODEL and model not in EMBEDDING_ALIASES:
        raise BadRequestError(404, f"The model `{model}` does not exist.", "model", "model_not_found")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise BadRequestError(400, "Expected float or base64.", "encoding_format")
    if body.get("dimensions") not in (None, _DIMENSIONS):
        raise BadRequestError(400, f"This provider gives {_DIMENSIONS} dimensions.", "dimensions")
    texts = [said] if isinstance(said, str) else said
    if not isinstance(texts, list) or not 0 < len(texts) <= _MOST_TEXTS:
        raise BadRequestError(400, f"Expected a text, or 1 to {_MOST_TEXTS:,} of them.", "input")
    if not all(isinstance(text, str) and text for text in texts):
        raise BadRequestError(400, "Expected texts that are not empty.", "input")
    return texts


def _written(vector: list[float], packed: bool) -> list[float] | str:
    """As JSON has it, or as the `openai` package asks for it: 32-bit floats, little end first."""
    return base64.b64encode(struct.pack(f"<{_DIMENSIONS}f", *vector)).decode() if packed else vector


def _place(word: str) -> tuple[int, float]:
    digest = hashlib.sha256(word.encode(errors="surrogatepass")).digest()
    return digest[0] % _DIMENSIONS, 1.0 if digest[1] & 1 else -1.0
