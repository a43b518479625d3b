"""Intervals after stopping cover, estimates are too large half of the time, at every effect (slow)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.calibration import Calibration

from promptarena.stats.group_sequential import Sides, spending_boundary
from promptarena.stats.spending import SpendingFunction
from promptarena.stats.stagewise import stagewise_estimate

pytestmark = pytest.mark.slow

RUNS = 6_000


@pytest.mark.parametrize(("family", "sides"), [("obrien-fleming", 2), ("pocock", 2), ("pocock", 1)])
@pytest.mark.parametrize("drift", [-1.5, 0.0, 3.0, 4.5])
def test_coverage_at_looks_that_differ_from_run_to_run(
    family: str, sides: Sides, drift: float, calibration: Calibration
) -> None:
    seed = [41, sides, round(10 * drift) + 100]
    rng = np.random.default_rng(seed)
    spending = SpendingFunction(family)
    covered = above = plain_covered = plain_above = 0
    for _ in range(RUNS):
        fractions = np.cumsum(rng.dirichlet(np.full(4, 20.0)))
        gaps = np.diff(fractions, prepend=0)
        z = (rng.standard_normal(4) * np.sqrt(gaps) + drift * gaps).cumsum() / np.sqrt(fractions)
        whole = spending_boundary(list(fractions), spending, 0.05, sides=sides, final=True)
        outside = (np.abs(z) if sides == 2 else z) >= whole.critical_z
        stop = int(outside.argmax()) if outside.any() else 3
        boundary = spending_boundary(
            list(fractions[: stop + 1]), spending, 0.05, sides=sides, final=stop == 3
        )
        se = 1 / math.sqrt(fractions[stop])
        stopped = stagewise_estimate(boundary, float(z[stop]), se)
        covered += stopped.interval[0] <= drift <= stopped.interval[1]
        above += stopped.estimate > drift
        plain_covered += abs(z[stop] * se - drift) <= 1.959964 * se
        plain_above += z[stop] * se > drift
    setting = f"{family}, {sides}-sided, 4 looks at random times, drift {drift:g}"
    for figure, nominal, ours, plain in (
        ("coverage", 0.95, covered, plain_covered),
        ("estimate above the truth", 0.5, above, plain_above),
    ):
        kept = calibration.record(
            "Intervals and estimates after stopping",
            setting,
            figure,
            nominal=nominal,
            observed=ours / RUNS,
            runs=RUNS,
            seed=seed,
        ).kept
        assert kept, figure
        calibration.record(
            "Intervals and estimates after stopping",
            setting,
            f"{figure}, as if looked at once",
            nominal=nominal,
            observed=plain / RUNS,
            runs=RUNS,
            seed=seed,
            bound="beside",
        )
