"""Bets on the randomisation are exactly fair, by enumeration, and equal their definition unit by unit."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import comb

from promptarena.stats.rate_betting import betting_log_e_value
from promptarena.stats.rate_contrasts import RateContrast, RateCounts, margin_rate_contrast

DIFFERENCE = RateContrast(on_treatment=1.0, on_control=-1.0, offset=0.0)
CONTRASTS = [
    DIFFERENCE,
    margin_rate_contrast(0.1, relative=False, higher_is_better=True),
    margin_rate_contrast(0.1, relative=False, higher_is_better=False),
    margin_rate_contrast(0.2, relative=True, higher_is_better=True),
    margin_rate_contrast(0.2, relative=True, higher_is_better=False),
]
counts_of_arm = st.integers(0, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("rates", [(0.3, 0.25), (0.02, 0.05), (0.8, 0.9)])
def test_the_randomisation_makes_the_bet_exactly_fair(
    contrast: RateContrast, share: float, rates: tuple[float, float]
) -> None:
    control, treatment = rates
    bound, n = contrast.value(control, treatment), 7
    cells = np.array(
        [share * treatment, share * (1 - treatment), (1 - share) * control, (1 - share) * (1 - control)]
    )
    fair = more = 0.0
    for table in itertools.product(range(n + 1), repeat=4):
        if sum(table) != n:
            continue
        ways = comb(n, table[0]) * comb(n - table[0], table[1]) * comb(n - table[0] - table[1], table[2])
        weight = ways * float(np.prod(cells ** np.array(table)))
        counts = RateCounts.of(table[2], table[2] + table[3], table[0], table[0] + table[1])
        fair += weight * math.exp(betting_log_e_value(counts, share, contrast, bound))
        more += weight * math.exp(betting_log_e_value(counts, share, contrast, bound - 0.05))
    assert fair == pytest.approx(1.0, abs=1e-9)
    assert more < 1


def test_the_bet_stays_fair_while_rates_drift() -> None:
    # Two days whose rates differ, one effect of zero: counted together, without strata.
    share, total = 0.3, 0.0
    for first, second in itertools.product(_tables(3), repeat=2):
        weight = _chance(first, share, 0.9) * _chance(second, share, 0.1)
        s_t, f_t, s_c, f_c = (a + b for a, b in zip(first, second, strict=True))
        counts = RateCounts.of(s_c, s_c + f_c, s_t, s_t + f_t)
        total += weight * math.exp(betting_log_e_value(counts, share, DIFFERENCE))
    assert total == pytest.approx(1.0, abs=1e-12)


def _tables(n: int) -> list[tuple[int, int, int, int]]:
    return [
        (a, b, c, n - a - b - c) for a, b, c in itertools.product(range(n + 1), repeat=3) if a + b + c <= n
    ]


def _chance(table: tuple[int, int, int, int], share: float, rate: float) -> float:
    cells = (share * rate, share * (1 - rate), (1 - share) * rate, (1 - share) * (1 - rate))
    ways = math.factorial(sum(table)) // math.prod(math.factorial(k) for k in table)
    return ways * math.prod(cell**count for cell, count in zip(cells, table, strict=True))


def test_bets_follow_their_definition_unit_by_unit() -> None:
    rng = np.random.default_rng(2)
    treated, events = rng.random(60) < 0.4, rng.random(60) < 0.3
    share, bound = 0.4, 0.03
    contrast = margin_rate_contrast(0.1, relative=True, higher_is_better=True)
    a_t, a_c = contrast.on_treatment, contrast.on_control
    wealths = []
    for k in range(9):
        centre = math.sin(k * math.pi / 16) ** 2
        values = [
            contrast.offset
            + (a_t + a_c) * centre
            + (a_t / share if arm else a_c / (1 - share)) * (float(event) - centre)
            for arm, event in [*zip(treated, events, strict=True), (1, 1), (1, 0), (0, 1), (0, 0)]
        ]
        reach = max(values) - bound
        for stake in (2 ** (-j / 2) for j in range(23)):
            wealths.append(math.prod(1 + stake * (bound - value) / reach for value in values[:-4]))
    counts = RateCounts.of(
        int((events & ~treated).sum()),
        int((~treated).sum()),
        int((events & treated).sum()),
        int(treated.sum()),
    )
    direct = math.log(sum(wealths) / len(wealths))
    assert betting_log_e_value(counts, share, contrast, bound) == pytest.approx(direct, rel=1e-9)


@given(
    control=counts_of_arm,
    treatment=counts_of_arm,
    contrast=st.sampled_from(CONTRASTS),
    ends=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
)
def test_evidence_never_falls_as_the_bound_rises(
    control: tuple[int, int], treatment: tuple[int, int], contrast: RateContrast, ends: tuple[float, float]
) -> None:
    width = contrast.highest - contrast.lowest
    low, high = (contrast.lowest + end * width for end in sorted(ends))
    counts = RateCounts.of(*control, *treatment)
    assert (
        betting_log_e_value(counts, 0.3, contrast, low)
        <= betting_log_e_value(counts, 0.3, contrast, high) + 1e-7
    )


def test_strata_are_one_stream_of_bets_each_at_its_own_share() -> None:
    whole, halves = RateCounts.of(60, 200, 40, 200), RateCounts.of([25, 35], [100, 100], [22, 18], [90, 110])
    assert betting_log_e_value(halves, [0.5, 0.5], DIFFERENCE) == pytest.approx(
        betting_log_e_value(whole, 0.5, DIFFERENCE)
    )
    # A ramp during which the rate falls from .5 to .1 in both arms alike.
    ramp = RateCounts.of([4750, 500], [9500, 5000], [250, 500], [500, 5000])
    assert betting_log_e_value(ramp, [0.05, 0.5], DIFFERENCE) < 0
    pooled = RateCounts.of(5250, 14_500, 750, 5500)
    assert betting_log_e_value(pooled, 0.275, DIFFERENCE) > math.log(1000)


def test_no_units_are_no_evidence_and_extremes_are_finite() -> None:
    assert betting_log_e_value(RateCounts.of(0, 0, 0, 0), 0.5, DIFFERENCE) == pytest.approx(0, abs=1e-12)
    assert 20 < betting_log_e_value(RateCounts.of(50, 50, 0, 50), 0.5, DIFFERENCE) < 80


@pytest.mark.parametrize("rate", [0.5, 0.05, 0.001])
def test_the_z_that_is_needed_does_not_grow_with_the_units(rate: float) -> None:
    for n in (10**5, 10**6, 10**7):
        gap = 4.5 * math.sqrt(2 * rate * (1 - rate) / n)
        seen = RateCounts.of((rate + gap / 2) * n, n, (rate - gap / 2) * n, n)
        assert betting_log_e_value(seen, 0.5, DIFFERENCE) > math.log(100)
        even = RateCounts.of(rate * n, n, rate * n, n)
        assert betting_log_e_value(even, 0.5, DIFFERENCE) < 0


def test_bets_need_a_share_and_a_bound_that_can_be() -> None:
    counts = RateCounts.of([1, 2], [3, 4], [1, 2], [3, 4])
    for share in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="share"):
            betting_log_e_value(counts, share, DIFFERENCE)
    with pytest.raises(ValueError, match="share"):
        betting_log_e_value(counts, [0.5, 0.5, 0.5], DIFFERENCE)
    with pytest.raises(ValueError, match="bound"):
        betting_log_e_value(counts, 0.5, DIFFERENCE, 1.0)
