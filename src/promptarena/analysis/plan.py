"""How many units an experiment needs, when it may be looked at, and what it can find."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import ndtri

from promptarena.analysis.looks import MIN_OBSERVED
from promptarena.analysis.plan_request import PlanRequest
from promptarena.analysis.planned_comparison import PlannedComparison, PlannedStopping, planned_comparison
from promptarena.analysis.planned_guardrail import GuardrailSize
from promptarena.definitions.metric import MetricKind
from promptarena.definitions.win_rate_plan import PowerPoint
from promptarena.stats.anytime import AsymptoticSequence
from promptarena.stats.power import shared_power, whole_weeks
from promptarena.stats.spread import cuped_factor
from promptarena.stats.stopping import Stopping

__all__ = ["ExpectedN", "MdeRow", "Plan", "PlannedLook", "plan"]

_WEEK: Final = 7
_TABLE: Final = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
_NOTABLE: Final = 0.01
_CURVE: Final = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
"""True effects over the one that is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLook:
    """One look, if it comes when planned."""

    fraction: float
    """Information over the planned maximum."""
    critical_z: float
    """|z| from here on rejects; with several treatments, in the first step of Holm's method."""
    alpha_spent: float
    """Both sides together, cumulative."""
    n: int
    """Units in all, cumulative."""
    days: int | None
    """Until then, in whole weeks; `None` where no traffic is given."""
    stops_null: float | None = None
    """Probability that the trial ends at this look if there is no effect; `None` where none is looked for."""
    stops_mde: float | None = None
    """The same with the effect that is looked for."""
    futility_z: float | None = None
    """At or below it, towards the good side, the look says `hold`; `None` without such a bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MdeRow:
    """What a number of units can find, with the plan's looks and power."""

    n: int
    """Units in all."""
    mde: float
    """Smallest effect found, in the metric's unit; of a non-inferiority test the smallest margin."""
    relative: float | None
    """mde / |baseline|; `None` where the baseline is not known, or 0."""
    days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedN:
    """Units in all at the stop, on average."""

    null: float
    """Without effect."""
    mde: float
    """With the effect that is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sized experiment."""

    kind: str
    baseline: float | None
    mde: float | None
    """Effect looked for (non-inferiority: the margin), without sign; `None` if the units can find none."""
    non_inferiority: bool
    alpha: float
    """Two-sided, over all treatments."""
    power: float
    """That the primary and all guardrails pass (at least)."""
    power_each: float
    """Of the primary alone, so that they do."""
    guardrails: int
    guardrail_sizes: tuple[GuardrailSize, ...]
    """What each guardrail needs by its own variance, where a definition says what is expected of it."""
    spending: str
    """`supplied` where boundaries were."""
    total: int
    """Units in all, with the looks."""
    total_fixed: int
    """Units in all for the same power if looked at once, at the end."""
    per_variant: dict[str, int]
    inflation: float
    """Price of the looks: planned maximum over what one look needs."""
    looks: tuple[PlannedLook, ...]
    expected_n: ExpectedN | None
    """`None` where `mde` is."""
    max_information: float | None
    """1 / SE^2 of the effect at `total`; `None` where `mde` is."""
    futility: str | None
    """How the type II error is spent; `None` where only the last look gives up."""
    days: int | None
    """In whole weeks; `None` where no traffic is given."""
    mde_table: tuple[MdeRow, ...]
    power_curve: tuple[PowerPoint, ...]
    """Empty where `mde` is `None`."""
    labels: int | None
    """Units of `total` that people label; `None` where no judge stands in for them."""
    notes: tuple[str, ...]


