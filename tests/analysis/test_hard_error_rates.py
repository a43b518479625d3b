"""False ships where the normal tail is worst: rare events, a tenth of the units treated, several looks and arms."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from tests.analysis.cubes import START, Array, counts_of, cube, metric, plan
from tests.calibration import Calibration

from promptarena.analysis.conclusion import conclude
from promptarena.analysis.cube import Cube
from promptarena.analysis.looks import PlannedSize
from promptarena.definitions.readout import Status


def _flips(successes: int, n: int) -> Array:
    return np.repeat([1.0, 0.0], [successes, n - successes])


def _trial(rng: np.random.Generator, rate: float, units: dict[str, int], weeks: int) -> Cube:
    """So many units a day of each variant, whose rates are all the same."""
    return cube(
        {
            (variant, (START + timedelta(days=day)).isoformat()): {
                "value": _flips(int(rng.binomial(n, rate)), n)
            }
            for variant, n in units.items()
            for day in range(7 * weeks)
        },
        ["day"],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "units", "better"),
    [
        (0.02, {"control": 450, "treatment": 50}, "higher"),
        (0.98, {"control": 450, "treatment": 50}, "lower"),
        (0.3, {"control": 60, "a": 60, "b": 60, "c": 60, "d": 60}, "higher"),
    ],
)
def test_false_ships_are_as_declared(
    rate: float, units: dict[str, int], better: str, calibration: Calibration
) -> None:
    rng = np.random.default_rng(1)
    total, weeks, runs = sum(units.values()), 4, 1_500
    smaller = min(units.values()) * 7 * weeks
    planned = PlannedSize(
        1 / (rate * (1 - rate) * (1 / smaller + 1 / (units["control"] * 7 * weeks))), total * 7 * weeks
    )
    declared = plan(
        metric("value", "rate", better=better),
        variants=tuple(units),
        weights={variant: n / total for variant, n in units.items()},
        preregistered=True,
        design={"looks": (0.25, 0.5, 0.75, 1.0)},
    )
    shipped = 0
    for _ in range(runs):
        made = _trial(rng, rate, units, weeks)
        status = conclude(made, counts_of(made), declared, planned=planned).verdict.status
        shipped += status is Status.SHIP
    calibration.record(
        "Verdicts where the normal tail is worst",
        f"rate {rate:g}, {better} is better, units a day {', '.join(map(str, units.values()))}, four looks",
        "false ship",
        nominal=0.025, observed=shipped / runs, runs=runs, seed=1, bound="at most",
    )  # fmt: skip
    assert shipped / runs <= 0.025 + 2 * math.sqrt(0.025 * 0.975 / runs)
