"""`simulate`: an experiment's definition in, what would become of many such experiments out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from promptarena.analysis.cohorts import Maturity
from promptarena.analysis.looks import MIN_OBSERVED, WEEK, PlannedSize
from promptarena.analysis.plan import Plan
from promptarena.analysis.plan import plan as size_plan
from promptarena.analysis.plan_request import PlanRequest
from promptarena.definitions.analysis_plan import AnalysisPlan
from promptarena.definitions.rollout_plan import CanaryStage
from promptarena.definitions.simulated import ScenarioReadout, Simulation
from promptarena.errors import Location, UsageError
from promptarena.simulation.assumptions import Assumed, Stated, assumptions
from promptarena.simulation.figures import figures, stops
from promptarena.simulation.run import Course, run_all
from promptarena.simulation.trial import Outcome, Trial
from promptarena.simulation.truth import SignedMargin, Truth, truths
from promptarena.simulation.units import Population
from promptarena.simulation.wording import sentences

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["Asked", "simulate"]

_WEEKS: Final = 4
"""How long an experiment is taken to last where nobody says how many units come a day."""
_MANY_UNITS: Final = 200_000
_ALWAYS: Final = 2.0
"""Of the planned units, those that are drawn for a bandit: an always-valid sequence takes about as many."""
_SAFELY: Final = 1.25
"""How many times the least number of units leaves no doubt that it is reached."""
_CORRELATION: Final = 0.5
"""Where neither the command nor the design says one."""
_LABELLED: Final = 0.1
"""Of the units, where the design does not say how many people label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a simulation is asked for, beside the definition."""

    experiments: int = 1_000
    """Of each truth."""
    seed: int = 1
    effects: Mapping[str, SignedMargin] = field(default_factory=dict)
    """By metric; the first treatment has them."""
    stated: Mapping[str, Stated] = field(default_factory=dict)
    """What metrics are like in control."""
    daily_units: tuple[float, ...] | None = None
    """Enrolled units a day, or seven of a week from Monday on."""
    missing: float = 0.0
    """The share of units without a value, of metrics whose absence means `missing`."""
    correlation: float | None = None
    """Of covariates with their metrics, and of a judge with people; the design's own where not said."""
    logged: int = 0
    """How many experiments of each truth also go through an event log."""
    workers: int | None = None


def simulate(
    experiment: Experiment, asked: Asked, progress: Callable[[int, int], None] | None = None
) -> Simulation:
    """Simulate an experiment many times without an effect, and with the one it looks for or was asked about.

    Args:
        experiment: the definition.
        asked: how often, and what of.
        progress: told how many experiments are done, and of how many.

    Raises:
        UsageError: the design has no size, or what was asked for does not fit it.
    """
    _check(asked)
    _refuse_interleaved(experiment)
    plan = _deciding(experiment.analysis_plan())
    if asked.logged:
        from promptarena.simulation.event_trial import refuse_unwritable

        refuse_unwritable(experiment, plan.metrics)
    request = PlanRequest.from_analysis_plan(plan)
    size = size_plan(request)
    assumed = assumptions(plan, size, asked.stated)
    scenarios = truths(plan, size, assumed, asked.effects)
    population = _population(plan, size, tuple(assumed.values()), asked)
    planned = PlannedSize(size.max_information, size.total)
    courses = [
        Course(
            Trial(plan, planned, population, _effects(plan, truth)),
            number,
            asked.experiments,
            asked.logged,
            experiment if asked.logged else None,
        )
        for number, truth in enumerate(scenarios)
    ]
    total, done = asked.experiments * len(courses), 0

    def told(more: int) -> None:
        nonlocal done
        done += more
        if progress is not None:
            progress(done, total)

    outcomes = run_all(courses, seed=asked.seed, workers=asked.workers, progress=told)
    waiting = Maturity.of(experiment.metrics, experiment.unit)
    days = math.ceil((waiting.window + waiting.lateness).total_seconds() / 86_400)
    return Simulation(
        experiment=experiment.name,
        unit=experiment.unit,
        primary=plan.primary.metric,
        variants=tuple(size.per_variant),
        seed=asked.seed,
        planned_units=size.total,
        planned_days=_planned_days(size, population.daily),
        scenarios=tuple(
            _readout(truth, found, plan, size, days) for truth, found in zip(scenarios, outcomes, strict=True)
        ),
        assumptions=sentences(population, pace_known=asked.daily_units is not None),
        notes=tuple(_notes(experiment, size)),
    )


def _check(asked: Asked) -> None:
    if asked.experiments < 2:
        raise UsageError(
            f"{asked.experiments} experiments have no Monte-Carlo error.",
            where=Location(field="--experiments"),
            hint="A thousand tell a rate of 2.5% to half a point.",
        )
    if asked.seed < 0:
        raise UsageError(f"a seed is 0 or more; found {asked.seed}.", where=Location(field="--seed"))
    if asked.logged < 0:
        raise UsageError(
            f"a number of experiments is 0 or more; found {asked.logged}.", where=Location(field="--log")
        )
    if not 0 <= asked.missing < 1:
        raise UsageError(
            f"the share of units without a value lies in [0, 1); found {asked.missing:g}.",
            where=Location(field="--missing"),
        )
    if asked.correlation is not None and not -1 < asked.correlation < 1:
        raise UsageError(
            f"a correlation lies strictly between -1 and 1; found {asked.correlation:g}.",
            where=Location(field="--correlation"),
        )


