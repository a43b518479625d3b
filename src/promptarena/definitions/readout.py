"""What an analysis returns: plain, frozen values that every face (text, JSON, Markdown, HTML) renders.

`None` always means "not known" and comes with a note that says why; it never stands for zero. Intervals are
(low, high); an unbounded side is `None`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

__all__ = [
    "EVENT_LOG",
    "LOOKED_ONCE",
    "NOT_PREREGISTERED",
    "Adaptive",
    "AdaptiveArm",
    "AdaptiveEpoch",
    "Balance",
    "Check",
    "Comparison",
    "DailyEffect",
    "Interval",
    "IntervalKind",
    "Look",
    "LookPath",
    "MetricReadout",
    "Readout",
    "SegmentEffect",
    "Status",
    "TakenLook",
    "UnitCounts",
    "Verdict",
]

NOT_PREREGISTERED: Final = "not preregistered; valid only if looked at once"
"""The last reason of a verdict that no definition announced."""

LOOKED_ONCE: Final = "valid only if looked at once: the data cannot show which looks were taken before"
"""The last reason of a declared verdict on data without time, or of a design without a size."""

EVENT_LOG: Final = "event log"
"""The source of a readout that was not of a file."""

Interval = tuple[float | None, float | None]
IntervalKind = Literal["fixed", "repeated", "always-valid", "stage-wise"]


class Status(StrEnum):
    """The verdict's word."""

    INVALID = "invalid"
    HARMFUL = "harmful"
    SHIP = "ship"
    HOLD = "hold"
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition the verdict looked at."""

    name: str
    """Such as `balance`, `crossovers`, `harm`, `primary`, `guardrail`, `observed`, `days`, `segment`."""
    passed: bool | None
    """`None`: could not be told."""
    text: str
    """One sentence with the numbers, for people."""
    metric: str | None = None
    variant: str | None = None
    numbers: dict[str, float | int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the change should receive traffic, and why."""

    status: Status
    reasons: tuple[str, ...]
    """Sentences with numbers, the decisive one first."""
    variant: str | None = None
    """The treatment that the status is about; `None` where it is about all of them."""
    by_variant: dict[str, Status] = field(default_factory=dict)
    """What each treatment would be told on its own; empty where the data are invalid."""
    preregistered: bool
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Sample ratio: units that arrived against units that the allocation promised."""

    status: str
    """`ok`, `mismatch`, or `unknown` where no weights are known."""
    counts: dict[str, int]
    expected: dict[str, float] | None
    p_value: float | None
    """Of the counts against the allocation."""
    threshold: float
    """Below it any of these p-values is an alarm; all of them together raise a false one in a thousand."""
    segments: dict[str, float] = field(default_factory=dict)
    """p-value of variant x segment independence, by dimension; of the latest look where looks are planned."""
    always_valid: bool = False
    """Whether `p_value` holds at all readouts together: a trial with looks is read between them too."""
    look_p_value: float | None = None
    """Of the counts at the latest look, by chi-square; `None` where no look was taken or none is planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCounts:
    """How rows became units."""

    rows: int
    units: int
    repeated: int
    """Units that had more than one row and were rolled up."""
    crossovers: int
    """Units seen in more than one variant; they stay in their first."""
    crossovers_by_variant: dict[str, int] = field(default_factory=dict)
    """By first variant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One treatment against control on one metric."""

    control_value: float | None
    variant_value: float | None
    difference: float | None
    """variant - control, in the metric's unit."""
    interval: Interval | None
    relative_difference: float | None
    """difference / |control|."""
    relative_interval: Interval | None
    standard_error: float | None
    p_value: float | None
    """Two-sided, of no difference."""
    p_adjusted: float | None
    """Adjusted over the comparisons of the same family; see `adjustment` of the readout."""
    n_control: int
    """Observed units, not assigned ones."""
    n_variant: int
    method: str
    interval_kind: IntervalKind = "fixed"
    """For when the interval holds: read once, at each planned look, on all days together, after a stop."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyEffect:
    """The effect among units first seen on one day."""

    day: str
    """ISO date, UTC."""
    variant: str
    difference: float | None
    interval: Interval | None
    control_value: float | None
    variant_value: float | None
    n_control: int
    n_variant: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEffect:
    """The effect among units of one segment value."""

    segment: str
    value: str
    variant: str
    comparison: Comparison
    harm_p_value: float | None
    """One-sided p-value that the effect is worse than the segment's margin; `None`: not tested."""
    harm_p_adjusted: float | None
    """Benjamini-Hochberg over all segment values and treatments."""
    margin: str | None = None
    """As written: how much worse the segment may be; `None` where harm was not tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricReadout:
    """One metric, all treatments."""

    name: str
    kind: str
    role: str
    """`primary`, `guardrail`, `secondary` or `other`."""
    better: str
    unit: str | None = None
    comparisons: dict[str, Comparison]
    daily: tuple[DailyEffect, ...] = ()
    segments: tuple[SegmentEffect, ...] = ()
    findings: tuple[str, ...] = ()
    """What the segments say together: effects that differ, Simpson's reversals. Of the primary only."""
    margin: str | None = None
    """As written, for a guardrail or a non-inferiority primary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One analysis at which the trial could have stopped."""

    fraction: float
    """Information over the planned maximum."""
    day: str | None
    n: int
    z: float | None
    """Towards the good direction; `None` for a look still to come."""
    critical_z: float
    alpha_spent: float
    """Cumulative, both sides together."""
    crossed: bool | None
    futility_z: float | None = None
    """At or below it the look said `hold`; `None` without such a bound, or at a look still to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenLook:
    """A look as it is recorded once it was taken: plain data, which nothing that comes later changes."""

    planned: int
    """Index, in the design's looks, of the latest that it stands for."""
    day: str
    """Last cohort day, ISO, UTC."""
    as_of: str
    """ISO 8601, UTC; what the log received before then counted."""
    fraction: float
    """Information over the planned maximum."""
    units: int
    z: dict[str, float | None]
    """By treatment, towards the good direction."""
    critical_z: float
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LookPath:
    """The sequential path of one treatment's primary against its boundary."""

    variant: str
    looks: tuple[Look, ...]
    interval_label: str
    """What the primary's interval is: always-valid, repeated, or stage-wise ordered after stopping."""
    estimate: float | None = None
    """Median-unbiased estimate after stopping; `None` while the trial runs."""
    interval: Interval | None = None
    """Stage-wise ordered interval after stopping; `None` while the trial runs."""
    p_value: float | None = None
    """Sequential: valid at whichever look one stops; two-sided, before Holm. `None` before the first look."""
    power_trend: float | None = None
    """Probability to cross the good way at a later look, if the rest is like what was seen until now."""
    power_planned: float | None = None
    """The same, if the effect is what the trial was sized for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveEpoch:
    """One allocation's reign."""

    epoch: int
    weights: dict[str, float]
    """By variant, summing to 1: the propensities of the units that were first met in it."""
    units: dict[str, int]
    """First met in it until now, whether their cohorts have matured or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveArm:
    """One variant on the primary, over all units that came, whichever variant they met."""

    value: float | None
    """Propensity-weighted mean."""
    interval: Interval | None
    """Always-valid."""
    probability_best: float | None
    """On the reward, as the bandit believes; `None` while a variant has too few units."""
    note: str | None = None
    """Why there is no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptive:
    """How the weights followed the outcomes."""

    rule: str
    reward: str
    """The metric that the weights follow."""
    epochs: tuple[AdaptiveEpoch, ...]
    arms: dict[str, AdaptiveArm]
    """By variant, control first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """What an analysis returns."""

    experiment: str
    source: str
    """What was read: a file, or `EVENT_LOG`."""
    control: str
    variants: tuple[str, ...]
    """Control first."""
    declared: tuple[tuple[str, str], ...] = ()
    """What the definition says of the question and of what each treatment changes: label and text. Empty of a
    table."""
    primary: str
    alpha: float
    preregistered: bool
    verdict: Verdict
    balance: Balance
    units: UnitCounts
    metrics: dict[str, MetricReadout]
    paths: tuple[LookPath, ...] = ()
    days: int | None = None
    """Whole cohort days; `None` where the data has no time."""
    looks: tuple[TakenLook, ...] = ()
    """Of an experiment's log: every look until now, those that were recorded before as they were. Record the
    others before anybody acts on them."""
    trends: tuple[Check, ...] = ()
    """Whether effects last and the ground they are measured on stays the same: `passed=False` is something to
    look at. They decide nothing."""
    adaptive: Adaptive | None = None
    """Of a bandit; `None`: the weights were fixed."""
    adjustment: str
    """How `p_adjusted` was made."""
    notes: tuple[str, ...] = ()
