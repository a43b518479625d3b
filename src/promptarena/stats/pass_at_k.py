"""pass@k: how probable it is that of k answers drawn from a model at least one is right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["pass_at_k"]


def pass_at_k(right: ArrayLike, drawn: ArrayLike, k: int) -> NDArray[np.float64]:
    """The unbiased estimate of each case, from n answers of which c are right: 1 - C(n - c, k) / C(n, k).

    Chen et al. 2021, "Evaluating large language models trained on code", equation 1, as the product of their
    figure 3. (1 - (1 - c/n)^k, which reuses answers, is biased downwards.)

    >>> pass_at_k([1, 0, 3], [3, 3, 3], k=2).round(4).tolist()
    [0.6667, 0.0, 1.0]

    Args:
        right: shape (cases,), how many answers are right.
        drawn: shape (cases,), how many there are; at least k each.
        k: at least 1.

    Returns:
        Shape (cases,), in [0, 1]. Their mean over cases is the pass@k of a dataset.

    Raises:
        ValueError: k is less than 1, or a case has fewer than k answers or more right ones than answers.
    """
    c, n = np.asarray(right, dtype=np.int64), np.asarray(drawn, dtype=np.int64)
    if k < 1:
        raise ValueError(f"k is {k}; at least 1 answer is drawn")
    if np.any(n < k):
        raise ValueError(f"pass@{k} needs {k} answers a case; one has {int(n.min())}")
    if np.any((c < 0) | (c > n)):
        raise ValueError("a case has more right answers than answers")
    # C(n - c, k) / C(n, k) as the product over the k places of the share of wrong ones that are left.
    places = np.arange(k)
    wrong_left = np.maximum((n - c)[..., None] - places, 0)
    return np.asarray(1.0 - np.prod(wrong_left / (n[..., None] - places), axis=-1), dtype=np.float64)
