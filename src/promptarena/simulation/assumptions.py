"""What the units of a simulated experiment are like: the definition's word, the user's, or a stated default.

A guardrail of which nothing is known is taken to be as hard to show as the primary: the distance of its
margin is as many standard deviations as that of the effect that is looked for. That is what a plan, which
gives each guardrail an equal share of the chance to miss, takes for granted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import ndtri

from promptarena.analysis.plan import Plan
from promptarena.definitions.analysis_plan import AnalysisPlan, Guardrail
from promptarena.definitions.metric import Metric, MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.errors import Location, Problem, UsageError

__all__ = ["CALLS", "Assumed", "Stated", "assumptions", "is_flag"]

CALLS: Final = 3.0
"""Mean denominator of a ratio: a unit's calls, one at least."""
_FLAGS: Final = ("error", "blocked", "retried")
"""Facts that a call has or has not: a ratio of them is a share."""
_SIGMA: Final = 0.5
"""Of the lognormal values of a quantile, where nothing else says it."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What somebody said of a metric."""

    expected: float
    sd: float | None = None
    """As `design.sd`: of a unit's value; of a quantile sqrt(q (1 - q)) / density."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the control's units are like on one metric."""

    metric: Metric
    expected: float
    sd: float
    known: bool
    """Whether somebody said so."""

    @property
    def sigma(self) -> float:
        """Of the lognormal values of a quantile: sd = sqrt(q (1 - q)) expected sigma / phi(z_q)."""
        return self.sd / (self.expected * quantile_scale(self.metric.q or 0.5))

    @property
    def z(self) -> float:
        """The standard normal's value at the metric's quantile."""
        return float(ndtri(self.metric.q or 0.5))

    def sentence(self) -> str:
        """For people."""
        name, kind = self.metric.name, self.metric.kind
        unit = f" {self.metric.unit}" if self.metric.unit else ""
        spread = "" if kind is MetricKind.RATE else f" with standard deviation {self.sd:.4g}{unit}"
        source = "" if self.known else ", which nobody said: as hard to show as the primary"
        value = f"a {kind.value} of {self.expected:.4g}{unit}{spread} in control"
        return f"{name}: {value} ({_SHAPES[kind]}){source}"


_SHAPES: Final = {
    MetricKind.RATE: "independent units",
    MetricKind.COUNT: "Poisson or more spread",
    MetricKind.SUM: "gamma, so skewed",
    MetricKind.MEAN: "normal",
    MetricKind.RATIO: "gamma around its denominator",
    MetricKind.QUANTILE: "lognormal, one value a unit",
}


def quantile_scale(q: float) -> float:
    """sqrt(q (1 - q)) / phi(z_q)."""
    z = float(ndtri(q))
    return math.sqrt(q * (1 - q)) * math.sqrt(2 * math.pi) * math.exp(z * z / 2)


def assumptions(plan: AnalysisPlan, size: Plan, stated: Mapping[str, Stated]) -> dict[str, Assumed]:
    """The primary and every guardrail, by name, the primary first.

    Args:
        plan: as declared.
        size: what it was sized to.
        stated: what the user said, by metric; it goes before the definition.

    Raises:
        UsageError: something was said of a metric that decides nothing, or that cannot be.
    """
    roles = [plan.primary.metric, *(guardrail.metric for guardrail in plan.guardrails)]
    problems = [
        _problem(name, f"`{name}` is neither the primary nor a guardrail of {plan.experiment}.", roles)
        for name in stated
        if name not in roles
    ]
    metric = plan.metric(plan.primary.metric)
    said = stated.get(metric.name)
    if said is None and plan.design.expected is not None:
        said = Stated(plan.design.expected, plan.design.sd)
    if said is None and plan.design.sd is not None:
        said = Stated(_usual(metric, plan.design.sd), plan.design.sd)
    if said is not None and said.sd is None and plan.design.sd is not None:
        said = Stated(said.expected, plan.design.sd)
    found: dict[str, Assumed] = {}
    if said is not None:
        found[metric.name] = _assumed(metric, said, problems)
    if metric.name not in found or problems:
        raise UsageError(problems or [_problem(metric.name, "nothing is known of the primary.", roles)])
    distance = size.mde if size.mde else found[metric.name].sd
    hardness = found[metric.name].sd / distance
    for guardrail in plan.guardrails:
        metric = plan.metric(guardrail.metric)
        said = stated.get(metric.name) or _declared(metric, guardrail)
        if said is None:
            found[metric.name] = Assumed(metric, *_as_hard(metric, guardrail, hardness), known=False)
        else:
            if said.sd is None and metric.kind is not MetricKind.RATE:
                said = Stated(said.expected, _room(guardrail.margin, said.expected) * hardness or None)
            found[metric.name] = _assumed(metric, said, problems)
    if problems:
        raise UsageError(problems)
    return found


