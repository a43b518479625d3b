"""What a duel returns: plain, frozen values that every face renders. `None` means "not known", never zero."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from promptarena.definitions.judge_conduct import JudgeConduct
from promptarena.definitions.readout import Interval

__all__ = [
    "AxisDifference",
    "AxisMean",
    "AxisReadout",
    "CaseFinding",
    "CheckDifference",
    "CheckRate",
    "CheckReadout",
    "DuelPlan",
    "DuelReadout",
    "EarlyStopReadout",
    "EvidencePath",
    "Gate",
    "GateCondition",
    "GateStatus",
    "JudgeReadout",
    "LengthEffect",
    "MinimumEffect",
    "PairReadout",
    "RankedVariant",
    "Ranking",
    "SegmentEffect",
]


class GateStatus(StrEnum):
    """Whether a change may go on towards users."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    """The cases do not tell at the declared error: neither passed nor failed."""
    INVALID = "invalid"
    """Nothing may be concluded: too little was judged, or position decided rather than the answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairReadout:
    """One variant against another, over all cases."""

    variant: str
    against: str
    win_rate: float | None
    """Mean over decided cases of 1 for a win of `variant`, 1/2 for a tie, 0 for a loss."""
    interval: Interval | None
    """Of the win rate, over cases, at the duel's `confidence`."""
    wins: int
    """Cases won by `variant`."""
    losses: int
    ties: int
    conflicts: int
    """Cases whose two display orders disagree, whatever was then made of them."""
    unscored: int
    """Verdicts that could not be read; neither a tie nor a loss."""
    first_position_rate: float | None
    """Share of decisive verdicts that went to the answer shown first, among cases judged in both orders;
    1/2 without bias. None: no case was judged in both orders."""
    first_position_interval: Interval | None
    conflict_rate: float | None
    """Conflicts over cases judged in both orders."""
    conflict_interval: Interval | None
    both_orders: int
    """Cases with a readable verdict in both display orders."""
    consistent: int
    """Of those, cases where both orders say the same."""
    first_both: int
    """Of those, cases where the answer shown first won both times."""
    second_both: int
    """Of those, cases where the answer shown second won both times."""
    missing: int
    """Cases without an outcome; the gate counts them against the variant."""
    clusters: int = 0
    """Independent clusters behind the win rate: its cases, or what the dataset says they are part of."""
    between_variance: float | None = None
    """Variance of the cases' true scores. None: no case was judged on several answers."""
    repeat_variance: float | None = None
    """Variance of one repeat's score about its case's true one; more repeats lower the error by their
    share."""
    length: LengthEffect | None = None
    """None: the answers' lengths are not known, or nothing was decided."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeReadout:
    """How the judge behaved over all pairs; intervals are clustered by case."""

    verdicts: int
    """Verdicts on file for the pairs of this duel."""
    unscored: int
    repeated: int
    """Verdicts beyond the first on the same case in the same order; the majority of them counts once."""
    both_orders: int
    """Pairs of a case judged readably in both orders."""
    consistent: int
    conflicts: int
    first_both: int
    second_both: int
    conflict_rate: float | None
    conflict_interval: Interval | None
    first_position_rate: float | None
    first_position_interval: Interval | None
    asked_again: int = 0
    """How often the same answers were shown in the same order more than once."""
    noise_rate: float | None = None
    """How often two such verdicts differ: what remains of the conflict rate without any bias of position."""
    noise_interval: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthEffect:
    """Whether longer answers win, and who would win if they were all of one length."""

    mean_difference: float
    """Characters of `variant`'s answers less those of the other's, over the cases with an outcome."""
    longer_wins: float | None
    """Share of decided cases that the longer answer won; None where no such case has answers of unlike
    length."""
    longer_interval: Interval | None
    effect: float | None
    """Log-odds of winning for a much longer answer (tanh of the standardised difference is 1)."""
    effect_interval: Interval | None
    p_value: float | None
    """Two-sided, of no effect."""
    controlled: float | None
    """The win rate if both answers were of one length."""
    controlled_interval: Interval | None
    note: str | None = None
    """Why there is no effect to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisMean:
    """A variant's scores on one axis."""

    mean: float | None
    """Over cases, each the mean of its repeats."""
    interval: Interval | None
    cases: int
    """With a score."""
    unscored: int
    """Judgments that could not be read; never the lowest level."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisDifference:
    """A variant's score less the control's, case by case."""

    difference: float | None
    """In levels of the scale, over the cases where both have a score."""
    interval: Interval | None
    """By Student's t, clustered by case."""
    p_value: float | None
    """Two-sided, of no difference."""
    cases: int
    better: int
    """Cases with a higher score than the control's."""
    worse: int
    missing: int
    """Cases in which one of the two has no score."""
    between_variance: float | None
    """Variance of the cases' true differences. None: nothing was scored more than once."""
    repeat_variance: float | None
    """Variance of a single repeat's difference about its case's true one."""
    note: str | None = None
    """Why there is no interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisReadout:
    """One axis of the rubric over all variants."""

    name: str
    low: float
    high: float
    means: dict[str, AxisMean]
    differences: dict[str, AxisDifference] = field(default_factory=dict)
    """By treatment; empty without a control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEffect:
    """What a treatment did among the cases of one segment."""

    dimension: str
    """A declared segment, or `tag`."""
    value: str
    variant: str
    measure: str
    """`win_rate` or `axis: NAME`."""
    cases: int
    effect: float
    """The win rate, or the difference from the control in levels."""
    interval: Interval | None
    """Not adjusted for the number of segments."""
    p_value: float | None
    """Two-sided, of a win rate of 1/2 or no difference. None: too few cases, or without spread."""
    p_adjusted: float | None
    """By Benjamini and Hochberg (1995), over everything that was tested."""

    def adjusted(self, p_value: float | None) -> SegmentEffect:
        """The same with its adjusted p-value."""
        return replace(self, p_adjusted=p_value)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFinding:
    """A case in which a treatment did worse than the control."""

    case: str
    """Its id."""
    variant: str
    badness: float
    """In (0, 1]: the mean of losses, falls by axis over their scale, and checks that only the control
    passes."""
    outcome: float | None
    """1 won, 1/2 tie, 0 lost."""
    axes: dict[str, float]
    """Differences from the control in levels."""
    lost_checks: tuple[str, ...]
    """Checks that the control passes here and the treatment fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumEffect:
    """What a golden set can show of one thing that the gate asks."""

    name: str
    """`win_rate`, `axis: NAME` or `check: NAME`."""
    threshold: float
    detectable: float | None
    """The smallest true value that passes with the planned power, in the unit of the threshold. None: not
    even the greatest there is would."""
    unit: str
    """`share`, `points`, `levels` or `level`."""
    deviation: float
    """Standard deviation of one independent case, in that unit."""
    from_pilot: bool
    """Whether that was seen in a pilot; else it is the greatest that there can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelPlan:
    """What a duel can show, before anything is asked."""

    duel: str
    cases: int
    independent: float
    """How many independent cases of equal weight they are worth."""
    alpha: float
    power: float
    effects: tuple[MinimumEffect, ...]
    early_stop: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedVariant:
    """A variant's place among more than two."""

    variant: str
    rating: float
    """Bradley-Terry strength; the mean variant has 1000, and 400 more is ten to one against it."""
    interval: Interval
    average_win_rate: float
    """Mean over opponents of the share won against each, ties half."""
    elo: float
    """After all verdicts in the order of their cases; it depends on that order and has no error."""
    comparisons: int
    """Verdicts it took part in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All variants on one scale."""

    variants: tuple[RankedVariant, ...]
    """Strongest first; empty where the comparisons do not place all variants on one scale."""
    method: str
    note: str | None = None
    """Why `variants` is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRate:
    """How often a variant's outputs pass a check."""

    passed: int
    failed: int
    missing: int
    """Cases without an output, or whose check lacked its expected value."""
    pass_rate: float | None
    """passed / (passed + failed)."""
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDifference:
    """A variant's pass rate less the control's, over the cases where both are known."""

    difference: float | None
    interval: Interval | None
    cases: int
    only_variant: int
    """Cases that only the variant passes."""
    only_control: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReadout:
    """One check over all variants."""

    name: str
    rates: dict[str, CheckRate]
    differences: dict[str, CheckDifference] = field(default_factory=dict)
    """By treatment; empty without a control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCondition:
    """One thing the gate asked of one treatment."""

    name: str
    """`win_rate`, `judge`, `axis: NAME` or `check: NAME`."""
    variant: str
    status: GateStatus
    text: str
    """One sentence with the numbers, for people."""
    value: float | None
    """The estimate, cases with an outcome only."""
    low: float | None
    """One-sided lower bound at the gate's alpha, missing cases counted against the variant."""
    high: float | None
    """One-sided upper bound at the gate's alpha, missing cases counted for the variant."""
    threshold: float | None
    deviation: float | None = None
    """Standard deviation of one independent case in that unit: as a pilot it sizes the next golden set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePath:
    """How the evidence on one condition grew, in the order in which cases were taken."""

    name: str
    variant: str
    cases: tuple[int, ...]
    """Cases taken, at each point."""
    evidence_for: tuple[float | None, ...]
    """Log wealth of the bet that the condition holds, over what it takes: at 1 it is shown."""
    evidence_against: tuple[float | None, ...]
    """The same of the bet that it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopReadout:
    """How far a duel went that ends as soon as its gate is decided."""

    cases: int
    """That there are."""
    taken: int
    """On which the gate rests."""
    stopped: bool
    """Whether the gate was decided; else all cases, or all that were run, did not settle it."""
    paths: tuple[EvidencePath, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """May the change go on? All treatments must pass all conditions."""

    status: GateStatus
    reasons: tuple[str, ...]
    """Sentences with numbers, the decisive ones first."""
    alpha: float
    """Probability, for each treatment, that one no better than its thresholds passes."""
    conditions: tuple[GateCondition, ...] = ()
    early_stop: EarlyStopReadout | None = None
    """None: it was decided once, over all cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuelReadout:
    """Everything a duel found."""

    duel: str
    cases: int
    variants: tuple[str, ...]
    control: str | None
    conflict_rule: str
    """`tie`, `average` or `drop`: what a case counts for where its two orders disagree."""
    confidence: float
    """Of every interval here."""
    pairs: tuple[PairReadout, ...]
    """Each pair once; treatments against control where there is one, else in the order of the file."""
    judge: JudgeReadout | None
    """What its verdicts tell of it."""
    ranking: Ranking | None
    """None for two variants, or without verdicts."""
    checks: tuple[CheckReadout, ...] = ()
    gate: Gate | None = None
    notes: tuple[str, ...] = ()
    holdout_openings: int | None = None
    """How often the sealed holdout was opened, this time included; None where these cases are no holdout."""
    axes: tuple[AxisReadout, ...] = ()
    clusters: int | None = None
    """Independent clusters of cases, where the dataset says what cases are part of; else None."""
    weighted: bool = False
    """Whether cases count unequally."""
    conduct: JudgeConduct | None = None
    """How a judge that was asked behaved; its notes are among `notes`. None: verdicts on file do not tell."""
    segments: tuple[SegmentEffect, ...] = ()
    worst: tuple[CaseFinding, ...] = ()
    """Treatment by treatment, the worst first, a few of each."""
    plan: DuelPlan | None = None
    """What the cases could show, stated without looking at their results. None: there is no gate."""
