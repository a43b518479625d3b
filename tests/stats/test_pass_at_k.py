"""pass@k against all subsets, and by simulation: unbiased where the plug-in estimate is not."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.stats.pass_at_k import pass_at_k


@given(st.integers(1, 8), st.data())
def test_it_is_the_share_of_subsets_that_hold_a_right_answer(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    [found] = pass_at_k([c], [n], k)
    assert found == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)


def test_many_answers_do_not_overflow() -> None:
    [found] = pass_at_k([3], [100_000], 1_000)
    assert found == pytest.approx(1 - (1 - 1_000 / 100_000) ** 3, rel=1e-3)


@pytest.mark.parametrize(("p", "n", "k"), [(0.2, 5, 3), (0.05, 10, 5)])
def test_it_is_unbiased_where_reusing_answers_is_not(p: float, n: int, k: int) -> None:
    right = np.random.default_rng(1).binomial(n, p, 200_000)
    truth = 1 - (1 - p) ** k
    found = pass_at_k(right, np.full_like(right, n), k)
    error = float(found.std() / np.sqrt(len(found)))
    assert abs(float(found.mean()) - truth) < 4 * error
    assert float((1 - (1 - right / n) ** k).mean()) < truth - 10 * error


@pytest.mark.parametrize(
    ("right", "drawn", "k", "said"),
    [([1], [2], 3, "needs 3 answers"), ([1], [2], 0, "k is 0"), ([3], [2], 1, "more right answers")],
)
def test_what_cannot_be_is_refused(right: list[int], drawn: list[int], k: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pass_at_k(right, drawn, k)
