"""What is true in a simulated experiment: which effects its treatments have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from promptarena.analysis.hypotheses import good_sign
from promptarena.analysis.plan import Plan
from promptarena.definitions.analysis_plan import AnalysisPlan, Test
from promptarena.definitions.metric import MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.errors import Location, Problem, UsageError
from promptarena.simulation.assumptions import Assumed, is_flag

__all__ = ["SignedMargin", "Truth", "truths"]

SignedMargin = tuple[Margin, bool]
"""A size, and whether it is a fall."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One scenario."""

    key: Literal["null", "effect", "asked"]
    title: str
    effects: Mapping[str, float]
    """Treatment - control of the first treatment by metric, in the metric's unit; absent means none."""
    every: bool
    """Whether all treatments are like the first; else the others are like control."""
    promises_null: bool
    """Whether a ship would be an error that alpha bounds."""
    promises_power: bool
    """Whether the design's power is promised."""


def truths(
    plan: AnalysisPlan,
    size: Plan,
    assumed: Mapping[str, Assumed],
    asked: Mapping[str, SignedMargin],
) -> tuple[Truth, ...]:
    """The scenario in which nothing should ship, and the one that was asked for or planned for.

    Raises:
        UsageError: an effect on a metric that decides nothing, or that its values leave no room for.
    """
    primary = plan.metric(plan.primary.metric)
    if problems := _problems(assumed, asked):
        raise UsageError(problems)
    inferiority = plan.primary.test is Test.NON_INFERIORITY and plan.primary.margin is not None
    effects = {name: _signed(asked[name], assumed[name]) for name in asked}
    if inferiority and plan.primary.margin is not None:
        margin = _absolute(plan.primary.margin, assumed[primary.name])
        worst = {primary.name: -good_sign(primary) * margin}
        null = Truth(
            "null",
            "Worse by exactly the margin",
            worst,
            every=True,
            promises_null=True,
            promises_power=False,
        )
        planned = Truth(
            "effect", "No difference at all", {}, every=True, promises_null=False, promises_power=True
        )
    else:
        null = Truth(
            "null", "No effect at all (A/A)", {}, every=True, promises_null=True, promises_power=False
        )
        found = {} if size.mde is None else {primary.name: good_sign(primary) * size.mde}
        planned = Truth(
            "effect",
            "The effect that the design looks for",
            found,
            every=False,
            promises_null=False,
            promises_power=size.mde is not None,
        )
    if not asked:
        return (null, planned) if planned.promises_power else (null,)
    good = good_sign(primary) * effects.get(primary.name, 0.0)
    useless = good <= (-_absolute(plan.primary.margin, assumed[primary.name]) if plan.primary.margin else 0)
    named = Truth(
        "asked",
        "The effect that was asked for",
        {name: effect for name, effect in effects.items() if effect},
        every=False,
        promises_null=useless,
        promises_power=False,
    )
    return null, named


def _problems(assumed: Mapping[str, Assumed], asked: Mapping[str, SignedMargin]) -> list[Problem]:
    problems = []
    for name, (size, falls) in asked.items():
        where = Location(field=f"--effect {name}")
        if name not in assumed:
            known = f"Those are {', '.join(assumed)}."
            problems.append(Problem(f"`{name}` is neither the primary nor a guardrail.", where, known))
            continue
        of = assumed[name]
        if size.relative and of.expected == 0:
            hint = f"Write it in the metric's unit, or say --assume {name}=EXPECTED:SD."
            problems.append(Problem(f"{size} of an expected value of 0 is nothing.", where, hint))
            continue
        value = of.expected + _signed((size, falls), of)
        if (of.metric.kind is MetricKind.RATE or is_flag(of.metric)) and not 0 < value < 1:
            problems.append(Problem(f"It makes a rate of {value:g}; rates lie between 0 and 1.", where))
        if of.metric.kind in (MetricKind.COUNT, MetricKind.QUANTILE) and value <= 0:
            problems.append(Problem(f"It makes a {of.metric.kind.value} of {value:g}; it is above 0.", where))
    return problems


def _signed(asked: SignedMargin, of: Assumed) -> float:
    size, falls = asked
    return _absolute(size, of) * (-1 if falls else 1)


def _absolute(size: Margin, of: Assumed) -> float:
    return size.value * abs(of.expected) if size.relative else size.value
