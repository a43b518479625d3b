"""The cases of a duel as arrays: what they are called, what they have in common, how much each counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from promptarena.evaluation.dataset import Dataset

__all__ = ["CaseFrame", "frame_of", "independent_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFrame:
    """The cases of a duel by number, and what makes one differ from another."""

    ids: Sequence[str]
    clusters: NDArray[np.intp] | None = None
    """Shape (cases,): the number of the conversation or document that a case is part of; cases of different
    clusters are independent. None: every case stands alone."""
    weights: NDArray[np.float64] | None = None
    """Shape (cases,): how much each counts, above 0. None: all the same."""
    segments: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)
    """By dimension, such as a column or `tag`: the values of each case; none where it has none."""

    def __len__(self) -> int:
        return len(self.ids)

    def cluster_of(self, cases: NDArray[np.intp]) -> NDArray[np.intp]:
        """What cases have in common, given their numbers."""
        return cases if self.clusters is None else self.clusters[cases]

    def weight_of(self, cases: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """How much cases count, given their numbers."""
        return None if self.weights is None else self.weights[cases]


def independent_cases(frame: CaseFrame, cases: NDArray[np.intp]) -> float:
    """How many independent cases of equal weight some cases are worth at least: Kish's (sum w)^2 / sum w^2.

    Cases of one cluster are taken to agree, so that they are worth one.
    """
    weights = frame.weight_of(cases)
    clusters = np.unique(frame.cluster_of(cases), return_inverse=True)[1]
    sums = np.bincount(clusters, weights=weights)
    return float(sums.sum() ** 2 / (sums**2).sum()) if len(cases) else 0.0


def frame_of(dataset: Dataset) -> CaseFrame:
    """The frame of a dataset; weights that are all alike are none."""
    segments: dict[str, Sequence[tuple[str, ...]]] = {
        name: [() if value is None else (value,) for value in values]
        for name, values in dataset.segments.items()
    }
    if any(dataset.tags):
        segments["tag"] = dataset.tags
    weights = dataset.weights
    unequal = len(weights) > 0 and bool((weights != weights[0]).any())
    return CaseFrame(
        ids=list(dataset.index),
        clusters=_clusters(dataset.clusters),
        weights=weights if unequal else None,
        segments=segments,
    )


def _clusters(names: Sequence[str | None]) -> NDArray[np.intp] | None:
    """Numbers of clusters; a case that says nothing is one of its own."""
    if not any(name is not None for name in names):
        return None
    keys = [f"of\0{name}" if name is not None else f"alone\0{at}" for at, name in enumerate(names)]
    return np.unique(keys, return_inverse=True)[1].astype(np.intp)
