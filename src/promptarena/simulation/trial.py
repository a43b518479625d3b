"""One simulated experiment, read as its controller would read it: harm every day, looks at whole weeks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from promptarena.analysis.comparisons import compare
from promptarena.analysis.conclusion import Conclusion, conclude, treatments_of
from promptarena.analysis.cube import Cube
from promptarena.analysis.estimates import arm_pair
from promptarena.analysis.harm import harm_is_shown
from promptarena.analysis.looks import WEEK, PlannedSize
from promptarena.analysis.sequential_interval import look_path, primary_comparison
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.readout import Interval, Status
from promptarena.simulation.cells import FIRST_DAY, arrivals_of, cube_of, unit_counts
from promptarena.simulation.units import Population, draw_units

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Outcome", "Trial", "run_trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What all simulated experiments of one truth have in common."""

    plan: AnalysisPlan
    planned: PlannedSize
    population: Population
    effects: tuple[Mapping[str, float], ...]
    """True treatment - control by metric, one mapping a treatment."""

    @property
    def variants(self) -> tuple[str, ...]:
        """Control first."""
        treatments = [name for name in self.plan.variants or () if name != self.plan.control]
        return (self.plan.control, *treatments)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one of them ended."""

    status: Status
    variant: str | None
    """The treatment that the status is about."""
    days: int
    """Cohort days until the end."""
    units: int
    """Of all variants, until the end."""
    look: int | None
    """Which planned look ended it, from 0; `None`: none did."""
    crossed: bool
    """Whether any treatment's primary crossed its boundary, on either side."""
    covered: bool | None
    """Whether the primary's final interval holds the first treatment's true effect; `None`: there is none."""
    above: bool | None
    """Whether its final estimate lies above the truth, as far as looks decided the end."""
    agrees: bool | None = None
    """Whether an event log of the same units had the same verdict; `None`: not asked."""
    on_best: float | None = None
    """Of a bandit: the share of the units that met the best variant; `None` where all are alike."""


def run_trial(trial: Trial, rng: np.random.Generator, logged: Experiment | None = None) -> Outcome:
    """Draw an experiment and read it until it ends, or its days do.

    Args:
        trial: what to simulate.
        rng: whose state alone decides.
        logged: the definition, where the units are to go through an event log as well.
    """
    units = draw_units(rng, trial.population, trial.effects)
    outcome = follow(trial, cube_of(units, trial.population, trial.variants))
    if logged is None:
        return outcome
    from promptarena.simulation.event_trial import readout_from_log

    read = readout_from_log(logged, trial.plan.metrics, trial.variants, units, outcome.days)
    verdict = read.verdict
    return replace(outcome, agrees=(verdict.status, verdict.variant) == (outcome.status, outcome.variant))


def follow(trial: Trial, cube: Cube) -> Outcome:
    """Read cohorts as they mature."""
    treatments = treatments_of(trial.plan, cube)
    burn_in = trial.plan.design.burn_in or timedelta(0)
    for age in range(1, trial.population.days + 1):
        so_far = cube.until(FIRST_DAY + timedelta(days=age - 1))
        week_ends = age > burn_in.days and (age - burn_in.days) % WEEK == 0
        if not week_ends and not any(harm_is_shown(trial.plan, so_far, each) for each in treatments):
            continue
        concluded = _conclude(trial, so_far)
        if concluded.verdict.status is not Status.CONTINUE or age == trial.population.days:
            return _outcome(trial, concluded, so_far, age)
    raise ValueError("a trial has a day at least")


def _conclude(trial: Trial, cube: Cube) -> Conclusion:
    units = sum(cell.units for cell in cube.by().values())
    arrivals = arrivals_of(cube, trial.variants, trial.population.shares)
    return conclude(
        cube, unit_counts(units), trial.plan, planned=trial.planned, arrivals=arrivals, only_decide=True
    )


def _outcome(trial: Trial, concluded: Conclusion, cube: Cube, days: int) -> Outcome:
    verdict, standing = concluded.verdict, concluded.standing
    truth = trial.effects[0].get(trial.plan.primary.metric, 0.0)
    interval, estimate = _final(trial, concluded)
    return Outcome(
        status=verdict.status,
        variant=verdict.variant,
        days=days,
        units=sum(cell.units for cell in cube.by().values()),
        look=standing.looks[-1].planned if standing.stopped else None,
        crossed=any(rejected is not None for path in standing.paths.values() for rejected in path.rejected),
        covered=None if interval is None else _holds(interval, truth),
        above=None if estimate is None else estimate > truth,
    )


def _final(trial: Trial, concluded: Conclusion) -> tuple[Interval | None, float | None]:
    """The interval that a readout shows of the first treatment's primary, and the estimate after stopping."""
    plan, standing, cube = trial.plan, concluded.standing, concluded.shown
    treatment = trial.variants[1]
    metric = plan.metric(plan.primary.metric)
    result = standing.paths.get(treatment)
    path = look_path(plan, standing.looks, result, treatment, stopped=standing.stopped)
    plain = compare(arm_pair(cube, metric, plan.control, treatment), metric, plan.design.alpha)
    shown = primary_comparison(plain, path, result, standing.looks, plan, cube, trial.planned)
    return shown.interval, path.estimate


def _holds(interval: Interval, truth: float) -> bool:
    low, high = interval
    return (low is None or low <= truth) and (high is None or truth <= high)
