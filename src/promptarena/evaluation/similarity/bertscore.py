"""BERTScore: how well the tokens of two texts find each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bertscore"]


def bertscore(output: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """F1 of the greedy matching of tokens by cosine.

    Zhang et al. 2020, "BERTScore: evaluating text generation with BERT", section 3, equations for R, P and F;
    without idf weights and without the rescaling of their section 3, so levels of another encoder or of their
    package are not levels of this one. Differences between variants are what it is for.

    Args:
        output: shape (tokens, width), rows of length 1, without the tokens at a text's ends.
        reference: the same.

    Returns:
        In [-1, 1], in practice above 0; 0 where a text has no token.
    """
    if not len(output) or not len(reference):
        return 0.0
    likeness = output @ reference.T
    precision, recall = float(likeness.max(axis=1).mean()), float(likeness.max(axis=0).mean())
    both = precision + recall
    return 2 * precision * recall / both if both > 0 else 0.0
