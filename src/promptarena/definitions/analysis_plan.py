"""What an analysis needs to know, whether a definition file or command-line flags said it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field, field_validator, model_validator

from promptarena.definitions.bandit import Bandit
from promptarena.definitions.frozen import Frozen, Shorthand, mistake
from promptarena.definitions.metric import Metric
from promptarena.definitions.quantities import Duration, Margin, Number, Share, Whole

__all__ = [
    "AnalysisPlan",
    "Design",
    "Futility",
    "Guardrail",
    "Primary",
    "SegmentRule",
    "Spending",
    "Test",
]

NO_MARGIN: Final = Margin(value=0.0)


class Test(StrEnum):
    """What the primary must show."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    SUPERIORITY = "superiority"
    NON_INFERIORITY = "non-inferiority"


class Spending(StrEnum):
    """How the type I error is spent over looks (Lan and DeMets 1983)."""

    OBRIEN_FLEMING = "obrien-fleming"
    POCOCK = "pocock"
    HWANG_SHIH_DECANI = "hwang-shih-decani"


class Adjustment(StrEnum):
    """How the p-values of secondary metrics are adjusted, over metrics and treatments together."""

    BENJAMINI_HOCHBERG = "benjamini-hochberg"
    """Few of what is called a difference is none: the false share of discoveries."""
    HOLM = "holm"
    """Not even one, in 1 - alpha of the trials."""
    BONFERRONI = "bonferroni"
    """As Holm, weaker, and simple enough to be reckoned by hand."""


class Primary(Shorthand):
    """The one metric on which the verdict rests."""

    shorthand: ClassVar[str] = "metric"

    metric: str
    test: Test = Test.SUPERIORITY
    margin: Margin | None = None
    """Needed for non-inferiority, and only there."""

    @model_validator(mode="after")
    def _margin_fits_test(self) -> Primary:
        if self.test is Test.NON_INFERIORITY and self.margin is None:
            raise mistake(
                "The test `non-inferiority` needs a `margin`: how much worse is still acceptable.",
                hint="Add `margin: 2%`, or a plain number in the metric's unit.",
            )
        if self.test is Test.SUPERIORITY and self.margin is not None:
            raise mistake(
                "A `margin` goes with `test: non-inferiority`; a superiority test has none.",
                field="margin",
                involving=("test", "margin"),
            )
        return self


class Guardrail(Shorthand):
    """A metric that must not become worse than its margin (one-sided non-inferiority)."""

    shorthand: ClassVar[str] = "metric"

    metric: str
    margin: Margin = NO_MARGIN
    expected: Number | None = None
    """The control's expected value; with it (a rate) or `sd` (the rest) a plan sizes the guardrail by its own
    variance."""
    sd: Annotated[Number, Field(gt=0)] | None = None
    """Standard deviation of its unit values."""


class SegmentRule(Shorthand):
    """A dimension whose every value is checked for harm to the primary."""

    shorthand: ClassVar[str] = "name"

    name: str
    margin: Margin = NO_MARGIN


class Futility(Shorthand):
    """When a look may end the trial for want of effect: the type II error, spent over looks.

    The bound is not binding: whoever goes on past it costs no type I error.
    """

    shorthand: ClassVar[str] = "spending"

    spending: Spending = Spending.OBRIEN_FLEMING
    gamma: Number = -4.0
    """The parameter of the Hwang-Shih-DeCani family; ignored by the others."""


