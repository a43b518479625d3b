"""Readouts of small cubes whose rates are counted out."""

from __future__ import annotations

import numpy as np
from tests.analysis.cubes import Array, by_day, counts_of

from promptarena.analysis.cube import Cube
from promptarena.analysis.looks import PlannedSize
from promptarena.analysis.readout import build_readout
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.readout import Comparison, Readout

FOUR_LOOKS = {"looks": (0.25, 0.5, 0.75, 1.0)}


def flips(successes: int, n: int) -> Array:
    return np.repeat([1.0, 0.0], [successes, n - successes])


def information_of(rate: float, n: int) -> PlannedSize:
    """Sized for two rates that are alike, with n units each."""
    return PlannedSize(1 / (2 * rate * (1 - rate) / n), 2 * n)


def width(comparison: Comparison) -> float:
    assert comparison.interval is not None
    low, high = comparison.interval
    assert low is not None
    assert high is not None
    return high - low


def read(made: Cube, plan_: AnalysisPlan, planned: PlannedSize | None = None) -> Readout:
    return build_readout(made, counts_of(made), plan_, source="here", planned=planned)


def weeks(control: list[int], treatment: list[int], n: int = 1_000) -> Cube:
    """Units of a whole week all on its last day but for one pair on its first, so that weeks are whole."""
    return by_day(
        {
            name: [
                flips(successes if day == 6 else 1, n - 12 if day == 6 else 2)
                for successes in weekly
                for day in range(7)
            ]
            for name, weekly in (("control", control), ("treatment", treatment))
        }
    )
