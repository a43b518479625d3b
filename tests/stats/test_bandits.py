"""Weights are what drawing would give, floored; regret is small and the best arm is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.stats.bandits import ThompsonSampling, with_least_share
from promptarena.stats.posteriors import BetaPosterior, probability_best

ARMS = [BetaPosterior(31, 71, 100), BetaPosterior(38, 64, 100), BetaPosterior(35, 67, 100)]


def test_plain_weights_are_the_probabilities_of_being_best() -> None:
    found = ThompsonSampling(least_share=0.0).allocation(ARMS)
    np.testing.assert_allclose(found.weights, probability_best(ARMS))
    assert not found.burning_in


def test_top_two_weights_are_the_frequencies_of_the_two_step_draw() -> None:
    found = ThompsonSampling(least_share=0.0, top_two=0.5).allocation(ARMS)
    rng = np.random.default_rng(1)
    draws = np.stack([rng.beta(arm.alpha, arm.beta, 200_000) for arm in ARMS]).argmax(axis=0)
    played = np.zeros(3)
    pool = iter(draws[100_000:])
    for first in draws[:40_000]:
        arm = first
        if rng.random() >= 0.5:
            while arm == first:
                arm = next(pool)
        played[arm] += 1
    np.testing.assert_allclose(found.weights, played / 40_000, atol=0.012)


def test_top_two_splits_evenly_where_one_arm_is_certain() -> None:
    arms = [BetaPosterior(0.5, 1e6, 100), BetaPosterior(1e6, 0.5, 100), BetaPosterior(0.5, 1e6, 100)]
    found = ThompsonSampling(least_share=0.0, top_two=0.6).allocation(arms)
    assert found.weights[1] == pytest.approx(0.6, abs=1e-6)
    assert found.weights[0] == pytest.approx(found.weights[2])


@given(
    weights=st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda w: sum(w) > 1e-6),
    part=st.floats(0, 1),
)
def test_floored_weights_sum_to_one_and_keep_their_order(weights: list[float], part: float) -> None:
    least = part / len(weights)
    found = with_least_share(weights, least)
    assert found.sum() == pytest.approx(1)
    assert found.min() >= least - 1e-12
    order = np.argsort(weights, kind="stable")
    assert (np.diff(found[order]) >= -1e-12).all()
    # Arms above the floor keep their proportions.
    given_weights, free = np.array(weights), found > least + 1e-9
    if free.sum() > 1:
        ratios = found[free] / given_weights[free]
        assert ratios == pytest.approx(np.full(len(ratios), ratios[0]), rel=1e-6)


def test_weights_stay_equal_until_every_arm_has_its_units() -> None:
    rule = ThompsonSampling(burn_in=101)
    found = rule.allocation(ARMS)
    assert found.burning_in
    np.testing.assert_allclose(found.weights, 1 / 3)
    assert found.probability_best is not None
    unknown = rule.allocation([ARMS[0], None])
    assert unknown.probability_best is None
    np.testing.assert_allclose(unknown.weights, 0.5)
    with pytest.raises(ValueError, match="belief"):
        ThompsonSampling(burn_in=0).allocation([ARMS[0], None])


def test_lower_is_better_turns_the_weights_round() -> None:
    rule = ThompsonSampling(least_share=0.0)
    up, down = rule.allocation(ARMS[:2]), rule.allocation(ARMS[:2], higher_is_better=False)
    np.testing.assert_allclose(up.weights, down.weights[::-1], rtol=1e-9)


@pytest.mark.parametrize("delay", [0, 2])
def test_traffic_moves_to_the_better_arm_also_when_outcomes_are_late(delay: int) -> None:
    rng, rule = np.random.default_rng(2), ThompsonSampling(least_share=0.05, burn_in=50)
    rates, shares, earned = [0.2, 0.3, 0.22], [], 0.0
    for _ in range(20):
        arms = [BetaPosterior.prior()] * 3
        waiting: list[list[tuple[int, int]]] = []
        for _ in range(15):
            weights = rule.allocation(arms).weights
            units = rng.multinomial(200, weights)
            waiting.append([(int(rng.binomial(n, p)), int(n)) for n, p in zip(units, rates, strict=True)])
            earned += sum(s for s, _ in waiting[-1])
            if len(waiting) > delay:
                known = waiting.pop(0)
                arms = [arm.updated(*batch) for arm, batch in zip(arms, known, strict=True)]
        shares.append(weights[1])
    assert np.mean(shares) > 0.75
    # Equal shares would earn .24 a unit.
    assert earned / (20 * 15 * 200) > 0.26


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"least_share": 1.0}, "least share"), ({"burn_in": -1}, "burn-in"), ({"top_two": 0.0}, "top arm")],
)
def test_rules_that_make_no_sense_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ThompsonSampling(**changes)  # type: ignore[arg-type]


def test_shares_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot share"):
        ThompsonSampling(least_share=0.4).allocation(ARMS)
    with pytest.raises(ValueError, match="at least"):
        with_least_share([0.5, 0.5], 0.6)
    with pytest.raises(ValueError, match="not all zero"):
        with_least_share([0.0, 0.0], 0.1)
