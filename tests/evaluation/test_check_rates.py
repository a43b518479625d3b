"""Pass rates and their paired differences, against direct counts and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.evaluation.case_frame import CaseFrame
from promptarena.evaluation.check_rates import check_readout
from promptarena.evaluation.recorded import FAILED, MISSING, NOT_APPLICABLE, PASSED

codes = st.lists(
    st.tuples(*[st.sampled_from([PASSED, FAILED, MISSING, NOT_APPLICABLE])] * 2), min_size=1, max_size=40
)


def frame(cases: int) -> CaseFrame:
    return CaseFrame(ids=[str(number) for number in range(cases)])


def _arrays(drawn: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    one, other = zip(*drawn, strict=True)
    return np.array(one, dtype=np.int8), np.array(other, dtype=np.int8)


@given(drawn=codes)
def test_rates_and_differences_are_those_counted_by_hand(drawn: list[tuple[int, int]]) -> None:
    new, old = _arrays(drawn)
    found = check_readout("c", {"new": new, "old": old}, frame(len(new)), "old", 0.95)
    rate = found.rates["new"]
    assert (rate.passed, rate.failed, rate.missing) == tuple(
        int((new == code).sum()) for code in (PASSED, FAILED, MISSING)
    )
    known = [(a, b) for a, b in drawn if a >= 0 and b >= 0]
    difference = found.differences["new"]
    assert list(found.differences) == ["new"]
    assert difference.cases == len(known)
    assert difference.only_variant == sum(a > b for a, b in known)
    assert difference.only_control == sum(a < b for a, b in known)
    if known:
        expected = sum(a - b for a, b in known) / len(known)
        assert difference.difference == pytest.approx(expected, abs=1e-12)
        assert difference.interval is not None
        low, high = difference.interval
        assert low is not None
        assert high is not None
        assert -1 <= low <= expected + 1e-12
        assert expected - 1e-12 <= high <= 1
    else:
        assert (difference.difference, difference.interval) == (None, None)


def test_without_a_control_there_are_rates_but_no_differences() -> None:
    found = check_readout("c", {"a": np.array([PASSED], dtype=np.int8)}, frame(1), None, 0.95)
    assert found.differences == {}
    assert found.rates["a"].pass_rate == 1.0


@pytest.mark.parametrize(
    ("both", "only_new", "only_old"), [(0.85, 0.05, 0.03), (0.5, 0.2, 0.1), (0.0, 0.9, 0.1)]
)
def test_intervals_of_paired_differences_cover(both: float, only_new: float, only_old: float) -> None:
    rng = np.random.default_rng(31)
    truth, runs, covered = only_new - only_old, 1500, 0
    neither = 1 - both - only_new - only_old
    for _ in range(runs):
        kind = rng.choice(4, 60, p=[both, only_new, only_old, abs(neither)])
        new, old = np.isin(kind, (0, 1)).astype(np.int8), np.isin(kind, (0, 2)).astype(np.int8)
        interval = (
            check_readout("c", {"new": new, "old": old}, frame(len(new)), "old", 0.95)
            .differences["new"]
            .interval
        )
        assert interval is not None
        low, high = interval
        assert low is not None
        assert high is not None
        covered += low <= truth <= high
    assert covered / runs > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)
