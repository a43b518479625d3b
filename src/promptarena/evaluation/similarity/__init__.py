"""Similarity of outputs to a reference: vectors, tokens' vectors, words."""

from promptarena.evaluation.similarity.recorded import passing, score_outputs
from promptarena.evaluation.similarity.scoring import EmbedderOf, PreparedSimilarity, prepare_similarity

__all__ = ["EmbedderOf", "PreparedSimilarity", "passing", "prepare_similarity", "score_outputs"]
