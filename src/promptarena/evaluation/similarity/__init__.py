"""Similarity of outputs to a reference: vectors, tokens' vectors, words."""

from promptarena.evaluation.similarity.recorded import passing, prepare_similarities, score_outputs
from promptarena.evaluation.similarity.scoring import PreparedSimilarity, prepare_similarity

__all__ = ["PreparedSimilarity", "passing", "prepare_similarities", "prepare_similarity", "score_outputs"]
