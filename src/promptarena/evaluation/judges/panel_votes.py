"""What the votes of a panel come to. One judge is a panel of one."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from promptarena.definitions.judge_panel import Panel, ScoreRule

__all__ = ["decided_score", "decided_verdict"]


def decided_verdict(votes: Sequence[float | None], panel: Panel | None) -> float | None:
    """What most of the votes say of the answer shown first: 1 it won, 0 it lost, 1/2 otherwise.

    >>> three = Panel.model_validate({"members": [{"model": "a"}, {"model": "b"}, {"model": "c"}]})
    >>> [decided_verdict(votes, three) for votes in ([1, 1, 0], [1, 0, None], [1, None, None])]
    [1.0, 0.5, None]

    Args:
        votes: one a member, 1, 1/2 or 0; `None` where it has none.
        panel: its rule; `None` for a single judge.

    Returns:
        `None` with fewer votes than the panel needs.
    """
    cast = [vote for vote in votes if vote is not None]
    if len(cast) < (panel.needed if panel else 1):
        return None
    for verdict in (1.0, 0.0):
        if 2 * cast.count(verdict) > len(cast):
            return verdict
    return 0.5


def decided_score(votes: Sequence[float | None], panel: Panel | None) -> float | None:
    """The mean or the median of a panel's scores of one answer; `None` with fewer than it needs."""
    cast = [vote for vote in votes if vote is not None]
    if len(cast) < (panel.needed if panel else 1):
        return None
    return median(cast) if panel and panel.scores is ScoreRule.MEDIAN else fmean(cast)