def _refuse_interleaved(experiment: Experiment) -> None:
    if experiment.interleave is not None:
        raise UsageError(
            "interleaving shows every unit all variants; only variants by unit are simulated.",
            where=Location(experiment.file, field="interleave"),
        )


def _deciding(plan: AnalysisPlan) -> AnalysisPlan:
    """The plan with the metrics that a verdict rests on alone: the primary and the guardrails."""
    names = [plan.primary.metric, *(guardrail.metric for guardrail in plan.guardrails)]
    names += [str(plan.bandit.reward)] if plan.bandit is not None else []
    metrics = tuple(plan.metric(name) for name in dict.fromkeys(names))
    return plan.model_copy(update={"metrics": metrics, "secondary": ()})


def _population(plan: AnalysisPlan, size: Plan, assumed: tuple[Assumed, ...], asked: Asked) -> Population:
    weights = plan.weights or {}
    # Three of their standard deviations more, so that the planned units are there in the planned weeks.
    enough = size.total + 3 * math.sqrt(size.total)
    if plan.bandit is not None:
        enough *= _ALWAYS
    daily = asked.daily_units or (enough / _pace(plan),)
    burn_in = plan.design.burn_in or timedelta(0)
    # A week more than planned: units come at random, and a plan may fall short by a few.
    days = burn_in.days + _planned_days(size, daily) + WEEK
    if plan.bandit is not None:
        # It has no size: it goes on to its declared end, or about as long as it may take.
        days = plan.design.max_days or round(_ALWAYS * days)
    longest = plan.design.max_days
    return Population(
        assumed=assumed,
        shares=tuple(weights.get(name, 1 / len(size.per_variant)) for name in size.per_variant),
        daily=daily,
        days=days if longest is None else min(days, burn_in.days + WEEK * math.ceil(longest / WEEK)),
        segments=tuple(segment.name for segment in plan.segments),
        correlation=_correlation(plan, asked),
        labelled=plan.design.labelled or _LABELLED,
        missing=asked.missing,
    )


def _correlation(plan: AnalysisPlan, asked: Asked) -> float:
    said = (asked.correlation, plan.design.correlation, _CORRELATION)
    return next(value for value in said if value is not None)


def _pace(plan: AnalysisPlan) -> int:
    """Days in which the planned units come where nobody said how many do a day."""
    usual = max(WEEK * _WEEKS, WEEK * math.ceil(plan.design.min_days / WEEK))
    longest = plan.design.max_days
    return usual if longest is None else min(usual, WEEK * (longest // WEEK))


def _planned_days(size: Plan, daily: Sequence[float]) -> int:
    weekly = sum(daily) * (WEEK / len(daily))
    return WEEK * math.ceil(size.total / weekly - 1e-9)


def _effects(plan: AnalysisPlan, truth: Truth) -> tuple[Mapping[str, float], ...]:
    treatments = len(plan.variants or ()) - 1
    return tuple(truth.effects if truth.every or k == 0 else {} for k in range(treatments))


def _readout(
    truth: Truth, outcomes: Sequence[Outcome], plan: AnalysisPlan, size: Plan, waiting: int
) -> ScenarioReadout:
    return ScenarioReadout(
        key=truth.key,
        title=truth.title,
        effects=dict(truth.effects),
        experiments=len(outcomes),
        figures=figures(outcomes, plan, size, truth, waiting),
        stops=() if plan.bandit is not None else stops(outcomes, len(plan.design.looks)),
        through_log=_through_log(outcomes),
    )


def _through_log(outcomes: Sequence[Outcome]) -> tuple[int, int] | None:
    tried = [outcome.agrees for outcome in outcomes if outcome.agrees is not None]
    return (len(tried), sum(tried)) if tried else None


def _notes(experiment: Experiment, size: Plan) -> list[str]:
    notes = []
    if experiment.allocation is not None:
        notes.append(
            "The weights move in the mornings, by the rewards that are known then; the log's may move more"
            " often. An always-valid sequence decides at the ends of whole weeks, and no size is promised."
        )
    if any(isinstance(stage, CanaryStage) for stage in experiment.rollout or ()):
        notes.append("Canary units count for no verdict: the days begin with the stage `ab`.")
    fewest = min(size.per_variant.values())
    if fewest < MIN_OBSERVED * _SAFELY:
        notes.append(
            f"A look needs {MIN_OBSERVED} observed values a variant, and the smallest is to have {fewest}:"
            " some trials wait for more."
        )
    if size.total > _MANY_UNITS:
        notes.append(f"{size.total:,} units an experiment take long to draw: fewer --experiments may do.")
    return notes
