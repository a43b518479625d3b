"""From rewards to weights: what the rule says, readable, and only where it says anything new."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.definitions.bandit import Bandit, BanditRule
from promptarena.definitions.metric import Absence, Better, Metric, MetricKind
from promptarena.rollout.allocator import next_allocation
from promptarena.stats.bandits import ThompsonSampling
from promptarena.stats.moments import Moments
from promptarena.stats.posteriors import BetaPosterior, NormalPosterior

RATE = Metric(name="ok", kind=MetricKind.RATE, of="ok", absent=Absence.ZERO)
BANDIT = Bandit(bandit=BanditRule.THOMPSON, reward="ok", min_share=0.05, burn_in=100)
EVEN = {"control": 0.5, "treatment": 0.5}


def _rate(events: int, n: int) -> Moments:
    return Moments.from_values([1.0] * events + [0.0] * (n - events))


def test_the_worked_example_of_two_arms() -> None:
    # 200 units each with 60 and 76 successes; then 5 of 20 and 70 of 180, which arrive in another epoch.
    bandit = BANDIT.model_copy(update={"min_share": 0.1})
    first = {("control", 0): _rate(60, 200), ("treatment", 0): _rate(76, 200)}
    found = next_allocation(bandit, RATE, first, EVEN)
    assert found.weights == {"control": 0.1, "treatment": 0.9}
    assert found.arms["treatment"].probability_best == pytest.approx(0.954, abs=5e-4)
    second = {**first, ("control", 1): _rate(5, 20), ("treatment", 1): _rate(70, 180)}
    later = next_allocation(bandit, RATE, second, found.weights)
    assert later.arms["treatment"].probability_best == pytest.approx(0.9859, abs=5e-5)
    assert later.arms["control"].units == 220
    assert not later.moves


@given(events=st.lists(st.integers(0, 300), min_size=2, max_size=6), top_two=st.booleans())
def test_weights_are_those_of_the_rule_in_four_digits(events: list[int], top_two: bool) -> None:
    names = [f"v{i}" for i in range(len(events))]
    bandit = Bandit(bandit=BanditRule.TOP_TWO if top_two else BanditRule.THOMPSON, reward="ok", burn_in=100)
    rewards = {(name, 3): _rate(count, 300) for name, count in zip(names, events, strict=True)}
    found = next_allocation(bandit, RATE, rewards, dict.fromkeys(names, 1 / len(names)))
    rule = ThompsonSampling(0.05, 100, 0.5 if top_two else None)
    exact = rule.allocation([BetaPosterior.prior().updated(count, 300) for count in events]).weights
    assert list(found.weights.values()) == pytest.approx(exact, abs=4e-4)
    assert sum(found.weights.values()) == pytest.approx(1, abs=1e-9)
    assert min(found.weights.values()) >= 0.05


def test_means_are_believed_in_by_the_normal_model_and_lower_may_be_better() -> None:
    rng = np.random.default_rng(1)
    values = [rng.lognormal(0.2 * i, 0.4, 150) for i in range(3)]
    moments = [Moments.from_values(each) for each in values]
    cost = RATE.model_copy(update={"kind": MetricKind.SUM, "better": Better.LOWER})
    names = ["control", "b", "c"]
    rewards = {(name, 0): each for name, each in zip(names, moments, strict=True)}
    found = next_allocation(BANDIT, cost, rewards, dict.fromkeys(names, 1 / 3))
    beliefs = [NormalPosterior.of(each) for each in moments]
    exact = ThompsonSampling(0.05, 100).allocation(beliefs, higher_is_better=False).weights
    assert list(found.weights.values()) == pytest.approx(exact, abs=4e-4)
    assert max(found.weights, key=lambda name: found.weights[name]) == "control"


def test_without_enough_units_weights_stay_equal_and_nothing_moves() -> None:
    rewards = {("control", 0): _rate(20, 100), ("treatment", 0): _rate(60, 99)}
    found = next_allocation(BANDIT, RATE, rewards, EVEN)
    assert found.burning_in
    assert not found.moves
    assert found.weights == EVEN
    nothing = next_allocation(BANDIT, RATE, {}, EVEN)
    assert [arm.mean for arm in nothing.arms.values()] == [None, None]
    alike = RATE.model_copy(update={"kind": MetricKind.SUM})
    flat = {(name, 0): Moments.from_values([2.0] * 200) for name in EVEN}
    assert next_allocation(BANDIT, alike, flat, EVEN).burning_in


def test_a_move_of_less_than_a_point_begins_no_epoch() -> None:
    rewards = {("control", 0): _rate(100, 200), ("treatment", 0): _rate(101, 200)}
    weights = next_allocation(BANDIT, RATE, rewards, EVEN).weights
    near = {
        name: weight + shift for (name, weight), shift in zip(weights.items(), (0.009, -0.009), strict=True)
    }
    far = {
        name: weight + shift for (name, weight), shift in zip(weights.items(), (0.011, -0.011), strict=True)
    }
    assert not next_allocation(BANDIT, RATE, rewards, near).moves
    assert next_allocation(BANDIT, RATE, rewards, far).moves
