"""Win rates and the display order's part in verdicts: direct counts, symmetry and planted bias."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.stats.preference import first_position_rate, order_conflicts, win_rate
from promptarena.stats.proportions import proportion

both_orders = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=40
)


def test_a_tie_is_half_a_win() -> None:
    found = win_rate([1, 1, 0.5, 0.5, 0])
    assert (found.wins, found.ties, found.losses) == (2, 2, 1)
    assert found.rate.value == 0.6
    assert found.rate.interval == proportion([1, 1, 0.5, 0.5, 0]).interval


def test_quarters_count_by_the_side_that_they_lean_to() -> None:
    found = win_rate([0.75, 0.25, 0.75, 0.5])
    assert (found.wins, found.ties, found.losses) == (2, 1, 1)
    assert found.rate.value == 0.5625


@given(verdicts=both_orders)
def test_every_pair_is_of_one_kind(verdicts: list[tuple[float, float]]) -> None:
    forward, backward = zip(*verdicts, strict=True)
    found = order_conflicts(forward, backward)
    assert found.consistent + found.first_both + found.second_both + found.half == found.n
    assert found.conflicts == sum(one != other for one, other in verdicts)
    assert found.rate.value == pytest.approx(found.conflicts / found.n)


@given(verdicts=both_orders)
def test_conflicts_do_not_depend_on_which_answer_is_called_a(verdicts: list[tuple[float, float]]) -> None:
    forward, backward = (np.array(scores) for scores in zip(*verdicts, strict=True))
    assert order_conflicts(forward, backward) == order_conflicts(1 - backward, 1 - forward)


def _judge(rng: np.random.Generator, pairs: int, better: float, bias: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of answer A in both orders from a judge that adds `bias` to the first position's log-odds."""
    gap = rng.normal(better, 1.5, pairs)
    forward = rng.random(pairs) < 1 / (1 + np.exp(-(gap + bias)))
    backward = rng.random(pairs) < 1 / (1 + np.exp(-(gap - bias)))
    return forward.astype(float), backward.astype(float)


def test_an_unbiased_judge_prefers_no_position_however_unequal_the_answers() -> None:
    rng = np.random.default_rng(7)
    runs, covered = 400, 0
    for _ in range(runs):
        forward, backward = _judge(rng, 60, better=2.0, bias=0.0)
        cases = np.tile(np.arange(60), 2)
        found = first_position_rate(np.concatenate([forward, 1 - backward]), cases)
        assert found is not None
        covered += found.low <= 0.5 <= found.high
    assert covered / runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_a_biased_judge_is_found_out() -> None:
    forward, backward = _judge(np.random.default_rng(8), 300, better=0.5, bias=1.0)
    cases = np.tile(np.arange(300), 2)
    found = first_position_rate(np.concatenate([forward, 1 - backward]), cases)
    assert found is not None
    assert found.low > 0.55
    orders = order_conflicts(forward, backward)
    assert orders.first_both > 3 * orders.second_both


def test_ties_alone_tell_nothing_of_position() -> None:
    assert first_position_rate([0.5, 0.5]) is None


def test_a_judge_that_always_says_first_conflicts_everywhere() -> None:
    orders = order_conflicts(np.ones(50), np.zeros(50))
    assert (orders.first_both, orders.consistent, orders.rate.value) == (50, 0, 1.0)
    position = first_position_rate(np.ones(100), np.tile(np.arange(50), 2))
    assert position is not None
    assert (position.value, position.clusters) == (1.0, 50)


@pytest.mark.parametrize(("forward", "backward"), [([1], [1, 0]), ([0.3], [1]), ([], []), ([[1]], [[1]])])
def test_what_does_not_pair_is_refused(forward: list[float], backward: list[float]) -> None:
    with pytest.raises(ValueError):
        order_conflicts(forward, backward)
