from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from promptarena.definitions.judge_panel import Panel
from promptarena.evaluation.judges.panel_votes import decided_scores, decided_verdicts

VOTE = st.sampled_from([None, 0.0, 0.5, 1.0])


def panel(members: int, **said: object) -> Panel:
    return Panel.model_validate({"members": [{"model": str(n)} for n in range(members)], **said})


def decided_verdict(votes: list[float | None], rule: Panel | None) -> float | None:
    return _plain(decided_verdicts(_array(votes), rule))


def decided_score(votes: list[float | None], rule: Panel | None) -> float | None:
    return _plain(decided_scores(_array(votes), rule))


def _array(votes: list[float | None]) -> NDArray[np.float64]:
    return np.array([[np.nan if vote is None else vote for vote in votes]])


def _plain(found: NDArray[np.float64]) -> float | None:
    [one] = found.tolist()
    return None if np.isnan(one) else float(one)


@given(st.lists(VOTE, min_size=2, max_size=7), st.integers(1, 7))
def test_a_verdict_is_what_more_than_half_of_the_votes_say(votes: list[float | None], needed: int) -> None:
    rule = panel(len(votes), min_votes=min(needed, len(votes)))
    found = decided_verdict(votes, rule)
    count = Counter(vote for vote in votes if vote is not None)
    if count.total() < rule.needed:
        assert found is None
    elif 2 * count[1.0] > count.total():
        assert found == 1.0
    elif 2 * count[0.0] > count.total():
        assert found == 0.0
    else:
        assert found == 0.5


@given(st.lists(VOTE, min_size=2, max_size=7))
def test_a_verdict_of_the_other_answer_is_its_mirror(votes: list[float | None]) -> None:
    rule = panel(len(votes))
    mirrored = [None if vote is None else 1 - vote for vote in votes]
    found, other = decided_verdict(votes, rule), decided_verdict(mirrored, rule)
    assert (found is None and other is None) or (found is not None and other == 1 - found)


def test_fewer_votes_than_are_needed_say_nothing() -> None:
    assert decided_verdict([1.0, None, None], panel(3)) is None
    assert decided_verdict([1.0, 1.0, None], panel(3)) == 1.0
    assert decided_verdict([1.0, None, None], panel(3, min_votes=1)) == 1.0
    assert decided_verdict([1.0, 1.0, None], panel(3, min_votes=3)) is None
    assert decided_verdict([None], None) is None
    assert decided_verdict([0.5], None) == 0.5


def test_scores_are_averaged_or_taken_in_the_middle() -> None:
    assert decided_score([1, 2, 5, None], panel(4)) == pytest.approx(8 / 3)
    assert decided_score([1, 2, 5], panel(3, scores="median")) == 2
    assert decided_score([1, None, None], panel(3)) is None
