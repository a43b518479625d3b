"""What a golden set can show, stated before the run: the smallest effect that the gate would find.

With a pilot (an earlier duel's JSON) its spread is used; without one the greatest that there can be, so that
what is said is a promise and not a hope.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from promptarena.definitions.duel import Duel
from promptarena.definitions.duel_readout import DuelPlan, MinimumEffect
from promptarena.errors import DataError, Location
from promptarena.evaluation.case_frame import CaseFrame, independent_cases
from promptarena.evaluation.conditions import contrast_of
from promptarena.stats.power import detectable_effect
from promptarena.stats.spread import Spread, score_spread

__all__ = ["plan_duel", "read_pilot"]

POWER: Final = 0.8
_MOST_BYTES: Final = 200_000_000


def plan_duel(
    duel: Duel,
    frame: CaseFrame,
    scales: Mapping[str, tuple[float, float]],
    pilot: Mapping[str, float] | None = None,
) -> DuelPlan | None:
    """What the gate can find on these cases; None without a gate.

    Args:
        duel: the definition.
        frame: its cases; their results are not looked at.
        scales: by axis, its lowest and highest level.
        pilot: by condition, the standard deviation of one independent case, from `read_pilot`.
    """
    if duel.gate is None:
        return None
    independent = independent_cases(frame, np.arange(len(frame)))
    alpha = duel.gate.alpha
    effects = tuple(
        _effect(name, asked, unit, ends, independent, alpha, _seen(name, pilot or {}))
        for name, asked, unit, ends in _asked(duel, scales)
    )
    notes = []
    if independent < 0.999 * len(frame):
        notes.append(
            f"{len(frame):,} cases that share clusters or count unequally are worth at least "
            f"{math.floor(independent):,} independent ones"
        )
    if duel.early_stop:
        notes.append("a duel that stops early finds a little less than one that is looked at once")
    return DuelPlan(
        duel=duel.duel,
        cases=len(frame),
        independent=independent,
        alpha=alpha,
        power=POWER,
        effects=effects,
        early_stop=duel.early_stop,
        notes=tuple(notes),
    )


def _seen(name: str, pilot: Mapping[str, float]) -> float | None:
    """A pilot's spread of a condition; of `axis: all` the greatest of its axes. One in which all cases agreed
    says nothing of the spread where they do not."""
    if name == "axis: all":
        return (
            max((spread for told, spread in pilot.items() if told.startswith("axis: ")), default=None) or None
        )
    return pilot.get(name) or None


def _asked(
    duel: Duel, scales: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, float, str, tuple[float, float]]]:
    """Each condition's name, threshold, unit and the ends of its scale."""
    gate = duel.gate
    assert gate is not None, "planned without a gate"
    if gate.win_rate is not None:
        yield "win_rate", gate.win_rate.above, "share", (0.0, 1.0)
    for axis, (low, high) in scales.items():
        rule = gate.axes.get(axis, gate.axes.get("all"))
        if rule is None:
            continue
        kept, asked = contrast_of(rule)
        unit = "levels" if rule.min is None else "level"
        yield f"axis: {axis}", asked, unit, (low - kept * high, high - kept * low)
    for check in duel.checks:
        rule_of_check = gate.checks.get(check.title, gate.checks.get("all"))
        if rule_of_check is None:
            continue
        kept, asked = contrast_of(rule_of_check)
        unit = "points" if rule_of_check.min is None else "share"
        yield f"check: {check.title}", asked, unit, (-kept, 1.0)


def _effect(
    name: str,
    asked: float,
    unit: str,
    ends: tuple[float, float],
    independent: float,
    alpha: float,
    deviation: float | None,
) -> MinimumEffect:
    width = ends[1] - ends[0]
    null = (asked - ends[0]) / width
    greatest = math.sqrt(null * (1 - null)) if 0 < null < 1 else 0.0
    found = None
    # With too few cases even the best scores there are leave a lower bound (alpha^(1/n)) below the threshold.
    if 0 < null < 1 and independent >= 1 and alpha ** (1 / independent) > null:
        if deviation is None:
            found = detectable_effect(
                lambda effect: score_spread(null, null + effect),
                independent,
                most=1 - null,
                alpha=alpha,
                power=POWER,
                sides=1,
            )
        elif deviation == 0:
            found = 0.0
        else:
            variance = (deviation / width) ** 2
            found = detectable_effect(
                lambda _: Spread(variance, variance), independent, alpha=alpha, power=POWER, sides=1
            )
            found = None if found is not None and null + found > 1 else found
    return MinimumEffect(
        name=name,
        threshold=asked,
        detectable=None if found is None else asked + found * width,
        unit=unit,
        deviation=greatest * width if deviation is None else deviation,
        from_pilot=deviation is not None,
    )


def read_pilot(path: Path) -> dict[str, float]:
    """The spread that an earlier duel's JSON saw, by condition: the greatest of its treatments.

    Raises:
        DataError: the file cannot be read, or holds no duel with a gate.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        said: Any = json.loads(data) if len(data) <= _MOST_BYTES else None
    except OSError as error:
        raise DataError(f"The pilot cannot be read: {error.strerror}.", where=Location(path)) from None
    except (ValueError, RecursionError):
        said = None
    gate = said.get("gate") if isinstance(said, dict) else None
    conditions = gate.get("conditions") if isinstance(gate, dict) else None
    found: dict[str, float] = {}
    for condition in conditions if isinstance(conditions, list) else ():
        deviation = condition.get("deviation") if isinstance(condition, dict) else None
        if isinstance(deviation, int | float) and not isinstance(deviation, bool) and deviation >= 0:
            name = str(condition.get("name"))
            found[name] = max(found.get(name, 0.0), float(deviation))
    if not found:
        raise DataError(
            "This is no duel with a gate, so it says nothing of spread.",
            where=Location(path),
            hint="Write one with `arena duel FILE --json`.",
        )
    return found
