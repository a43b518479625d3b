"""A margin on rates is one linear contrast of them, negative where the treatment is worse than allowed."""

from __future__ import annotations

import math

import pytest

from promptarena.stats.rate_contrasts import RateCounts, margin_rate_contrast


@pytest.mark.parametrize(
    ("relative", "higher", "value"),
    [(False, True, 0.02), (False, False, 0.08), (True, True, -0.01), (True, False, 0.05)],
)
def test_a_margin_makes_worse_than_allowed_negative(relative: bool, higher: bool, value: float) -> None:
    margin = 0.05 if not relative else 0.1
    contrast = margin_rate_contrast(margin, relative=relative, higher_is_better=higher)
    assert contrast.value(0.2, 0.17) == pytest.approx(value)
    corners = [contrast.value(c, t) for c in (0, 1) for t in (0, 1)]
    assert (contrast.lowest, contrast.highest) == pytest.approx((min(corners), max(corners)))


def test_margins_and_counts_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="margin"):
        margin_rate_contrast(-0.1, relative=False, higher_is_better=True)
    for bad in ([5, 4, 1, 2], [-1, 4, 1, 2], [1, math.inf, 1, 2], [math.nan, 4, 1, 2]):
        with pytest.raises(ValueError, match="successes"):
            RateCounts.of(*bad)
    with pytest.raises(ValueError, match="one length"):
        RateCounts.of([1, 2], [3, 4], 1, 2)
