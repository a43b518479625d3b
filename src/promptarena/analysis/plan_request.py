"""What a plan is asked for, whether on the command line or in an experiment's definition."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from promptarena.analysis.planned_guardrail import GuardrailSize, guardrail_size
from promptarena.definitions.analysis_plan import AnalysisPlan, Futility, Spending, Test
from promptarena.definitions.metric import Better, MetricKind
from promptarena.definitions.quantities import Margin
from promptarena.errors import Location, Problem, UsageError

__all__ = ["FLAGS", "PlanRequest"]

DEFAULT_VARIANTS: Final = ("control", "treatment")
FLAGS: Final[Mapping[str, str]] = {
    "baseline": "--baseline",
    "sd": "--sd",
    "parts": "--parts",
    "mde": "--mde",
    "units": "--units",
    "margin": "--margin",
    "better": "--better",
    "power": "--power",
    "alpha": "--alpha",
    "looks": "--looks",
    "spending": "--spending",
    "gamma": "--gamma",
    "critical_z": "--critical-z",
    "futility": "--futility",
    "variants": "--variants",
    "allocation": "--allocation",
    "guardrails": "--guardrails",
    "daily_units": "--daily-units",
    "correlation": "--correlation",
    "rows_per_unit": "--rows-per-unit",
    "icc": "--icc",
    "labelled": "--labelled",
    "judge_correlation": "--judge-correlation",
}
_FIELDS: Final[Mapping[str, str]] = {
    "baseline": "design.expected",
    "sd": "design.sd",
    "mde": "design.mde",
    "units": "design.units",
    "margin": "primary.margin",
    "power": "design.power",
    "alpha": "design.alpha",
    "looks": "design.looks",
    "spending": "design.spending",
    "gamma": "design.gamma",
    "critical_z": "design.critical_z",
    "futility": "design.futility",
    "correlation": "design.correlation",
    "judge_correlation": "design.correlation",
    "labelled": "design.labelled",
    "variants": "variants",
    "allocation": "variants",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """One comparison, or one a treatment, that is to be sized.

    Raises:
        UsageError: values out of range or that do not fit together, all of them told together.
    """

    kind: MetricKind = MetricKind.RATE
    """A rate's variance follows from `baseline`; every other kind needs `sd`."""
    better: Better = Better.HIGHER
    baseline: float | None = None
    """Expected value of the control."""
    sd: float | None = None
    """Of a unit's value: of the linearised one for a ratio, sqrt(q (1 - q)) / density for a quantile."""
    mde: Margin | None = None
    """Size of the smallest effect worth finding, absolute or relative to |baseline|."""
    falls: bool = False
    """Whether the effect is a fall of the metric."""
    margin: Margin | None = None
    """Of non-inferiority, which is then tested, and sized for no true difference; none: superiority."""
    units: int | None = None
    """Units in all, if they are given and power or MDE is asked for."""
    power: float = 0.8
    """That the primary and all guardrails pass."""
    alpha: float = 0.05
    """Two-sided, over all treatments."""
    looks: tuple[float, ...] = (1.0,)
    spending: Spending = Spending.OBRIEN_FLEMING
    gamma: float = -4.0
    critical_z: tuple[float, ...] | None = None
    futility: Futility | None = None
    """How the type II error is spent, if looks may end the trial for want of effect."""
    variants: tuple[str, ...] = DEFAULT_VARIANTS
    """Control first."""
    allocation: tuple[float, ...] | None = None
    """Shares of the units, one a variant, summing to 1; none: equal."""
    guardrails: int = 0
    sizes: Callable[[tuple[float, float], float], tuple[GuardrailSize, ...]] | None = None
    """What the guardrails need by themselves, given control's and the smallest treatment's shares and the
    power of each; `None` where nothing is known of them."""
    daily_units: tuple[float, ...] | None = None
    """Units that arrive a day: one number, or seven of a week."""
    min_days: int = 7
    correlation: float = 0.0
    """Of a covariate with the metric (CUPED)."""
    rows_per_unit: float = 1.0
    """Rows that a unit's value is the mean of, where `sd` or `baseline` is that of a row."""
    icc: float = 0.0
    """Intracluster correlation of those rows."""
    adaptive: bool = False
    """Whether the weights are to follow the outcomes, so that an always-valid sequence decides."""
    labelled: float | None = None
    """The share of units with a person's label, where a judge scores all: the metric is then estimated from
    both (prediction-powered); `None`: every unit has its value."""
    judge_correlation: float = 0.0
    """Of the judge's score with the label."""
    names: Mapping[str, str] = field(default_factory=lambda: FLAGS, repr=False)
    """What the user calls each field, for messages."""

    def __post_init__(self) -> None:
        checks = (_metric_problems, _error_problems, _traffic_problems, _variance_problems)
        if problems := [problem for check in checks for problem in check(self)]:
            raise UsageError(problems)

    @property
    def shares(self) -> tuple[float, ...]:
        """Shares of the units, one a variant."""
        return self.allocation or (1 / len(self.variants),) * len(self.variants)

    @property
    def effect(self) -> float | None:
        """Treatment - control that is looked for, or `None` if it is what is asked for."""
        return None if self.mde is None else self.absolute(self.mde) * (-1 if self.falls else 1)

    def absolute(self, margin: Margin) -> float:
        """A margin in the metric's unit."""
        return margin.value * abs(self.baseline or 0.0) if margin.relative else margin.value

    def called(self, name: str) -> str:
        """What the user calls a field."""
        return self.names.get(name, name)

    @classmethod
    def from_analysis_plan(
        cls, plan: AnalysisPlan, *, daily_units: Sequence[float] | None = None
    ) -> PlanRequest:
        """What a definition declares.

        Args:
            plan: as declared; without `variants` there is one treatment.
            daily_units: enrolled units a day, or seven of a week, where known.

        Raises:
            UsageError: the design lacks what its metric needs, or its parts do not fit together.
        """
        metric, design = plan.metric(plan.primary.metric), plan.design
        declared = plan.variants or (plan.control, "treatment")
        variants = (plan.control, *(variant for variant in declared if variant != plan.control))
        weights = plan.weights if plan.weights and set(plan.weights) == set(variants) else None
        return cls(
            kind=metric.kind,
            better=metric.better,
            baseline=design.expected,
            sd=design.sd,
            mde=design.mde,
            falls=metric.better is Better.LOWER,
            margin=plan.primary.margin if plan.primary.test is Test.NON_INFERIORITY else None,
            units=design.units,
            power=design.power,
            alpha=design.alpha,
            looks=design.looks,
            spending=design.spending,
            gamma=design.gamma,
            critical_z=design.critical_z,
            futility=design.futility,
            variants=variants,
            allocation=tuple(weights[variant] for variant in variants) if weights else None,
            guardrails=len(plan.guardrails),
            sizes=lambda shares, power: tuple(
                guardrail_size(each, plan.metric(each.metric), design, shares, power=power)
                for each in plan.guardrails
            ),
            daily_units=tuple(daily_units) if daily_units is not None else None,
            min_days=design.min_days,
            correlation=(design.correlation or 0.0) if metric.covariates else 0.0,
            labelled=design.labelled,
            judge_correlation=(design.correlation or 0.0) if design.labelled is not None else 0.0,
            adaptive=plan.bandit is not None,
            names=_FIELDS,
        )


