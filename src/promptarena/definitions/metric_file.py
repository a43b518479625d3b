"""Metrics as users write them, in an experiment or once for all in metrics.yaml.

    metrics:
      resolution:        {rate: resolved, window: 24h, better: higher}
      csat:              {mean: rating, covariate: rating_before}        # or several: [rating_before, visits]
      cost_per_resolved: {ratio: {of: cost_usd, over: resolved}}
      slowest:           {quantile: {of: latency_ms, q: 0.99}}

What a metric does not say: `better` is the direction of the generation field it reads, else higher; `window`
is 24 h for requests, conversations and sessions and 7 days for users and other units; `absent` is zero for
rates, counts, sums and ratios, and missing for means and quantiles.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from promptarena.definitions.catalogue import BUILT_IN, GENERATION_FIELDS, source_of
from promptarena.definitions.frozen import Frozen, mistake
from promptarena.definitions.metric import Absence, Better, Covariate, Metric, MetricKind
from promptarena.definitions.names import FactName, Name
from promptarena.definitions.quantities import Duration, Number, Share
from promptarena.definitions.suggestion import listed

__all__ = [
    "MetricEntry",
    "MetricMap",
    "MetricsFile",
    "QuantileParts",
    "RatioParts",
    "default_window",
    "resolve",
]

_KINDS: Final = tuple(kind.value for kind in MetricKind)
_SHORT_UNITS: Final = ("request", "conversation", "session")


class RatioParts(Frozen):
    """Two facts, each summed over all units."""

    of: FactName
    over: FactName

    @model_validator(mode="after")
    def _two_facts(self) -> RatioParts:
        if self.of == self.over:
            raise mistake(
                "A ratio of a fact over itself is always 1.", field="over", involving=("of", "over")
            )
        return self


class QuantileParts(Frozen):
    """Which quantile of which fact."""

    of: FactName
    q: Annotated[Share, Field(gt=0, lt=1)]


def _as_list(written: Any) -> Any:
    return written if isinstance(written, list | tuple) else [written]


CovariateEntry = FactName | RatioParts
Covariates = Annotated[
    tuple[CovariateEntry, ...],
    BeforeValidator(_as_list, json_schema_input_type=CovariateEntry | list[CovariateEntry]),
    Field(min_length=1),
]
"""One, or a list of them."""


def _some_time(window: timedelta) -> timedelta:
    if window <= timedelta(0):
        raise ValueError("a window of no length holds no facts")
    return window


class MetricEntry(Frozen):
    """A metric as written: one of `rate`, `count`, `sum`, `mean`, `ratio`, `quantile`, and options."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _KINDS]})

    rate: FactName | None = None
    """Share of units that had this fact at least once."""
    count: FactName | None = None
    """How many of this fact a unit has."""
    sum: FactName | None = None
    """Sum of this fact over a unit."""
    mean: FactName | None = None
    """Mean of this fact over a unit; each unit weighs the same."""
    ratio: RatioParts | None = None
    """Sum of one fact over the sum of another."""
    quantile: QuantileParts | None = None
    """A quantile of all values of a fact."""
    better: Better | None = None
    window: Annotated[Duration, AfterValidator(_some_time)] | None = None
    """Fixed length from a unit's first exposure."""
    absent: Absence | None = None
    """What no fact in the window means."""
    covariate: Covariates | None = None
    """Facts from before the exposure that explain part of the variance: one, a ratio of two, or a list."""
    range: tuple[Number, Number] | None = None
    """Between which the values of a mean lie, such as [1, 5]: it bounds what the unobserved can have had."""
    audited_by: FactName | None = None
    """People's labels, on some units drawn at random, of what this metric has a judge score on all of them.
    The mean is then what people would say (prediction-powered inference)."""
    unit: str | None = None
    """What one of it is called, such as ms or USD."""

    @model_validator(mode="after")
    def _one_kind(self) -> MetricEntry:
        said = [name for name in _KINDS if getattr(self, name) is not None]
        if not said:
            text = f"A metric says what it computes, with one of {listed(_KINDS)}."
            raise mistake(text, hint="Write for example `{rate: resolved}`.")
        if len(said) > 1:
            text = f"A metric computes one thing; found {listed(said)}."
            raise mistake(text, field=said[1], involving=_KINDS)
        return self

    @model_validator(mode="after")
    def _absence_fits(self) -> MetricEntry:
        if self.quantile and self.absent is Absence.ZERO:
            text = "A quantile is over values that were observed; what is absent is `missing`."
            raise mistake(text, field="absent", involving=("quantile", "absent"))
        if self.ratio and self.absent is Absence.MISSING:
            text = "The parts of a ratio are sums, where what is absent counts as `zero`."
            raise mistake(text, field="absent", involving=("ratio", "absent"))
        return self

    @model_validator(mode="after")
    def _range_is_of_a_mean(self) -> MetricEntry:
        if self.range is None:
            return self
        if self.mean is None:
            text = "A `range` goes with a `mean`; other metrics have none, or it is known."
            raise mistake(text, field="range", involving=(*_KINDS, "range"))
        if self.range[0] >= self.range[1]:
            raise mistake("A `range` goes from its lower end to its higher one.", field="range")
        return self

    @model_validator(mode="after")
    def _covariate_is_another_fact(self) -> MetricEntry:
        said = [name for name in _KINDS if getattr(self, name) is not None]
        if self.covariate is not None and self.quantile:
            text = "A quantile takes no covariate: means can be adjusted by one, quantiles cannot."
            raise mistake(text, field="covariate", involving=("quantile", "covariate"))
        for covariate in self.covariates:
            if said and set(covariate.facts) & set(self.facts):
                raise mistake(
                    "A metric cannot be its own covariate: that would take the effect away.",
                    field="covariate",
                    involving=(*_KINDS, "covariate"),
                    hint="Name a fact from before the exposure.",
                )
        if len(set(self.covariates)) < len(self.covariates):
            raise mistake("A covariate is named twice.", field="covariate", involving=("covariate",))
        return self

    @model_validator(mode="after")
    def _audit_is_of_a_mean(self) -> MetricEntry:
        if self.audited_by is None:
            return self
        if self.mean is None:
            raise mistake(
                "Labels audit a `mean`: the judge's scores of a unit, 0 or 1 or on any scale.",
                field="audited_by",
                involving=(*_KINDS, "audited_by"),
            )
        if self.covariate is not None:
            text = "A metric takes `covariate` or `audited_by`: the judge's scores are what explains labels."
            raise mistake(text, field="audited_by", involving=("covariate", "audited_by"))
        if self.audited_by == self.mean:
            raise mistake(
                "A judge is not audited by its own scores.",
                field="audited_by",
                involving=("mean", "audited_by"),
                hint="Have people's labels measured under a name of their own.",
            )
        return self

    @property
    def kind(self) -> MetricKind:
        return next(MetricKind(name) for name in _KINDS if getattr(self, name) is not None)

    @property
    def covariates(self) -> tuple[Covariate, ...]:
        """As they are resolved."""
        return tuple(
            Covariate(of=each.of, over=each.over) if isinstance(each, RatioParts) else Covariate(of=each)
            for each in self.covariate or ()
        )

    @property
    def facts(self) -> tuple[str, ...]:
        """What it reads: `of`, and `over` of a ratio."""
        if self.ratio:
            return self.ratio.of, self.ratio.over
        if self.quantile:
            return (self.quantile.of,)
        return (str(getattr(self, self.kind.value)),)

    def resolve(self, name: str, unit: str) -> Metric:
        """The metric with everything said, for an experiment on this kind of unit."""
        of, *over = self.facts
        field = GENERATION_FIELDS.get(of)
        return Metric(
            name=name,
            kind=self.kind,
            of=of,
            over=over[0] if over else None,
            q=self.quantile.q if self.quantile else None,
            better=self.better or (field.better if field else Better.HIGHER),
            absent=self.absent or self.kind.default_absence,
            window=self.window or default_window(unit),
            covariates=self.covariates,
            bounds=self.range,
            audited_by=self.audited_by,
            unit=self.unit or (field.unit if field and not over else None),
            source=source_of(of),
            over_source=source_of(over[0]) if over else None,
        )


