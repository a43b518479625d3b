"""A metric's kind, expected value and spread, from what people know of it: parts, a median, a density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from promptarena.definitions.metric import MetricKind
from promptarena.errors import Location, Problem
from promptarena.stats.spread import lognormal_density, ratio_sd

__all__ = ["KnownOfMetric", "PlannedMetric", "planned_metric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOfMetric:
    """What was written of it; `None` where nothing was."""

    kind: str | None = None
    baseline: float | None = None
    sd: float | None = None
    parts: Sequence[float] | None = None
    """Of a ratio: mean and standard deviation of the numerator and of the denominator, their correlation."""
    quantile: float | None = None
    median: float | None = None
    density: float | None = None
    """At the quantile, per unit of the metric."""


class PlannedMetric(NamedTuple):
    """As `PlanRequest` has it."""

    kind: MetricKind
    baseline: float | None
    sd: float | None


def planned_metric(known: KnownOfMetric, problems: list[Problem]) -> PlannedMetric:
    """Complete what is known; what does not fit is added to the problems."""
    kind = _kind(known, problems)
    _refuse_foreign(kind, known, problems)
    baseline, sd = known.baseline, known.sd
    try:
        if kind is MetricKind.RATIO and known.parts is not None:
            baseline, sd = _from_parts(known)
        elif kind is MetricKind.QUANTILE:
            sd = _of_quantile(known)
        elif kind is MetricKind.COUNT and sd is None and baseline is not None and baseline > 0:
            sd = math.sqrt(baseline)  # as of a Poisson count
    except _MisfitError as error:
        problems.append(Problem(f"{error}.", Location(field=error.flag), error.hint))
    return PlannedMetric(kind, baseline, sd)


class _MisfitError(ValueError):
    def __init__(self, flag: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.flag, self.hint = flag, hint


def _kind(known: KnownOfMetric, problems: list[Problem]) -> MetricKind:
    if known.kind is None:
        if known.quantile is not None:
            return MetricKind.QUANTILE
        if known.parts is not None:
            return MetricKind.RATIO
        return MetricKind.RATE if known.sd is None else MetricKind.MEAN
    if known.kind not in list(MetricKind):
        text = f"{known.kind!r} is no kind of metric: choose {', '.join(MetricKind)}."
        problems.append(Problem(text, Location(field="--kind")))
        return MetricKind.RATE
    return MetricKind(known.kind)


def _refuse_foreign(kind: MetricKind, known: KnownOfMetric, problems: list[Problem]) -> None:
    """What is said of another kind of metric would be ignored."""
    for flag, value, of in (
        ("--parts", known.parts, MetricKind.RATIO),
        ("--quantile", known.quantile, MetricKind.QUANTILE),
        ("--median", known.median, MetricKind.QUANTILE),
        ("--density", known.density, MetricKind.QUANTILE),
    ):
        if value is not None and kind is not of:
            problems.append(Problem(f"It is of a {of.value}, not of a {kind.value}.", Location(field=flag)))


def _from_parts(known: KnownOfMetric) -> tuple[float, float]:
    parts = known.parts or ()
    if len(parts) != 5:
        raise _MisfitError(
            "--parts",
            f"a ratio has five numbers; found {len(parts)}",
            "Mean and standard deviation of the numerator, of the denominator, and their correlation.",
        )
    for flag, value in (("--baseline", known.baseline), ("--sd", known.sd)):
        if value is not None:
            raise _MisfitError(flag, "it follows from --parts", "Leave one of them out.")
    try:
        sd = ratio_sd(*parts)
    except ValueError as error:
        raise _MisfitError("--parts", str(error)) from None
    return parts[0] / parts[2], sd


def _of_quantile(known: KnownOfMetric) -> float | None:
    if known.quantile is None or not 0 < known.quantile < 1:
        raise _MisfitError("--quantile", "it lies between 0 and 1", "Such as --quantile 0.95.")
    said = [known.sd, known.median, known.density]
    if sum(value is not None for value in said) > 1:
        raise _MisfitError("--quantile", "one of --sd, --median and --density says how it varies")
    if known.sd is not None:
        return known.sd
    density = known.density
    if known.median is not None:
        if known.baseline is None:
            raise _MisfitError("--baseline", "with a median goes the expected value of the quantile")
        try:
            density = lognormal_density(known.quantile, known.baseline, known.median)
        except ValueError as error:
            raise _MisfitError("--median", str(error)) from None
    if density is None:
        raise _MisfitError(
            "--quantile",
            "how many units it takes depends on how values spread around it",
            "Say --median with --baseline (lognormal values), or --density.",
        )
    if not 0 < density < math.inf:
        raise _MisfitError("--density", f"a density is above 0; found {density:g}")
    return math.sqrt(known.quantile * (1 - known.quantile)) / density
