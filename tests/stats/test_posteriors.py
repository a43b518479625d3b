"""The probability of being best against closed forms, adaptive quadrature and simulation; batches in any order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import betaln

from promptarena.stats.moments import Moments
from promptarena.stats.posteriors import BetaPosterior, NormalPosterior, Posterior, probability_best

counts = st.integers(1, 400)


def _closed_form(a: tuple[int, int], b: tuple[int, int]) -> float:
    """P(second > first) of Betas with whole parameters, as a finite sum (Miller 2015)."""
    return math.fsum(
        math.exp(
            betaln(a[0] + i, a[1] + b[1]) - math.log(b[1] + i) - betaln(1 + i, b[1]) - betaln(a[0], a[1])
        )
        for i in range(b[0])
    )


@given(a=st.tuples(counts, counts), b=st.tuples(counts, counts))
@settings(max_examples=60)
def test_two_rates_equal_the_closed_form(a: tuple[int, int], b: tuple[int, int]) -> None:
    found = probability_best([BetaPosterior(*a), BetaPosterior(*b)])
    assert found[1] == pytest.approx(_closed_form(a, b), rel=1e-9, abs=1e-13)


def _frozen(arm: Posterior) -> tuple[stats.rv_continuous, tuple[float, ...]]:
    if isinstance(arm, BetaPosterior):
        return stats.beta, (arm.alpha, arm.beta)
    assert isinstance(arm, NormalPosterior)
    return stats.t, (2 * arm.shape, arm.mean, arm.scale)


FIVE_RATES = [
    BetaPosterior(3, 40),
    BetaPosterior(30, 300),
    BetaPosterior(1, 1),
    BetaPosterior(5, 60),
    BetaPosterior(300, 2800),
]
FOUR_MEANS = [
    NormalPosterior(0, 4, 1.5, 3),
    NormalPosterior(1, 400, 200, 300),
    NormalPosterior(1.1, 50, 24.5, 40),
    NormalPosterior(-1, 2, 0.5, 2),
]


@pytest.mark.parametrize("arms", [FIVE_RATES, FOUR_MEANS])
def test_many_arms_equal_adaptive_quadrature_and_simulation(arms: Sequence[Posterior]) -> None:
    found = probability_best(arms)
    rng = np.random.default_rng(1)
    families = [_frozen(arm) for arm in arms]
    draws = np.stack([family.rvs(*values, size=400_000, random_state=rng) for family, values in families])
    shares = np.bincount(draws.argmax(axis=0), minlength=len(arms)) / 400_000
    np.testing.assert_allclose(found, shares, atol=5 * math.sqrt(0.25 / 400_000))
    for i, (family, values) in enumerate(families):
        # In the arm's own probability scale, where the integrand is bounded by 1.
        others = [f for j, f in enumerate(families) if j != i]

        def below(
            u: float, family: stats.rv_continuous = family, values: tuple[float, ...] = values
        ) -> float:
            x = family.ppf(u, *values)
            return math.prod(float(f.cdf(x, *v)) for f, v in others)  # noqa: B023

        direct, _ = quad(below, 0, 1, limit=300, epsabs=1e-9)
        assert found[i] == pytest.approx(direct, abs=1e-7)


@pytest.mark.parametrize(
    "arms",
    [
        [BetaPosterior(0.5, 0.5), BetaPosterior(1e6, 1e6)],
        [NormalPosterior(0, 1, 0.5, 1), NormalPosterior(0, 1e6, 500, 1)],
    ],
)
def test_beliefs_of_very_different_width_are_integrated(arms: Sequence[Posterior]) -> None:
    assert probability_best(arms)[0] == pytest.approx(0.5, abs=1e-9)


def test_beliefs_that_hardly_meet_are_certain() -> None:
    found = probability_best([BetaPosterior(0.5, 1e5), BetaPosterior(1e5, 0.5)])
    assert found[1] == pytest.approx(1)
    assert found[0] >= 0


@pytest.mark.parametrize("arms", [FIVE_RATES, FOUR_MEANS])
def test_lowest_is_best_where_lower_is_better(arms: Sequence[Posterior]) -> None:
    lowest = probability_best(arms, higher_is_better=False)
    assert lowest.sum() == pytest.approx(1)
    two = probability_best(arms[:2])
    np.testing.assert_allclose(probability_best(arms[:2], higher_is_better=False), two[::-1], rtol=1e-9)


def test_equal_arms_are_equally_likely_best() -> None:
    np.testing.assert_allclose(probability_best([BetaPosterior(7, 9)] * 6), np.full(6, 1 / 6), rtol=1e-9)


@given(
    batches=st.lists(st.lists(st.floats(-50, 50), min_size=1, max_size=8), min_size=2, max_size=6),
    order=st.randoms(use_true_random=False),
)
def test_late_batches_in_any_order_give_the_same_belief(batches: list[list[float]], order: object) -> None:
    first = [0.0, 1.0, 2.5]
    whole = NormalPosterior.of(Moments.from_values([*first, *(x for batch in batches for x in batch)]))
    shuffled = list(batches)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    belief = NormalPosterior.of(Moments.from_values(first))
    for batch in shuffled:
        belief = belief.updated(Moments.from_values(batch))
    assert belief.units == whole.units
    assert (belief.mean, belief.strength, belief.shape, belief.rate) == pytest.approx(
        (whole.mean, whole.strength, whole.shape, whole.rate), rel=1e-9, abs=1e-9
    )


def test_a_normal_belief_is_bayes_rule_on_a_grid() -> None:
    values = np.array([1.2, 0.4, 2.2, 1.9])
    prior = NormalPosterior(0.5, 2.0, 1.5, 2.0)
    belief = prior.updated(Moments.from_values(values))
    mean, precision = np.meshgrid(np.linspace(-4, 6, 2001), np.linspace(1e-3, 12, 1200), indexing="ij")
    log = (prior.shape - 1) * np.log(precision) - prior.rate * precision
    log += 0.5 * np.log(precision) - prior.strength * precision * (mean - prior.mean) ** 2 / 2
    for value in values:
        log += 0.5 * np.log(precision) - precision * (value - mean) ** 2 / 2
    mass = np.exp(log - log.max()).sum(axis=1)
    mass /= mass.sum()
    grid = mean[:, 0]
    for at in (0.5, 1.0, 1.5):
        assert belief.distribution(np.array([at]))[0] == pytest.approx(mass[grid <= at].sum(), abs=3e-3)


def test_a_belief_without_a_prior_is_the_t_interval() -> None:
    values = np.random.default_rng(3).normal(5, 2, 30)
    belief = NormalPosterior.of(Moments.from_values(values))
    low, high = stats.t.interval(0.9, 29, values.mean(), values.std(ddof=1) / math.sqrt(30))
    assert belief.distribution(np.array([low, high])) == pytest.approx([0.05, 0.95])


def test_beliefs_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="successes <= units"):
        BetaPosterior.prior().updated(3, 2)
    with pytest.raises(ValueError, match="at least 1/2"):
        BetaPosterior(0.1, 1)
    with pytest.raises(ValueError, match="finite parameters"):
        NormalPosterior(math.nan, 1, 1, 1)
    with pytest.raises(ValueError, match="alike"):
        NormalPosterior.of(Moments.from_values([2.0, 2.0]))
    with pytest.raises(ValueError, match="one kind"):
        probability_best([BetaPosterior(1, 1), NormalPosterior(0, 1, 1, 1)])
    with pytest.raises(ValueError, match="two or more"):
        probability_best([BetaPosterior(1, 1)])
