"""A plan's request as the command line writes it: text in, `PlanRequest` out, all mistakes together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from promptarena.analysis.plan_metric import KnownOfMetric, planned_metric
from promptarena.analysis.plan_request import FLAGS, PlanRequest
from promptarena.definitions.analysis_plan import Futility, Spending
from promptarena.definitions.document import read_document
from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.metric import Better
from promptarena.definitions.quantities import Margin, parse_share
from promptarena.errors import Location, Problem, UsageError

__all__ = ["numbers", "request_from_definition", "request_from_flags", "signed_margin"]

_Written = TypeVar("_Written")
_Read = TypeVar("_Read")


def request_from_flags(
    *,
    baseline: float | None = None,
    mde: str | float | None = None,
    sd: float | None = None,
    units: int | None = None,
    margin: str | float | None = None,
    better: str = "higher",
    power: float = 0.8,
    alpha: float = 0.05,
    looks: str = "1",
    spending: str = "obrien-fleming",
    gamma: float = -4.0,
    critical_z: str | None = None,
    futility: str | None = None,
    variants: int | None = None,
    allocation: str | None = None,
    guardrails: int = 0,
    daily_units: str | float | None = None,
    correlation: float = 0.0,
    rows_per_unit: float = 1.0,
    icc: float = 0.0,
    kind: str | None = None,
    parts: str | None = None,
    quantile: float | None = None,
    median: float | None = None,
    density: float | None = None,
    labelled: str | float | None = None,
    judge_correlation: float = 0.0,
) -> PlanRequest:
    """Read what was written on the command line.

    Args:
        baseline: the control's expected value: a rate, unless `sd` is given.
        mde: `0.05`, or `8%` of the baseline; with a minus sign it is a fall.
        sd: standard deviation of a unit's value; makes the metric a mean.
        units: in place of `mde` (what can be found?) or beside it (with what power?).
        margin: of a non-inferiority test, written as `mde` is.
        better: `higher` or `lower`: on which side of the control the margin lies.
        power: in (alpha / 2, 1).
        alpha: two-sided.
        looks: `0.25,0.5,0.75,1`, or a number of equally spaced looks.
        spending: one of `Spending`.
        gamma: of `hwang-shih-decani`.
        critical_z: supplied boundaries in place of spending: `3.47,2.45,2.14,2.01`.
        futility: one of `Spending`, by which looks may end the trial for want of effect.
        variants: how many, the control included; 2, or as many as `allocation` has.
        allocation: `0.8,0.2`, control first, or `control=0.8,new=0.2`, which names the variants too.
        guardrails: how many.
        daily_units: `500`, or seven numbers of a week.
        correlation: of a covariate with the metric.
        rows_per_unit: rows a unit, where `sd` or `baseline` is that of a row.
        icc: their intracluster correlation.
        kind: one of `MetricKind`; else what the other flags imply.
        parts: of a ratio: `mean,sd,mean,sd,correlation` of numerator and denominator.
        quantile: which one.
        median: of lognormal values whose quantile is `baseline`.
        density: of the values at the quantile, in place of a median.
        labelled: the share of units that people label, where a judge scores all: `5%`.
        judge_correlation: of its scores with the labels.

    Raises:
        UsageError: something that cannot be read, or does not fit.
    """
    problems: list[Problem] = []

    def read(name: str, written: _Written | None, reader: Callable[[_Written], _Read]) -> _Read | None:
        if written is None:
            return None
        try:
            return reader(written)
        except ValueError as error:
            problems.append(Problem(f"{error}.", Location(field=FLAGS[name])))
            return None

    size = read("mde", mde, signed_margin)
    shares = read("allocation", allocation, _allocation)
    limit = read("margin", margin, _margin)
    fractions = read("looks", looks, _looks)
    family = read("spending", spending, _spending)
    supplied = read("critical_z", critical_z, numbers)
    giving_up = read("futility", futility, _spending)
    daily = read("daily_units", daily_units, lambda text: numbers(str(text)))
    side = read("better", better, _better)
    ratio = read("parts", parts, numbers)
    share = read("labelled", labelled, _share)
    known = KnownOfMetric(
        kind=kind,
        baseline=baseline,
        sd=sd,
        parts=ratio,
        quantile=quantile,
        median=median,
        density=density,
    )
    metric = planned_metric(known, problems)
    counted = variants or (len(shares[1]) if shares else 2)
    if problems or family is None or side is None or fractions is None:
        raise UsageError(problems)
    return PlanRequest(
        kind=metric.kind,
        better=side,
        baseline=metric.baseline,
        sd=metric.sd,
        mde=size[0] if size else None,
        falls=size[1] if size else False,
        margin=limit,
        units=units,
        power=power,
        alpha=alpha,
        looks=fractions,
        spending=family,
        gamma=gamma,
        critical_z=supplied,
        futility=None if giving_up is None else Futility(spending=giving_up),
        variants=(shares and shares[0]) or _names(counted),
        allocation=shares[1] if shares else None,
        guardrails=guardrails,
        daily_units=daily,
        correlation=correlation,
        rows_per_unit=rows_per_unit,
        icc=icc,
        labelled=share,
        judge_correlation=judge_correlation,
    )


def request_from_definition(path: Path, *, daily_units: str | float | None = None) -> PlanRequest:
    """Read what an experiment's definition declares.

    Args:
        path: of the experiment.
        daily_units: `500`, or seven numbers of a week; traffic is not a part of a definition.

    Raises:
        DefinitionError: the file is wrong, or its design lacks what sizing takes.
        UsageError: `daily_units` cannot be read.
    """
    try:
        daily = None if daily_units is None else numbers(str(daily_units))
    except ValueError as error:
        raise UsageError(f"{error}.", where=Location(field=FLAGS["daily_units"])) from None
    experiment = load_experiment(path)
    if experiment.interleave is not None:
        raise UsageError(
            "Interleaved lists are not sized beforehand: their p-value holds at every look.",
            where=Location(path, field="interleave"),
            hint="Start it, and read it as often as you like.",
        )
    try:
        return PlanRequest.from_analysis_plan(experiment.analysis_plan(), daily_units=daily)
    except UsageError as error:
        raise read_document(path).located(error) from None


def signed_margin(written: object) -> tuple[Margin, bool]:
    """The size of an effect as it is written (`0.05`, `-8%`), and whether it is a fall.

    Raises:
        ValueError: it is neither a number nor a percentage.
    """
    text = str(written).strip()
    falls = text.startswith("-")
    unsigned = text.lstrip("+-")
    try:
        return Margin.model_validate(unsigned if unsigned.endswith("%") else float(unsigned)), falls
    except ValueError:
        raise ValueError(f"{written!r} is not an effect: write 0.05 (in the metric's unit) or 8%") from None


def _margin(written: object) -> Margin:
    size, negative = signed_margin(written)
    if negative:
        raise ValueError(
            f"{written!r} is not a margin: it says how much worse is accepted, so it is positive"
        )
    return size


def _spending(text: str) -> Spending:
    if text not in list(Spending):
        raise ValueError(f"{text!r} is not a way of spending: choose {', '.join(Spending)}")
    return Spending(text)


def _better(text: str) -> Better:
    if text not in list(Better):
        raise ValueError(f"{text!r} is not a direction: choose {' or '.join(Better)}")
    return Better(text)


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between them.

    Raises:
        ValueError: something else is written.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not a list of numbers with commas between them") from None


def _looks(text: str) -> tuple[float, ...]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and parts[0].isdecimal() and 1 <= int(parts[0]) <= 100:
        return tuple((look + 1) / int(parts[0]) for look in range(int(parts[0])))
    try:
        return tuple(parse_share(part if part.endswith("%") else float(part)) for part in parts)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a list of looks: write fractions such as 0.25,0.5,0.75,1, or how many"
        ) from None


def _share(written: object) -> float:
    text = str(written).strip()
    return parse_share(text if text.endswith("%") else float(text))


def _allocation(text: str) -> tuple[tuple[str, ...] | None, tuple[float, ...]]:
    """Variants' names, where they are written, and shares."""
    pairs = [part.rpartition("=") for part in text.split(",")]
    names = tuple(name.strip() for name, sign, _ in pairs if sign)
    if names and (len(set(names)) != len(pairs) or not all(names)):
        raise ValueError(f"{text!r} must name every variant, each once, or none")
    try:
        shares = tuple(parse_share(share.strip() if "%" in share else float(share)) for _, _, share in pairs)
    except ValueError:
        raise ValueError(f"{text!r} is not an allocation: write 0.8,0.2 or control=80%,new=20%") from None
    return names or None, shares


def _names(count: int) -> tuple[str, ...]:
    numbered = (f"treatment_{number}" for number in range(2, count))
    return ("control", *(("treatment", *numbered) if count > 1 else ()))