def _metric_problems(request: PlanRequest) -> Iterator[Problem]:
    problem = _teller(request)
    if request.kind is MetricKind.RATE:
        if request.baseline is None:
            yield problem(
                "baseline", "a rate is sized from the rate that is expected of the control", "Such as 0.6."
            )
        elif not 0 < request.baseline < 1:
            yield problem(
                "baseline",
                f"a rate lies strictly between 0 and 1; found {request.baseline:g}",
                "Write 0.6 for 60%. For a mean give its standard deviation as well.",
            )
            return
    elif request.sd is None:
        yield problem(
            "sd",
            f"a {request.kind.value} is sized from the standard deviation of a unit's value; none is given",
            "Take it from past data.",
        )
    if request.sd is not None and not 0 < request.sd < math.inf:
        yield problem("sd", f"a standard deviation is above 0; found {request.sd:g}")
    if request.baseline is not None and not math.isfinite(request.baseline):
        yield problem("baseline", f"the baseline must be finite; found {request.baseline:g}")
    yield from _effect_problems(request)


def _effect_problems(request: PlanRequest) -> Iterator[Problem]:
    problem = _teller(request)
    if request.mde is None and request.margin is None and request.units is None:
        yield problem(
            "mde",
            "without an effect to look for there is no size",
            f"Give {request.called('mde')}, or {request.called('units')} to learn what those can find.",
        )
    for name, size in (("mde", request.mde), ("margin", request.margin)):
        if size is None:
            continue
        if size.value == 0:
            yield problem(
                name, "an effect of 0 cannot be told from none with any number of units", "Give a size."
            )
        elif size.relative and not request.baseline:
            yield problem(
                name,
                f"{size} is relative to the baseline, which is "
                + ("not given" if request.baseline is None else "0"),
                f"Give {request.called('baseline')}, or an effect in the metric's unit.",
            )
    effect, baseline = request.effect, request.baseline
    if request.kind is MetricKind.RATE and effect and baseline is not None and not 0 < baseline + effect < 1:
        yield problem(
            "mde",
            f"{baseline:g} {effect:+g} = {baseline + effect:g} is no rate",
            "A rate stays between 0 and 1: look for a smaller effect.",
        )
    if request.units is not None and request.units < 2 * len(request.variants):
        yield problem("units", f"{request.units} units are too few for {len(request.variants)} variants")


