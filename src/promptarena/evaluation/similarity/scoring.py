"""Similarity at work: scores of a variant's outputs, a batch at a time, none of the texts kept."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.similarity import (
    BertScoreRule,
    EmbeddingRule,
    LexicalMeasure,
    LexicalRule,
    Similarity,
)
from promptarena.errors import ModelCallError, ProviderUnusableError, UsageError
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.similarity.bertscore import bertscore
from promptarena.evaluation.similarity.lexical import chrf, rouge_l, token_f1
from promptarena.llm.embedder import Embedder
from promptarena.llm.minilm import load_minilm

__all__ = ["EmbedderOf", "PreparedSimilarity", "SimilarityScores", "prepare_similarity"]

Floats = NDArray[np.float64]
Measure = Callable[[Sequence[str], Sequence[str]], Coroutine[Any, Any, Floats]]
"""(outputs, references) -> a score for each."""
EmbedderOf = Callable[[str, str], Embedder]
"""Who makes vectors with a provider's model."""

_BATCH: Final = 64
_BATCH_CHARACTERS: Final = 1_000_000
"""What may wait together, so that long outputs do not pile up."""
_LONGEST: Final = 100_000
"""Characters that are compared by words and letters; what follows in a longer text is not looked at."""


@dataclass(frozen=True, slots=True)
class PreparedSimilarity:
    """A measure with its encoder at hand."""

    title: str
    column: str
    """Of the dataset: what outputs are compared with."""
    low: float
    """The lowest score that there can be; 1 is the highest."""
    measure: Measure


def prepare_similarity(
    similarity: Similarity, reference: str | None, embedder_of: EmbedderOf | None = None
) -> PreparedSimilarity:
    """Make a declared measure ready.

    Args:
        similarity: the declaration.
        reference: the dataset's own column of references.
        embedder_of: who makes vectors where an endpoint is declared; None where no calls are made.

    Raises:
        MissingExtraError: a local encoder is wanted and not installed.
        StorageError: its weights are not the published ones.
        UsageError: an endpoint is declared, and nobody makes calls.
    """
    rule = similarity.rule
    column = rule.reference or reference
    assert column is not None, "a definition without a reference is refused"
    match rule:
        case EmbeddingRule(provider=None):
            measure = _cosines(load_minilm())
        case EmbeddingRule():
            if embedder_of is None:
                raise UsageError(f"{similarity.title} asks a provider, and no calls are made here.")
            measure = _cosines(embedder_of(str(rule.provider), str(rule.model)))
        case BertScoreRule():
            measure = _bertscores()
        case LexicalRule():
            measure = _lexical(rule.measure)
    return PreparedSimilarity(similarity.title, column, rule.low, measure)


class SimilarityScores:
    """Collects one variant's scores on all measures, over cases and repeats."""

    def __init__(self, measures: Sequence[PreparedSimilarity], dataset: Dataset, repeats: int = 1) -> None:
        """Begin.

        Args:
            measures: what to score.
            dataset: holds the references, by `PreparedSimilarity.column`.
            repeats: how many outputs a case may have.
        """
        self._measures, self._dataset = measures, dataset
        shape = (len(measures), len(dataset), repeats)
        self.values: Floats = np.zeros(shape)
        """Shape (measures, cases, repeats); meaningless where not `scored`."""
        self.scored: NDArray[np.bool_] = np.zeros(shape, dtype=np.bool_)
        """The same shape. A case without a reference or an output has no score; it is never 0."""
        self._waiting: list[tuple[int, int, str]] = []
        self._characters = 0

    async def add(self, case: int, output: str, repeat: int = 0) -> None:
        """Score an output, together with those that come next.

        Raises:
            ProviderUnusableError, BudgetSpentError: an endpoint gives no vectors any more.
        """
        self._waiting.append((case, repeat, output))
        self._characters += len(output)
        if len(self._waiting) >= _BATCH or self._characters >= _BATCH_CHARACTERS:
            await self.finish()

    async def finish(self) -> None:
        """Score what waits.

        Raises:
            ProviderUnusableError, BudgetSpentError: as `add`.
        """
        waiting, self._waiting, self._characters = self._waiting, [], 0
        for number, measure in enumerate(self._measures):
            column = self._dataset.columns[measure.column]
            pairs = [
                (case, repeat, output, reference)
                for case, repeat, output in waiting
                if (reference := column[case]) is not None and reference.strip()
            ]
            if pairs:
                await self._score(number, measure.measure, pairs)

    async def _score(self, number: int, measure: Measure, pairs: Sequence[tuple[int, int, str, str]]) -> None:
        try:
            scores = await measure([pair[2] for pair in pairs], [pair[3] for pair in pairs])
        except ProviderUnusableError:
            raise
        except ModelCallError:
            # A text that an endpoint refuses has no score; the others of its batch do.
            if len(pairs) > 1:
                for pair in pairs:
                    await self._score(number, measure, [pair])
            return
        at = (number, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        self.values[at] = scores
        self.scored[at] = True


def _cosines(embedder: Embedder) -> Measure:
    async def measure(outputs: Sequence[str], references: Sequence[str]) -> Floats:
        # Each text once: references of repeats, and outputs that say the same, are common.
        texts = list(dict.fromkeys((*outputs, *references)))
        vectors = np.asarray(await embedder.embed(texts), dtype=np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        at = {text: number for number, text in enumerate(texts)}
        one, other = vectors[[at[text] for text in outputs]], vectors[[at[text] for text in references]]
        return np.asarray(np.clip((one * other).sum(axis=1), -1.0, 1.0))

    return measure


def _bertscores() -> Measure:
    encoder = load_minilm()

    async def measure(outputs: Sequence[str], references: Sequence[str]) -> Floats:
        tokens = encoder.tokens([*outputs, *references])
        pairs = zip(tokens[: len(outputs)], tokens[len(outputs) :], strict=True)
        return np.array([bertscore(one, other) for one, other in pairs])

    return measure


_LEXICAL: Final = {
    LexicalMeasure.ROUGE_L: rouge_l,
    LexicalMeasure.TOKEN_F1: token_f1,
    LexicalMeasure.CHRF: chrf,
}


def _lexical(kind: LexicalMeasure) -> Measure:
    score = _LEXICAL[kind]

    async def measure(outputs: Sequence[str], references: Sequence[str]) -> Floats:
        pairs = zip(outputs, references, strict=True)
        return np.array([score(one[:_LONGEST], other[:_LONGEST]) for one, other in pairs])

    return measure
