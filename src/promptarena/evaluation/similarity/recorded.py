"""Similarity of outputs on file: every measure of a duel over all its variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from promptarena.definitions.duel import Duel, OutputsSource
from promptarena.evaluation.check_rates import CheckResults
from promptarena.evaluation.data_problems import DataProblems
from promptarena.evaluation.dataset import Dataset
from promptarena.evaluation.output_rows import first_outputs
from promptarena.evaluation.recorded import FAILED, MISSING, NOT_APPLICABLE, PASSED
from promptarena.evaluation.scores import AxisScores
from promptarena.evaluation.similarity.scoring import (
    EmbedderOf,
    PreparedSimilarity,
    SimilarityScores,
    prepare_similarity,
)
from promptarena.evaluation.table import content_of

__all__ = ["passing", "prepare_similarities", "score_outputs"]


async def score_outputs(
    measures: Sequence[PreparedSimilarity],
    outputs: Mapping[str, OutputsSource],
    folder: Path,
    dataset: Dataset,
) -> list[AxisScores]:
    """Stream the outputs of all variants through the measures; no output is kept.

    The files have been read before, so what is wrong with them is told: of two outputs of a case the first is
    scored.

    Raises:
        ProviderUnusableError, BudgetSpentError: an endpoint gives no vectors any more.
    """
    if not measures:
        return []
    by_variant: dict[str, SimilarityScores] = {}
    for name, source in outputs.items():
        scores = by_variant[name] = SimilarityScores(measures, dataset)
        seen: set[int] = set()
        for row in first_outputs(source, folder / source.file, DataProblems(), [source.output]):
            case, output = dataset.index.get(row.case), content_of(row.values.get(source.output))
            if case is not None and case not in seen and output is not None:
                seen.add(case)
                await scores.add(case, output)
        await scores.finish()
    return [
        AxisScores(
            axis=measure.title,
            low=measure.low,
            high=1.0,
            values={name: scores.values[number] for name, scores in by_variant.items()},
            scored={name: scores.scored[number] for name, scores in by_variant.items()},
        )
        for number, measure in enumerate(measures)
    ]


def passing(duel: Duel, axes: Sequence[AxisScores], dataset: Dataset) -> dict[str, CheckResults]:
    """Those measures that ask for a least score, as results of checks, by title and variant."""
    found: dict[str, CheckResults] = {}
    for similarity, axis in zip(duel.similarity, axes, strict=True):
        least, column = similarity.rule.min, similarity.rule.reference or duel.dataset.reference
        if least is None or column is None:
            continue
        references = dataset.columns[column]
        without = np.array([MISSING if text and text.strip() else NOT_APPLICABLE for text in references])
        found[similarity.title] = {
            name: np.where(
                axis.scored[name][:, 0],
                np.where(values[:, 0] >= least, PASSED, FAILED),
                without,
            ).astype(np.int8)
            for name, values in axis.values.items()
        }
    return found


def prepare_similarities(duel: Duel, embedder_of: EmbedderOf | None = None) -> list[PreparedSimilarity]:
    """A duel's measures made ready; see `prepare_similarity`."""
    return [prepare_similarity(each, duel.dataset.reference, embedder_of) for each in duel.similarity]
