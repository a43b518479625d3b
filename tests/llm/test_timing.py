"""Four durations, each by its own definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.llm.timing import ContentTimes, percentile

_TIMES = st.lists(st.floats(0, 100), min_size=1, max_size=40).map(sorted)


@given(_TIMES, st.integers(2, 500))
def test_durations_equal_their_definitions(arrivals: list[float], tokens: int) -> None:
    start, end = -1.0, arrivals[-1] + 3
    times = ContentTimes(start)
    for at in arrivals:
        times.saw_content(at)
    timing = times.timing(end, tokens)
    assert timing.latency_ms == pytest.approx((end - start) * 1000)
    assert timing.ttft_ms == pytest.approx((arrivals[0] - start) * 1000)
    if len(arrivals) > 1:
        assert timing.tpot_ms == pytest.approx((arrivals[-1] - arrivals[0]) * 1000 / (tokens - 1))
        assert timing.itl_p95_ms == pytest.approx(np.quantile(np.diff(arrivals), 0.95) * 1000)
    else:
        assert (timing.tpot_ms, timing.itl_p95_ms) == (None, None)


@pytest.mark.parametrize("tokens", [None, 0, 1])
def test_time_per_token_is_unknown_without_two_counted_tokens(tokens: int | None) -> None:
    times = ContentTimes(0.0)
    times.saw_content(1.0)
    times.saw_content(2.0)
    assert times.timing(3.0, tokens).tpot_ms is None


def test_an_answer_without_a_stream_has_a_latency_and_nothing_else() -> None:
    timing = ContentTimes(1.0).timing(1.25, 40)
    assert timing.latency_ms == pytest.approx(250)
    assert (timing.ttft_ms, timing.tpot_ms, timing.itl_p95_ms) == (None, None, None)


@pytest.mark.parametrize(("values", "q"), [([], 0.5), ([1.0], -0.1), ([1.0], 1.1)])
def test_a_percentile_of_nothing_is_refused(values: list[float], q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        percentile(values, q)