class Design(Frozen):
    """How many units, how many looks, how much error."""

    expected: Number | None = None
    """The control's expected value of the primary."""
    sd: Annotated[Number, Field(gt=0)] | None = None
    """Standard deviation of the primary's unit values; needed to size a metric that is not a rate."""
    mde: Margin | None = None
    """The smallest effect worth finding, absolute or relative to `expected`; always positive."""
    power: Annotated[Number, Field(gt=0, lt=1)] = 0.8
    alpha: Annotated[Number, Field(gt=0, lt=0.5)] = 0.05
    """Two-sided; a half goes to each side."""
    looks: tuple[Share, ...] = (1.0,)
    """Fractions of the planned information, increasing, the last one 1."""
    spending: Spending = Spending.OBRIEN_FLEMING
    gamma: Number = -4.0
    """The parameter of the Hwang-Shih-DeCani family; ignored by the others."""
    critical_z: tuple[Annotated[Number, Field(gt=0)], ...] | None = None
    """Supplied boundaries, one a look, in place of `spending`."""
    futility: Futility | None = None
    """A bound at each look below which the verdict is `hold`; without it only the last look holds."""
    min_days: Annotated[Whole, Field(ge=7)] = 7
    """Cohort days before the first look; looks come at the end of whole weeks, so a week is the least."""
    max_days: Annotated[Whole, Field(ge=7)] | None = None
    """Cohort days after which the next look is the last one, whatever the information."""
    units: Annotated[Whole, Field(gt=0)] | None = None
    """Planned total of units; computed from `expected`, `mde` and `power` where absent."""
    correlation: Annotated[Number, Field(gt=-1, lt=1)] | None = None
    """Of the primary's covariate with it; of an audited primary, of the judge's scores with the labels."""
    labelled: Annotated[Share, Field(gt=0)] | None = None
    """The share of units that people label, of an audited primary."""
    adjust: Adjustment | None = None
    """Of the p-values of secondary metrics; Benjamini-Hochberg where absent. The primary's is Holm's."""
    burn_in: Duration | None = None
    """Whole days at the start whose cohorts are left out of the effects; harm and balance count them."""

    @field_validator("mde")
    @classmethod
    def _effect_is_positive(cls, mde: Margin | None) -> Margin | None:
        if mde is not None and mde.value == 0:
            raise ValueError("an effect of zero cannot be found with any number of units; `mde` is positive")
        return mde

    @field_validator("burn_in")
    @classmethod
    def _burn_in_is_whole_days(cls, burn_in: timedelta | None) -> timedelta | None:
        if burn_in is not None and (burn_in < timedelta(days=1) or burn_in % timedelta(days=1)):
            raise ValueError("cohorts are whole days: `burn_in` is 1d, 3d or the like")
        return burn_in

    @field_validator("looks")
    @classmethod
    def _looks_make_sense(cls, looks: tuple[float, ...]) -> tuple[float, ...]:
        increasing = all(a < b for a, b in zip((0.0, *looks), looks, strict=False))
        if not looks or not increasing or looks[-1] != 1:
            raise ValueError(
                "`looks` are increasing fractions in (0, 1] that end in 1, such as [0.25, 0.5, 0.75, 1]"
            )
        return looks

    @model_validator(mode="after")
    def _one_boundary_a_look(self) -> Design:
        if self.critical_z is not None and len(self.critical_z) != len(self.looks):
            raise mistake(
                f"`critical_z` has one boundary a look; found {len(self.critical_z)} for {len(self.looks)}.",
                field="critical_z",
                involving=("critical_z", "looks"),
            )
        return self


class AnalysisPlan(Frozen):
    """Everything an analysis is told before it sees data."""

    experiment: str
    """Name of the experiment, or of the file that is analysed."""
    control: str
    variants: tuple[str, ...] | None = None
    """Declared variants, control included; `None`: whichever the data holds."""
    weights: dict[str, float] | None = None
    """Allocation by variant, summing to 1; `None`: unknown, so balance cannot be checked."""
    metrics: tuple[Metric, ...]
    primary: Primary
    guardrails: tuple[Guardrail, ...] = ()
    secondary: tuple[str, ...] = ()
    segments: tuple[SegmentRule, ...] = ()
    design: Design = Design()
    bandit: Bandit | None = None
    """How weights follow the outcomes, with its reward; `None`: they are fixed."""
    preregistered: bool = False
    """Whether a definition fixed all of this before the data; else the verdict says it was not."""

    def metric(self, name: str) -> Metric:
        """The metric of that name.

        Raises:
            KeyError: there is none.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)