def default_window(unit: str) -> timedelta:
    """The window of a metric that names none, by the kind of unit."""
    return timedelta(hours=24) if unit in _SHORT_UNITS else timedelta(days=7)


def resolve(name: str, unit: str, *entries: dict[str, MetricEntry]) -> Metric | None:
    """The metric of a name: from the first mapping that has it, else built in, else `None`."""
    for mapping in entries:
        if name in mapping:
            return mapping[name].resolve(name, unit)
    if name in BUILT_IN:
        return BUILT_IN[name].metric.model_copy(update={"window": default_window(unit)})
    return None


def _names_to_entries(written: Any) -> Any:
    if isinstance(written, list):
        if not all(isinstance(name, str) for name in written):
            raise ValueError("a list of metrics holds names; to define one write `name: {rate: ...}`")
        return dict.fromkeys(written)
    return written


MetricMap = Annotated[
    dict[Name, MetricEntry | None],
    BeforeValidator(_names_to_entries, json_schema_input_type=dict[Name, MetricEntry | None] | list[str]),
]
"""Metrics by name. A list of names, or a name with nothing after it, takes the shared or built-in ones."""


class MetricsFile(Frozen):
    """metrics.yaml: metrics that every experiment of the project may name."""

    metrics: dict[Name, MetricEntry]