def plan(request: PlanRequest) -> Plan:
    """Size an experiment; or, of a request with `units`, say what they can find or with what power.

    With m treatments each is compared with control at alpha / m, the first step of Holm's method. With G
    guardrails the primary and each of them get power 1 - (1 - power) / (G + 1), and the plan is as large as
    the one of them that needs most; of a guardrail of which nothing is expected that is not known.
    """
    comparison = planned_comparison(request)
    each, distance = shared_power(request.power, request.guardrails), comparison.distance
    if request.units is not None and distance is None:
        distance = comparison.detectable(request.units, each)
    elif request.units is not None and distance is not None:
        each = comparison.power(distance, request.units)
    # A bound on futility is planned for the power that was asked for; so is its price.
    priced = each if comparison.futility is None else shared_power(request.power, request.guardrails)
    inflation = comparison.inflation(priced)
    if request.units is not None:
        fixed = request.units / inflation
    else:
        # A request has units or an effect; 0, if it had neither, is refused.
        fixed = comparison.units(distance or 0.0, each)
    sizes = request.sizes(comparison.shares, each) if request.sizes else ()
    largest = max((size.units or 0 for size in sizes), default=0) if request.units is None else 0
    per_variant = _split(request, max(fixed * inflation, largest))
    total = sum(per_variant.values())
    stopping = comparison.stopping(each) if distance is not None else None
    return Plan(
        kind=request.kind.value,
        baseline=request.baseline,
        mde=distance,
        non_inferiority=request.margin is not None,
        alpha=request.alpha if request.critical_z is None else comparison.boundary.alpha,
        power=max(0.0, 1 - (1 - each) * (request.guardrails + 1)),
        power_each=each,
        guardrails=request.guardrails,
        guardrail_sizes=sizes,
        spending=request.spending.value if request.critical_z is None else "supplied",
        total=total,
        total_fixed=sum(_split(request, fixed).values()),
        per_variant=per_variant,
        inflation=inflation,
        looks=tuple(_looks(comparison, total, stopping)),
        expected_n=_expected_n(stopping, total) if stopping is not None else None,
        max_information=comparison.information(total, distance) if distance is not None else None,
        futility=request.futility.spending.value if request.futility else None,
        days=_days(request, total),
        mde_table=tuple(_mde_table(comparison, each, total)),
        power_curve=tuple(_power_curve(comparison, distance, total)) if distance is not None else (),
        labels=None if request.labelled is None else math.ceil(total * request.labelled - 1e-6),
        notes=tuple(_notes(comparison, distance, total, sizes, fixed * inflation)),
    )


def _split(request: PlanRequest, units: float) -> dict[str, int]:
    """Whole units of each variant, none fewer than its share."""
    shares = zip(request.variants, request.shares, strict=True)
    return {variant: math.ceil(units * share - 1e-6) for variant, share in shares}


def _looks(
    comparison: PlannedComparison, total: int, stopping: PlannedStopping | None
) -> Iterator[PlannedLook]:
    boundary = comparison.boundary
    last = len(boundary.fractions) - 1
    for k, fraction in enumerate(boundary.fractions):
        n = math.ceil(fraction * total - 1e-6)
        yield PlannedLook(
            fraction=fraction,
            critical_z=boundary.critical_z[k],
            alpha_spent=boundary.sides * boundary.alpha_spent[k],
            n=n,
            days=_days(comparison.request, n),
            stops_null=_stops(stopping.null, k, last) if stopping else None,
            stops_mde=_stops(stopping.effect, k, last) if stopping else None,
            futility_z=stopping.futility_z[k] if stopping and stopping.futility_z else None,
        )


def _stops(stopping: Stopping, k: int, last: int) -> float:
    """Whoever comes to the last look stops there."""
    stops = [up + down for up, down in zip(stopping.upper, stopping.lower, strict=True)]
    return stops[k] if k < last else max(1 - math.fsum(stops[:last]), 0.0)


def _expected_n(stopping: PlannedStopping, total: int) -> ExpectedN:
    return ExpectedN(
        null=total * stopping.null.expected_information, mde=total * stopping.effect.expected_information
    )


def _days(request: PlanRequest, units: int) -> int | None:
    if request.daily_units is None:
        return None
    least = _WEEK * math.ceil(request.min_days / _WEEK)
    return max(whole_weeks(units, request.daily_units), least, _WEEK)


def _mde_table(comparison: PlannedComparison, power: float, total: int) -> Iterator[MdeRow]:
    request = comparison.request
    for share in _TABLE:
        units = math.ceil(share * total)
        mde = comparison.detectable(units, power)
        if mde is not None:
            relative = mde / abs(request.baseline) if request.baseline else None
            yield MdeRow(n=units, mde=mde, relative=relative, days=_days(request, units))


def _power_curve(comparison: PlannedComparison, distance: float, total: int) -> Iterator[PowerPoint]:
    for share in _CURVE:
        effect = share * distance
        if comparison.has_room(effect):
            yield PowerPoint(effect=effect, power=comparison.power(effect, total))


