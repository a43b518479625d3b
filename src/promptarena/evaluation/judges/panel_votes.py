"""What the votes of a panel come to. One judge is a panel of one."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from promptarena.definitions.judge_panel import Panel, ScoreRule

__all__ = ["Votes", "decided_scores", "decided_verdicts"]

Votes: TypeAlias = NDArray[np.float64]
"""Shape (..., members): each member's vote, NaN where it has none. NaN never leaves the judges' room."""


def decided_verdicts(votes: Votes, panel: Panel | None) -> Votes:
    """What most of the votes say of the answers shown first: 1 they won, 0 they lost, 1/2 otherwise.

    >>> three = Panel.model_validate({"members": [{"model": "a"}, {"model": "b"}, {"model": "c"}]})
    >>> decided_verdicts(np.array([[1, 1, 0], [1, 0, np.nan], [1, np.nan, np.nan]]), three)
    array([1. , 0.5, nan])

    Args:
        votes: 1, 1/2 or 0.
        panel: its rule; `None` for a single judge.

    Returns:
        Shape (...,): NaN with fewer votes than the panel needs.
    """
    cast = (~np.isnan(votes)).sum(axis=-1)
    won = 2 * (votes == 1).sum(axis=-1) > cast
    lost = 2 * (votes == 0).sum(axis=-1) > cast
    return np.where(cast >= _needed(panel), np.where(won, 1.0, np.where(lost, 0.0, 0.5)), np.nan)


def decided_scores(votes: Votes, panel: Panel | None) -> Votes:
    """The mean or the median of a panel's scores, shape (...,); NaN with fewer votes than it needs."""
    known = ~np.isnan(votes)
    enough = known.sum(axis=-1) >= _needed(panel)
    found = np.full(enough.shape, np.nan)
    rule = np.nanmedian if panel is not None and panel.scores is ScoreRule.MEDIAN else np.nanmean
    found[enough] = rule(votes[enough], axis=-1)
    return found


def _needed(panel: Panel | None) -> int:
    return panel.needed if panel is not None else 1
