"""Whole trials of a bandit as cubes: units day by day, weights that follow what is known a day later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.analysis.cubes import START, counts_of, cube, metric, plan

from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.cube import Cube
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.bandit import Bandit, BanditRule
from promptarena.definitions.metric import Metric
from promptarena.definitions.readout import UnitCounts
from promptarena.rollout.allocator import next_allocation
from promptarena.stats.moments import Moments

Vector = NDArray[np.float64]
Draw = Callable[[np.random.Generator, str, int, int], Mapping[str, Vector]]
"""Values by metric of so many units that meet a variant on a day."""

BANDIT = Bandit(bandit=BanditRule.THOMPSON, reward="ok", min_share=0.05, burn_in=200)
RATE = metric("ok", "rate")


def bandit_plan(*metrics: Metric, **fields: Any) -> AnalysisPlan:
    """A declared plan whose weights follow `ok`."""
    return plan(*(metrics or (RATE,)), **{"preregistered": True, "bandit": BANDIT, "weights": None} | fields)


@dataclass(frozen=True)
class Trial:
    """What a readout is made from, and what was earned."""

    cube: Cube
    arrivals: Arrivals
    reward: float
    """Mean of `ok` over all units."""

    @property
    def units(self) -> UnitCounts:
        return counts_of(self.cube)


def rates(**by_variant: float | Callable[[int], float]) -> Draw:
    """Draws of `ok` alone; a rate may depend on the day."""

    def draw(rng: np.random.Generator, variant: str, day: int, n: int) -> Mapping[str, Vector]:
        rate = by_variant[variant]
        return {"ok": (rng.random(n) < (rate(day) if callable(rate) else rate)).astype(float)}

    return draw


def run(
    rng: np.random.Generator,
    draw: Draw,
    *,
    days: int,
    a_day: int,
    variants: tuple[str, ...] = ("control", "treatment"),
    bandit: Bandit | None = BANDIT,
) -> Trial:
    """A trial. Weights move once a day, by the days before the last; without a bandit they stay equal."""
    weights = {0: dict.fromkeys(variants, 1 / len(variants))}
    cells: dict[Any, Mapping[str, Vector]] = {}
    known: dict[tuple[str, int], Moments] = {}
    waiting: dict[tuple[str, int], Moments] = {}
    exposed: Counter[tuple[str, str]] = Counter()
    earned = 0.0
    for day in range(days):
        epoch = max(weights)
        n = rng.multinomial(a_day, list(weights[epoch].values()))
        arrived = {}
        for variant, count in zip(variants, n, strict=True):
            if count == 0:
                continue
            values = draw(rng, variant, day, int(count))
            cells[variant, (START + timedelta(days=day)).isoformat(), str(epoch)] = values
            arrived[variant, epoch] = Moments.from_values(values["ok"])
            exposed[variant, str(epoch)] += int(count)
            earned += values["ok"].sum()
        for key, moments in waiting.items():
            known[key] = known[key] + moments if key in known else moments
        waiting = arrived
        if bandit is not None:
            found = next_allocation(bandit, RATE, known, weights[epoch])
            if found.moves:
                weights[epoch + 1] = found.weights
    arrivals = Arrivals(
        weights={str(epoch): shares for epoch, shares in weights.items()}, exposed=exposed, crossed=Counter()
    )
    return Trial(cube(cells, ["day", "epoch"]), arrivals, earned / (days * a_day))