def _notes(
    comparison: PlannedComparison,
    distance: float | None,
    total: int,
    sizes: Sequence[GuardrailSize],
    primary: float,
) -> Iterator[str]:
    request, boundary = comparison.request, comparison.boundary
    treatments = len(request.variants) - 1
    if distance is None:
        yield f"{total} units cannot find any effect that a rate of {request.baseline:g} leaves room for."
    if treatments > 1:
        yield (
            f"Each of {treatments} treatments is compared with {request.variants[0]} at alpha / {treatments}"
            f" = {comparison.alpha:.4g}, the first step of Holm's method."
        )
    if request.guardrails:
        yield from _guardrail_notes(request, sizes, primary)
    if comparison.futility is not None and len(boundary.fractions) > 1:
        yield (
            "The bound on futility is not binding: whoever goes on past it costs no type I error. The size"
            f" reckons with its being obeyed ({comparison.futility.family} spending of the type II error)."
        )
    if request.margin is not None:
        yield "Non-inferiority is sized for no true difference."
        if request.mde is not None:
            yield f"{request.called('mde')} is not used: the margin is what the size rests on."
    if (
        request.critical_z is not None
        and abs(boundary.alpha - comparison.alpha) > _NOTABLE * comparison.alpha
    ):
        yield f"The supplied boundaries spend {boundary.alpha:.4f}, not {comparison.alpha:g}."
    if request.kind is MetricKind.QUANTILE:
        yield f"{request.called('sd')} of a quantile is read as sqrt(q (1 - q)) / density at the quantile."
    if request.adaptive:
        yield (
            "Under a bandit an always-valid sequence decides, and these units are those of one look at the"
            f" end: with equal weights it takes about {_price_of_always(request):.1f} times as many, and more"
            " where the weights have left a variant with few."
        )
    if request.labelled is not None:
        alone = cuped_factor(request.judge_correlation) * (1 - request.labelled) + request.labelled
        labels = math.ceil(total * request.labelled)
        yield (
            f"{labels:,} of {total:,} units need a person's label, drawn at random; a judge scores them all."
            f" Labels alone would take {math.ceil(labels / alone):,} (prediction-powered inference)."
        )
    smallest = min(request.shares) * total
    if smallest < MIN_OBSERVED:
        yield (
            f"A verdict needs {MIN_OBSERVED} observed values a variant; the smallest has"
            f" {math.floor(smallest)} here, so its trial goes on until they are there."
        )
    yield from _calendar_notes(comparison, total)


def _guardrail_notes(request: PlanRequest, sizes: Sequence[GuardrailSize], primary: float) -> Iterator[str]:
    several = f"{request.guardrails} guardrail{'s' * (request.guardrails > 1)}"
    yield f"The primary and {several} share the chance to miss."
    for size in sizes:
        if size.units is None:
            yield f"The guardrail `{size.metric}` is not sized by its own variance: {size.note}."
        elif size.units > primary and request.units is None:
            yield f"The guardrail `{size.metric}` needs more units than the primary, and decides the size."
        elif request.units is not None and size.units > request.units:
            yield f"The guardrail `{size.metric}` needs {size.units:,} units to pass as often as the primary."
    if not sizes:
        yield (
            "A guardrail that varies more for its margin than the primary for its effect needs more units"
            " than this: declare its `expected` or `sd` in a definition, which sizes it too."
        )


def _price_of_always(request: PlanRequest) -> float:
    """Units of an always-valid sequence, read at the size it is tuned for, over those of one look there."""
    least = -float(ndtri(1 - request.power))
    once = -float(ndtri(request.alpha / 2))
    always = AsymptoticSequence(n_opt=1.0, alpha=request.alpha).multiplier(1.0)
    return ((always + least) / (once + least)) ** 2


def _calendar_notes(comparison: PlannedComparison, total: int) -> Iterator[str]:
    days = [look.days for look in _looks(comparison, total, None)]
    if days[-1] is not None and len(set(days)) < len(days):
        yield (
            "Some looks fall into the same week. Looks are taken at the ends of whole weeks, so only the last"
            " of them is taken, and spends the error of the others."
        )
    if days[-1] is not None and days[-1] > 8 * _WEEK:
        yield f"{days[-1]} days are long: users, prompts and models drift. Look for a larger effect."