def _error_problems(request: PlanRequest) -> Iterator[Problem]:
    problem = _teller(request)
    if not 0 < request.alpha < 0.5:
        yield problem("alpha", f"alpha lies between 0 and 0.5; found {request.alpha:g}", "Commonly 0.05.")
    elif not request.alpha / 2 < request.power < 1:
        yield problem(
            "power",
            f"power lies between alpha / 2 = {request.alpha / 2:g}, which chance alone has, and 1;"
            f" found {request.power:g}",
            "Commonly 0.8.",
        )
    increasing = all(a < b for a, b in zip((0.0, *request.looks), request.looks, strict=False))
    if not increasing or not request.looks or request.looks[-1] != 1:
        yield problem(
            "looks",
            "looks are increasing fractions of the planned units that end in 1;"
            f" found {', '.join(f'{look:g}' for look in request.looks) or 'none'}",
            "Such as 0.25,0.5,0.75,1.",
        )
    elif any(b - a < 0.001 for a, b in zip((0.0, *request.looks), request.looks, strict=False)):
        yield problem("looks", "two looks are less than 0.1% of the units apart", "Leave one of them out.")
    if not -40 <= request.gamma <= 40:
        yield problem("gamma", f"gamma lies between -40 and 40; found {request.gamma:g}", "Commonly -4.")
    if request.critical_z is not None:
        if len(request.critical_z) != len(request.looks):
            yield problem(
                "critical_z",
                f"there is one boundary a look; found {len(request.critical_z)} for {len(request.looks)}",
            )
        if any(not 0 < z < math.inf for z in request.critical_z):
            yield problem("critical_z", "boundaries are positive numbers", "Such as 3.47,2.45,2.14,2.01.")
        if len(request.variants) > 2:
            yield problem(
                "critical_z",
                "supplied boundaries cannot be shared by several treatments",
                f"Choose {request.called('spending')}, or plan one treatment.",
            )


def _traffic_problems(request: PlanRequest) -> Iterator[Problem]:
    problem = _teller(request)
    if len(request.variants) < 2:
        yield problem("variants", f"a comparison has 2 variants or more; found {len(request.variants)}")
    if request.guardrails < 0:
        yield problem("guardrails", f"there are 0 guardrails or more; found {request.guardrails}")
    shares = request.allocation
    if shares is not None:
        if len(shares) != len(request.variants):
            yield problem(
                "allocation", f"there is one share a variant; found {len(shares)} for {len(request.variants)}"
            )
        if any(not share > 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
            yield problem(
                "allocation",
                f"shares are positive and sum to 1; found {', '.join(f'{share:g}' for share in shares)}",
                "Such as 0.8,0.2, control first.",
            )
    daily = request.daily_units
    if daily is not None and (
        len(daily) not in (1, 7) or any(not 0 <= day < math.inf for day in daily) or not sum(daily) > 0
    ):
        yield problem(
            "daily_units",
            "the units of a day are one positive number, or seven, one a day of the week",
            "Such as 500, or 500,500,500,500,500,200,100.",
        )


def _variance_problems(request: PlanRequest) -> Iterator[Problem]:
    problem = _teller(request)
    if not -1 < request.correlation < 1:
        yield problem("correlation", f"lies strictly between -1 and 1; found {request.correlation:g}")
    if not 1 <= request.rows_per_unit < math.inf:
        yield problem("rows_per_unit", f"a unit has 1 row or more; found {request.rows_per_unit:g}")
    if request.labelled is not None and not 0 < request.labelled <= 1:
        yield problem(
            "labelled",
            f"the share of units with a label lies above 0 and is at most 1; found {request.labelled:g}",
            "Write 5% or 0.05.",
        )
    if not -1 < request.judge_correlation < 1:
        yield problem(
            "judge_correlation", f"lies strictly between -1 and 1; found {request.judge_correlation:g}"
        )
    if request.judge_correlation and request.labelled is None:
        yield problem(
            "judge_correlation",
            "a judge's scores help where only some units have a label",
            f"Say how many with {request.called('labelled')}.",
        )
    if not 0 <= request.icc <= 1:
        yield problem("icc", f"an intracluster correlation lies between 0 and 1; found {request.icc:g}")


def _teller(request: PlanRequest) -> Callable[..., Problem]:
    def problem(name: str, message: str, hint: str | None = None) -> Problem:
        return Problem(f"{message[0].upper()}{message[1:]}.", Location(field=request.called(name)), hint)

    return problem
