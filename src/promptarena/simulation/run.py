"""Many simulated experiments on all cores: the same answer for a seed, however many share the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import numpy as np

from promptarena.simulation.bandit_trial import run_bandit_trial
from promptarena.simulation.trial import Outcome, Trial, run_trial

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Course", "run_all"]

_BATCH: Final = 10
"""Experiments that a process takes at once: few enough that all end together."""


@dataclass(frozen=True, slots=True)
class Course:
    """One truth, simulated so many times."""

    trial: Trial
    number: int
    """Of the truth, which seeds differ by."""
    experiments: int
    logged: int = 0
    """How many of them go through an event log too."""
    definition: Experiment | None = None
    """For those."""


def run_all(
    courses: Sequence[Course],
    *,
    seed: int,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[list[Outcome]]:
    """Simulate every course.

    Args:
        courses: what to simulate.
        seed: each experiment's own generator follows from it, its course and its number in it alone.
        workers: processes; as many as there are cores where `None`, and none beside this one where 1.
        progress: told how many experiments were done since the last call.

    Returns:
        The outcomes of each course, in the order of the experiments.
    """
    batches = [
        (which, range(begin, min(begin + _BATCH, course.experiments)))
        for which, course in enumerate(courses)
        for begin in range(0, course.experiments, _BATCH)
    ]
    found: list[list[Outcome]] = [[] for _ in courses]
    for (which, numbers), outcomes in zip(batches, _each(courses, batches, seed, workers), strict=True):
        found[which] += outcomes
        if progress is not None:
            progress(len(numbers))
    return found


def _each(
    courses: Sequence[Course], batches: Sequence[tuple[int, range]], seed: int, workers: int | None
) -> Iterator[list[Outcome]]:
    run = partial(_run, courses, seed)
    count = min(workers or os.cpu_count() or 1, len(batches))
    if count <= 1:
        yield from map(run, batches)
        return
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, batches)


def _run(courses: Sequence[Course], seed: int, batch: tuple[int, range]) -> list[Outcome]:
    which, numbers = batch
    course = courses[which]
    found = []
    for n in numbers:
        rng = np.random.default_rng([seed, course.number, n])
        if course.trial.plan.bandit is not None:
            found.append(run_bandit_trial(course.trial, rng))
        else:
            found.append(run_trial(course.trial, rng, course.definition if n < course.logged else None))
    return found
