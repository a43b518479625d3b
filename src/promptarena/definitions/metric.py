"""A metric: how facts about one unit become one number, and what the absence of facts means."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from promptarena.definitions.frozen import Frozen
from promptarena.definitions.quantities import Duration

__all__ = ["Absence", "Better", "Covariate", "FactSource", "Metric", "MetricKind"]

FactSource = Literal["measurement", "generation", "column"]
"""Where facts are read: events measured afterwards, fields of model calls, or a table's columns."""


class MetricKind(StrEnum):
    """What is computed of a unit's facts; the readout then compares variants' means of it over units."""

    RATE = "rate"
    """1 if the unit had the fact at least once (any true value), else 0: a share of units."""
    COUNT = "count"
    """How many facts the unit has."""
    SUM = "sum"
    """The sum of the unit's values."""
    MEAN = "mean"
    """The mean of the unit's values; each unit weighs the same."""
    RATIO = "ratio"
    """Sum of one value over sum of another, both over all units (not a mean of units' ratios)."""
    QUANTILE = "quantile"
    """A quantile of all values, with units as clusters."""

    @property
    def default_absence(self) -> Absence:
        """Whether no fact in the window means zero (nothing happened) or a value that was not observed."""
        return Absence.MISSING if self in (MetricKind.MEAN, MetricKind.QUANTILE) else Absence.ZERO


class Absence(StrEnum):
    """What it means that a unit has no fact once its window has closed."""

    ZERO = "zero"
    MISSING = "missing"


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


class Covariate(Frozen):
    """What was known of a unit before its exposure: the mean of a fact, or one fact over another."""

    of: str
    over: str | None = None

    @property
    def name(self) -> str:
        """For people."""
        return self.of if self.over is None else f"{self.of}/{self.over}"

    @property
    def facts(self) -> tuple[str, ...]:
        """What it reads."""
        return (self.of,) if self.over is None else (self.of, self.over)


class Metric(Frozen):
    """A metric as resolved: everything the query layer and the readout need to know."""

    name: str
    kind: MetricKind
    of: str
    """The measurement, generation field or table column that is read."""
    over: str | None = None
    """The denominator of a ratio."""
    q: float | None = None
    """The quantile, in (0, 1)."""
    better: Better = Better.HIGHER
    absent: Absence
    window: Duration | None = None
    """Fixed length from first exposure; none for a plain table, whose rows are taken as they are."""
    covariates: tuple[Covariate, ...] = ()
    """What explains part of the variance and was settled before the exposure (CUPED)."""
    bounds: tuple[float, float] | None = None
    """Between which a unit's values lie, as declared; they bound what those had who were not observed."""
    audited_by: str | None = None
    """People's labels, on some of the units, of what this metric has a judge score on all of them."""
    unit: str | None = None
    """What one of it is called, such as ms or USD; for people only."""
    source: FactSource = "column"
    """Where `of` is read."""
    over_source: FactSource | None = None
    """Where `over` is read; `None`: where `of` is."""
