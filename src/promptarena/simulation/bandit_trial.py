"""One simulated bandit: weights that follow the rewards that are known, read as its controller would read it.

Every variant's units are drawn as if all traffic were its own, and each is kept with the weight of its day:
Poisson arrivals that are split by chance are Poisson arrivals.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from promptarena.analysis.arrivals import Arrivals
from promptarena.analysis.bandit_conclusion import BanditConclusion, conclude_bandit
from promptarena.analysis.cohorts import LATENESS
from promptarena.analysis.cube import Cube
from promptarena.analysis.harm import harm_is_shown
from promptarena.analysis.looks import WEEK
from promptarena.definitions.bandit import Bandit
from promptarena.definitions.metric import Better
from promptarena.definitions.readout import Status
from promptarena.rollout.allocator import next_allocation
from promptarena.simulation.cells import FIRST_DAY, cube_of, unit_counts
from promptarena.simulation.trial import Outcome, Trial
from promptarena.simulation.units import Facts, Units, draw_units
from promptarena.stats.adaptive_contrasts import AdaptiveContrast
from promptarena.stats.moments import Moments

__all__ = ["run_bandit_trial"]

_DAY: Final = timedelta(days=1)

Mask = NDArray[np.bool_]


def run_bandit_trial(trial: Trial, rng: np.random.Generator) -> Outcome:
    """Draw an experiment whose weights move once a day, and read it until it ends, or its days do.

    Raises:
        ValueError: the trial's weights are fixed.
    """
    if (bandit := trial.plan.bandit) is None:
        raise ValueError("the weights of this trial are fixed")
    variants, population = trial.variants, trial.population
    drawn = []
    for place in range(len(variants)):
        alone = tuple(float(place == other) for other in range(len(variants)))
        drawn.append(draw_units(rng, replace(population, shares=alone), trial.effects))
    kept: list[Mask] = [np.zeros(len(units.day), np.bool_) for units in drawn]
    weights = [dict.fromkeys(variants, 1 / len(variants))]
    epochs: list[int] = []
    for day in range(population.days):
        _move(trial, bandit, drawn, kept, weights, epochs, day)
        epochs.append(len(weights) - 1)
        for name, units, mask in zip(variants, drawn, kept, strict=True):
            today = units.day == day
            mask[today] = rng.random(int(today.sum())) < weights[-1][name]
    units = _kept(drawn, kept)
    cube = cube_of(units, population, variants, [str(epoch) for epoch in epochs])
    return _follow(trial, cube, weights, units)


def _move(
    trial: Trial,
    bandit: Bandit,
    drawn: list[Units],
    kept: list[Mask],
    weights: list[dict[str, float]],
    epochs: list[int],
    day: int,
) -> None:
    """Begin an epoch, if it is time and the rewards that are known by the morning of a day say so."""
    since = next((d for d, epoch in enumerate(epochs) if epoch == len(weights) - 1), 0)
    if len(weights) > 1 and (day - since) * _DAY < bandit.update:
        return
    metric = trial.plan.metric(str(bandit.reward))
    waits = math.ceil(((bandit.delay or metric.window or timedelta(0)) + LATENESS) / _DAY)
    rewards = {}
    for name, units, mask in zip(trial.variants, drawn, kept, strict=True):
        facts = units.facts[metric.name]
        known = mask & (units.day < day - waits)
        if facts.seen is not None:
            known = known & facts.seen
        if known.any():
            rewards[name, 0] = Moments.from_values(facts.values[known])
    found = next_allocation(bandit, metric, rewards, weights[-1])
    if found.moves:
        weights.append(found.weights)


def _follow(trial: Trial, cube: Cube, weights: list[dict[str, float]], units: Units) -> Outcome:
    by_epoch = {str(epoch): shares for epoch, shares in enumerate(weights)}
    treatments = trial.variants[1:]
    for age in range(1, trial.population.days + 1):
        so_far = cube.until(FIRST_DAY + timedelta(days=age - 1))
        harmed = any(harm_is_shown(trial.plan, so_far, each, by_epoch) for each in treatments)
        if age % WEEK and not harmed and age < trial.population.days:
            continue
        exposed = {(variant, epoch): cell.units for (variant, epoch), cell in so_far.by("epoch").items()}
        seen = {epoch: by_epoch[epoch] for epoch in sorted({epoch for _, epoch in exposed}, key=int)}
        arrivals = Arrivals(weights=seen, exposed=exposed, crossed={})
        total = sum(exposed.values())
        concluded = conclude_bandit(so_far, unit_counts(total), trial.plan, arrivals)
        if concluded.verdict.status is not Status.CONTINUE or age == trial.population.days:
            return _outcome(trial, concluded, units, age, total)
    raise ValueError("a trial has a day at least")


def _outcome(trial: Trial, concluded: BanditConclusion, units: Units, days: int, total: int) -> Outcome:
    plan, verdict = trial.plan, concluded.verdict
    metric = plan.metric(plan.primary.metric)
    truth = trial.effects[0].get(metric.name, 0.0)
    found = concluded.effects.difference(metric, trial.variants[1], plan.design.alpha)
    primaries = [check for check in verdict.checks if check.name == "primary"]
    return Outcome(
        status=verdict.status,
        variant=verdict.variant,
        days=days,
        units=total,
        look=None,
        crossed=any(check.passed is not None for check in primaries),
        covered=found.low <= truth <= found.high if isinstance(found, AdaptiveContrast) else None,
        above=None,
        on_best=_on_best(trial, units, days),
    )


def _on_best(trial: Trial, units: Units, days: int) -> float | None:
    """Share of the units until the end that met one of the best variants; `None` if all are alike."""
    reward = trial.plan.metric(str(trial.plan.bandit.reward if trial.plan.bandit else ""))
    gains = np.array([0.0, *(effects.get(reward.name, 0.0) for effects in trial.effects)])
    gains = gains if reward.better is Better.HIGHER else -gains
    if np.ptp(gains) == 0:
        return None
    met = units.variant[units.day < days]
    return float((gains[met] == gains.max()).mean())


def _kept(parts: list[Units], masks: list[Mask]) -> Units:
    """Those of each part that a mask keeps, in the order of their days."""
    order = np.argsort(
        np.concatenate([units.day[mask] for units, mask in zip(parts, masks, strict=True)]), kind="stable"
    )

    def joined(columns: list[Any]) -> Any:
        if any(column is None for column in columns):
            return None
        return np.concatenate([column[mask] for column, mask in zip(columns, masks, strict=True)])[order]

    facts = {
        metric: Facts(
            **{
                each.name: joined([getattr(units.facts[metric], each.name) for units in parts])
                for each in fields(Facts)
            }
        )
        for metric in parts[0].facts
    }
    segments = {name: joined([units.segments[name] for units in parts]) for name in parts[0].segments}
    return Units(
        joined([units.day for units in parts]), joined([units.variant for units in parts]), segments, facts
    )