def _declared(metric: Metric, guardrail: Guardrail) -> Stated | None:
    """What the definition expects of a guardrail."""
    if guardrail.expected is not None:
        return Stated(guardrail.expected, guardrail.sd)
    if guardrail.sd is not None and metric.kind is not MetricKind.RATE:
        return Stated(_usual(metric, guardrail.sd), guardrail.sd)
    return None


def _assumed(metric: Metric, said: Stated, problems: list[Problem]) -> Assumed:
    """What was said, completed and checked; problems are added to the list."""
    expected, sd = said.expected, said.sd
    if metric.kind is MetricKind.RATE:
        if not 0 < expected < 1:
            problems.append(
                _problem(metric.name, f"a rate lies strictly between 0 and 1; found {expected:g}.")
            )
            return Assumed(metric, 0.5, 0.5, known=True)
        return Assumed(metric, expected, math.sqrt(expected * (1 - expected)), known=True)
    if is_flag(metric) and 0 < expected < 1:
        return Assumed(metric, expected, math.sqrt(expected * (1 - expected) / CALLS), known=True)
    if sd is None or not 0 < sd < math.inf:
        problems.append(
            _problem(
                metric.name,
                f"a {metric.kind.value} needs the standard deviation of a unit's value.",
                hint=f"Write {metric.name}={expected:g}:SD.",
            )
        )
        return Assumed(metric, expected, 1.0, known=True)
    if expected <= 0 and metric.kind in (MetricKind.COUNT, MetricKind.QUANTILE):
        problems.append(_problem(metric.name, f"a {metric.kind.value} is above 0; found {expected:g}."))
        expected = 1.0
    return Assumed(metric, expected, sd, known=True)


def _as_hard(metric: Metric, guardrail: Guardrail, hardness: float) -> tuple[float, float]:
    """Expected value and standard deviation with the margin as hard to show as the primary's effect."""
    margin = guardrail.margin
    if margin.value == 0:  # no number of units shows it: any spread will do
        return _usual(metric, 1.0), 0.5 if metric.kind is MetricKind.RATE else 1.0
    sd = margin.value * hardness
    if metric.kind is MetricKind.RATE or is_flag(metric):
        trials = CALLS if is_flag(metric) else 1.0
        # Relative: p (1 - p) / trials = (m p h)^2. Absolute: = (m h)^2, the smaller root, or 1/2.
        expected = 1 / (1 + trials * sd**2) if margin.relative else _smaller_root(trials * sd**2)
        return expected, math.sqrt(expected * (1 - expected) / trials)
    if not margin.relative:
        return _usual(metric, sd), sd
    if metric.kind is MetricKind.COUNT:  # Poisson: expected = (m expected h)^2
        return 1 / sd**2, 1 / sd
    return 1.0, sd


def _smaller_root(variance: float) -> float:
    return (1 - math.sqrt(1 - 4 * variance)) / 2 if variance < 0.25 else 0.5


def _usual(metric: Metric, sd: float) -> float:
    """An expected value that goes with a spread, where nothing else says it."""
    match metric.kind:
        case MetricKind.RATE:
            return 0.5
        case MetricKind.COUNT:
            return sd**2
        case MetricKind.MEAN:
            return 0.0
        case MetricKind.QUANTILE:
            return sd / (_SIGMA * quantile_scale(metric.q or 0.5))
        case _:
            return 2 * sd


def _room(margin: Margin, expected: float) -> float:
    return margin.value * abs(expected) if margin.relative else margin.value


def is_flag(metric: Metric) -> bool:
    """Whether a metric is the share of calls of which something is true."""
    return metric.kind is MetricKind.RATIO and metric.of in _FLAGS


def _problem(name: str, message: str, known: Sequence[str] = (), *, hint: str | None = None) -> Problem:
    return Problem(
        f"{message[:1].upper()}{message[1:]}",
        Location(field=f"--assume {name}"),
        hint or (f"Those are {', '.join(known)}." if known else None),
    )
