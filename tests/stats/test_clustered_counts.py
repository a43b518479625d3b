"""Counts by bin give at every edge what counting each unit's values there would give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from promptarena.stats.clustered_counts import BinValues, ClusteredCounts, clustered_quantile
from promptarena.stats.effects import Effect
from promptarena.stats.moments import Moments
from promptarena.stats.quantiles import BIN_RATIO, LogHistogram, bin_of, quantile_estimate

Array = NDArray[np.float64]

UNITS_AND_VALUES = st.lists(
    st.tuples(st.integers(0, 6), st.one_of(st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0, 2.0, 30_000.0]))),
    min_size=1,
    max_size=60,
)
SHARES = st.floats(0.01, 0.99)


def _of(pairs: list[tuple[int, float]]) -> ClusteredCounts:
    return ClusteredCounts.from_values([unit for unit, _ in pairs], [value for _, value in pairs])


def _known(values: Array) -> BinValues:
    """Every value, as the second query would give those of some bins."""
    return BinValues(bin_of(values), values, np.ones(len(values), np.int64))


def _lognormal(rng: np.random.Generator, units: int, rows: int, icc: float, mu: float = 7.0) -> Array:
    shared, own = rng.normal(size=(units, 1)), rng.normal(size=(units, rows))
    return np.asarray(np.exp(mu + 0.5 * (math.sqrt(icc) * shared + math.sqrt(1 - icc) * own)))


def _counted(rows: Array) -> ClusteredCounts:
    """From values of shape (units, rows a unit)."""
    return ClusteredCounts.from_values(np.repeat(np.arange(len(rows)), rows.shape[1]), rows.ravel())


@given(UNITS_AND_VALUES)
def test_moments_at_every_edge_are_those_of_each_unit_s_counts(pairs: list[tuple[int, float]]) -> None:
    counts = _of(pairs)
    bins = bin_of([value for _, value in pairs])
    units = sorted({unit for unit, _ in pairs})
    for position in range(len(counts.bins) + 1):
        below = set(counts.bins[:position].tolist())
        mine = [[i for i, (unit, _) in enumerate(pairs) if unit == wanted] for wanted in units]
        direct = Moments.from_values([[sum(int(bins[i]) in below for i in at), len(at)] for at in mine])
        found = counts.below(position)
        assert found.n == direct.n
        np.testing.assert_allclose(found.mean, direct.mean, rtol=1e-12)
        np.testing.assert_allclose(found.comoments, direct.comoments, atol=1e-9)


@given(UNITS_AND_VALUES, st.integers(0, 6))
def test_counts_of_some_units_and_of_the_others_add_to_those_of_all(
    pairs: list[tuple[int, float]], split: int
) -> None:
    parts = [_of([p for p in pairs if (p[0] < split) == first]) for first in (True, False)]
    whole = _of(pairs)
    for total in (parts[0] + parts[1], parts[1] + parts[0]):
        for name in ("bins", "counts", "units", "squares", "products"):
            assert getattr(total, name).tolist() == getattr(whole, name).tolist()


def test_large_products_keep_their_digits() -> None:
    # Sums of products near 2^62: multiplied in 64 bits they would be anything.
    counts = ClusteredCounts.from_sums([1, 2], [2**31, 2**31], [2**10, 0], [2**52, 3 * 2**52], [2**53, 2**53])
    moments = counts.below(1)
    assert moments.comoments[0, 0] == pytest.approx(2**52 - 2**62 / 2**10, abs=1)
    assert moments.comoments[1, 1] == pytest.approx(2**54 - 2**64 / 2**10, abs=1)


@given(UNITS_AND_VALUES, SHARES)
def test_the_value_of_a_rank_is_found_in_its_bin(pairs: list[tuple[int, float]], q: float) -> None:
    counts, values = _of(pairs), np.sort([value for _, value in pairs])
    rank = math.floor(q * (len(values) - 1))
    at = counts.holding(rank)
    assert counts.bins[at] == bin_of(values)[rank]
    within = rank - int(counts.counts[:at].sum())
    known = _known(np.asarray(values, dtype=np.float64))
    assert known.within(int(counts.bins[at]), int(counts.counts[at]), within) == values[rank]


@pytest.mark.parametrize("q", [0.1, 0.5, 0.95])
def test_known_values_make_the_quantile_the_sample_s_and_bins_alone_come_near(q: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        rows = _lognormal(rng, 200, 3, 0.4)
        expected = float(np.quantile(rows, q))
        counts = _counted(rows)
        assert clustered_quantile(q, counts, _known(rows.ravel())).value == pytest.approx(expected, rel=1e-12)
        rough = clustered_quantile(q, counts)
        assert expected / BIN_RATIO <= rough.value <= expected * BIN_RATIO


def test_the_error_is_that_of_units_counted_at_the_quantile_itself() -> None:
    rng = np.random.default_rng(2)
    for q in (0.5, 0.95):
        rows = _lognormal(rng, 3_000, 4, 0.4)
        cut = float(np.quantile(rows, q))
        direct = Moments.from_values(np.column_stack([(rows <= cut).sum(axis=1), np.full(len(rows), 4)]))
        expected = quantile_estimate(q, LogHistogram.from_values(rows.ravel()), cut, direct)
        found = clustered_quantile(q, _counted(rows))
        assert found.variance == pytest.approx(expected.variance, rel=0.02)
        assert (found.n, found.df) == (3_000, 2_999)


def test_intervals_cover_when_units_have_many_values() -> None:
    rng = np.random.default_rng(3)
    runs, covered = 1_500, 0
    for _ in range(runs):
        control, treatment = (clustered_quantile(0.95, _counted(_lognormal(rng, 300, 5, 0.4))) for _ in "ab")
        low, high = Effect(control, treatment).interval(0.05)
        covered += low <= 0 <= high
    assert covered / runs == pytest.approx(0.95, abs=2.5 * math.sqrt(0.05 * 0.95 / runs))


def test_where_equal_values_fill_the_bin_the_larger_error_of_its_two_edges_holds() -> None:
    rng = np.random.default_rng(4)
    rows = _lognormal(rng, 2_000, 3, 0.4)
    low, high = np.quantile(rows, [0.78, 0.82])
    rows[(rows >= low) & (rows <= high)] = low
    counts = _counted(rows)
    at = counts.holding(round(0.8 * rows.size))
    errors = [
        quantile_estimate(0.8, counts.histogram, float(low), counts.below(at + edge), 1.0).variance
        for edge in (0, 1)
    ]
    assert errors[0] != pytest.approx(errors[1], rel=0.01)
    assert clustered_quantile(0.8, counts).variance == pytest.approx(max(errors))


def test_a_limit_that_more_values_reach_than_lie_beyond_the_quantile_is_refused() -> None:
    rows = np.minimum(_lognormal(np.random.default_rng(4), 5_000, 1, 0.0), float(np.exp(7 + 0.5 * 2.0537)))
    with pytest.raises(ValueError, match="too few values beyond"):
        clustered_quantile(0.99, _counted(rows))


def test_few_distinct_values_are_refused() -> None:
    turns = np.random.default_rng(5).integers(1, 6, size=(500, 2)).astype(np.float64)
    with pytest.raises(ValueError, match="too few distinct values"):
        clustered_quantile(0.5, _counted(turns))


def test_too_few_values_in_the_tail_are_refused() -> None:
    with pytest.raises(ValueError, match="too few values beyond"):
        clustered_quantile(0.99, _counted(_lognormal(np.random.default_rng(6), 100, 1, 0.0)))


@pytest.mark.parametrize(
    ("q", "units", "why"), [(0.0, 50, "between 0 and 1"), (1.0, 50, "between 0 and 1"), (0.5, 0, "0 values")]
)
def test_a_quantile_of_nothing_or_at_an_end_is_refused(q: float, units: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        clustered_quantile(q, _counted(np.ones((units, 1))))


def test_one_unit_has_no_error() -> None:
    with pytest.raises(ValueError, match="at least 2 units"):
        clustered_quantile(0.5, _counted(np.arange(1.0, 101.0).reshape(1, 100)))


def test_a_rank_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no value of rank 3"):
        _counted(np.array([[1.0], [2.0], [3.0]])).holding(3)


def test_values_that_are_not_all_known_are_not_used() -> None:
    known = BinValues(np.array([5, 5]), np.array([1.0, 2.0]), np.array([1, 1]))
    assert known.within(5, 3, 0) is None
    assert known.within(5, 2, 1) == 2.0
    assert known.within(6, 1, 0) is None
