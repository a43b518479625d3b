"""What a judge's calibration returns: how it agrees with people, whom it favours, and what both say together.

Plain, frozen values that every face renders. `None` means "not known", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from promptarena.definitions.readout import Interval

__all__ = [
    "AuditedTask",
    "CalibrationReadout",
    "Confusion",
    "JudgeBias",
    "Measure",
    "PoweredValue",
    "SwapAudit",
    "TaskKind",
]


class TaskKind(StrEnum):
    """What a judge was asked."""

    AXIS = "axis"
    """To score single answers on one axis of a rubric."""
    PREFERENCE = "preference"
    """To say which of two answers is better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A share or a coefficient of agreement."""

    name: str
    """Such as `agreement`, `kappa` or `alpha`."""
    value: float | None
    interval: Interval | None
    items: int
    text: str
    """What it is, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """What people said against what the judge said."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    """A row for each label of the people, a column for each of the judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeBias:
    """Judge minus people for one variant; of a preference, in the variant's score (a win is 1)."""

    variant: str
    value: float
    interval: Interval | None
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoweredValue:
    """A mean, or a difference from the control, from the labels and the judge's scores together."""

    variant: str
    against: str | None
    """The control, of a difference or a win rate; `None` for a mean."""
    value: float
    interval: tuple[float, float]
    labels_only: float
    labels_only_interval: tuple[float, float]
    tuning: float
    """How far the judge's scores are used, in [0, 1]."""
    labelled: int
    """Cases with a label."""
    judged: int
    """Cases that the judge scored and nobody labelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapAudit:
    """A pairwise judge in both display orders, against people and against itself."""

    verdicts: Measure
    """Share of single verdicts, either order, that say what people say."""
    both: Measure
    """Share of pairs where both orders say what people say."""
    kappa: Measure
    """Cohen's kappa of the two orders: the judge with itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedTask:
    """One axis, or the preference."""

    name: str
    kind: TaskKind
    trust: str
    """`enable` or `recalibrate`."""
    reasons: tuple[str, ...]
    """Sentences with numbers, the decisive one first."""
    threshold: float
    agreement: Measure
    """What is held against the threshold."""
    others: tuple[Measure, ...] = ()
    """Kappa, and what people reach among themselves."""
    swaps: SwapAudit | None = None
    confusion: Confusion
    bias: tuple[JudgeBias, ...] = ()
    bias_p_value: float | None
    """Of a bias that is the same for all variants; `None` where it could not be tested."""
    powered: tuple[PoweredValue, ...] = ()
    raters: tuple[str, ...]
    unjudged: int
    """Labels of what the judge did not score; they tell nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReadout:
    """Whether a judge may be trusted with what it is asked."""

    judge: str
    evaluator_hash: str | None
    """Of the judge's whole configuration, where its definition is known."""
    trust: str
    """`enable` where every task is enabled."""
    confidence: float
    control: str | None
    tasks: tuple[AuditedTask, ...]
    notes: tuple[str, ...] = ()
