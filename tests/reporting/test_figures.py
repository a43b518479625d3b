"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.reporting.figures import Scale, decimals_for, number, p_value, relative

FINITE = st.floats(-1e9, 1e9, allow_nan=False)


@given(low=FINITE, width=st.floats(1e-6, 1e9))
def test_an_interval_s_rounding_moves_no_bound_by_more_than_a_twentieth_of_its_half_width(
    low: float, width: float
) -> None:
    interval = (low, low + width)
    decimals = decimals_for(interval)
    assert decimals is not None
    half = (interval[1] - interval[0]) / 2
    for bound in interval:
        shown = float(number(bound, decimals).replace(",", ""))
        # Two significant digits of the half-width; whole numbers are never rounded to tens.
        assert abs(shown - bound) <= half / 20 * 1.0001 + 1e-9 + abs(bound) * 1e-15


@given(low=st.floats(1e-3, 1.0), high=st.floats(2.0, 1e3))
def test_a_bound_clear_of_zero_by_a_thousandth_of_the_width_is_never_shown_as_zero(
    low: float, high: float
) -> None:
    if low < high / 1000:
        low = high / 1000
    text = Scale().interval((low, high))
    assert float(text.strip("[]").split(", ")[0]) > 0


@pytest.mark.parametrize("bound", [0.0004, -0.0004])
def test_the_side_of_zero_on_which_a_bound_lies_is_shown(bound: float) -> None:
    interval = (bound, 0.05) if bound > 0 else (-0.05, bound)
    shown = Scale.of_kind("rate").interval(interval)
    assert ("+0.04" if bound > 0 else "-0.04") in shown


@given(FINITE, st.integers(0, 6))
def test_a_number_that_rounds_to_zero_has_no_sign(value: float, decimals: int) -> None:
    text = number(value, decimals, signed=True)
    if float(text.replace(",", "")) == 0:
        assert text[0] == "0"
    else:
        assert text[0] in "+-"


@given(st.floats(0, 1))
def test_a_p_value_keeps_its_side_of_every_usual_threshold(p: float) -> None:
    text = p_value(p)
    if text.startswith("<"):
        assert p < 1e-4
    elif text.startswith(">"):
        assert 0.999 < p < 1
    else:
        shown = float(text)
        assert math.isclose(shown, p, rel_tol=0.006)
        assert (shown < 0.05) == (p < 0.05) or abs(p - 0.05) < 5e-6


def test_rates_are_per_cent_and_their_differences_points() -> None:
    scale = Scale.of_kind("rate")
    assert scale.value(0.6031, (0.024, 0.074)) == "60.3%"
    assert scale.difference(0.0491, (0.024, 0.074)) == "+4.9 points"
    assert scale.interval((0.024, 0.074)) == "[+2.4, +7.4]"


def test_other_metrics_keep_their_unit() -> None:
    scale = Scale.of_kind("mean", "ms")
    assert scale.value(2410.2, (46.0, 206.0)) == "2,410 ms"
    assert scale.difference(-126.0, (-206.0, -46.0)) == "-126 ms"


def test_what_is_not_known_is_said_and_never_zero() -> None:
    scale = Scale.of_kind("rate")
    assert scale.value(None) == scale.difference(None) == p_value(None) == "n/a"
    assert scale.interval(None) == ""
    assert scale.interval((0.01, None)) == "[+1, unbounded]"
    assert relative(0.4, None) == ("+40.0%", "")
    assert relative(0.4, (-0.1, None)) == ("+40.0%", "[-10.0%, unbounded]")
