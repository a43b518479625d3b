"""The service behind `arena analyze`: from a file and what is said of its columns to a readout."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from promptarena.analysis.metric_query import Columns, columns_read, read_table
from promptarena.analysis.planned_size import planned_size
from promptarena.analysis.readout import build_readout
from promptarena.definitions.analysis_plan import AnalysisPlan, Design, Guardrail, Primary, SegmentRule
from promptarena.definitions.experiment import load_experiment
from promptarena.definitions.metric import Absence, Better, Covariate, Metric, MetricKind
from promptarena.definitions.quantities import Margin, parse_share
from promptarena.definitions.readout import Readout, UnitCounts
from promptarena.definitions.suggestion import did_you_mean, listed
from promptarena.errors import Location, NotEnoughDataError, Problem, UsageError
from promptarena.storage.table_file import open_table

__all__ = ["Flags", "analyze_table"]

_USUAL_CONTROL: Final = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What `arena analyze` was told, as it was written."""

    file: str
    unit: str
    variant: str
    control: str | None = None
    rates: tuple[str, ...] = ()
    means: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ()
    """Each `NUM/DEN`."""
    quantiles: tuple[str, ...] = ()
    """Each `COL:SHARE`, as `latency_ms:0.95`."""
    covariates: tuple[str, ...] = ()
    """Each a column, or `NUM/DEN`."""
    ranges: tuple[str, ...] = ()
    """Each `METRIC=LOW:HIGH`, of a mean."""
    audits: tuple[str, ...] = ()
    """Each `MEAN=LABELS`: people's labels on some units of what the judge scored on all."""
    segments: tuple[str, ...] = ()
    time: str | None = None
    primary: str | None = None
    lower: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    """Each `METRIC=MARGIN`."""
    weights: str | None = None
    """`a=.5,b=.5`."""
    alpha: float | None = None
    definition: Path | None = None


def analyze_table(flags: Flags) -> Readout:
    """Read a file and give its readout.

    Raises:
        UsageError: flags that do not fit together, or name what is not there.
        DefinitionError: the definition is wrong.
        DataError: the file is.
        NotEnoughDataError: one variant, or a primary that cannot be estimated.
    """
    plan = _declared_plan(flags) if flags.definition else _flag_plan(flags)
    columns = Columns(
        unit=flags.unit,
        variant=flags.variant,
        time=flags.time,
        segments=tuple(rule.name for rule in plan.segments),
    )
    with open_table(flags.file, columns=columns_read(columns, plan.metrics)) as table:
        cube, units = read_table(table.rows, columns, plan.metrics, locate=table.locate)
    plan = _with_variants(plan, flags, cube.variants)
    readout = build_readout(
        cube,
        units,
        plan,
        source=flags.file,
        planned=planned_size(plan),
        notes=_notes(plan, units),
    )
    _refuse_without_primary(readout)
    return readout


def _declared_plan(flags: Flags) -> AnalysisPlan:
    assert flags.definition is not None
    said_twice = [
        name
        for name, value in (
            ("--rate", flags.rates),
            ("--mean", flags.means),
            ("--ratio", flags.ratios),
            ("--quantile", flags.quantiles),
            ("--covariate", flags.covariates),
            ("--range", flags.ranges),
            ("--audit", flags.audits),
            ("--segment", flags.segments),
            ("--primary", flags.primary),
            ("--lower", flags.lower),
            ("--guardrail", flags.guardrails),
            ("--weights", flags.weights),
            ("--alpha", flags.alpha),
            ("--control", flags.control),
        )
        if value
    ]
    if said_twice:
        raise UsageError(
            f"{', '.join(said_twice)} cannot be used with --definition, which has said it already.",
            hint="Leave the flag out, or the definition.",
        )
    experiment = load_experiment(flags.definition)
    if experiment.allocation is not None or experiment.interleave is not None:
        kind = "whose weights moved" if experiment.allocation is not None else "of interleaved lists"
        raise UsageError(
            f"An experiment {kind} is not read from a table of outcomes: what each unit met is in the log.",
            hint=f"Use `arena readout {experiment.name}`.",
        )
    return experiment.analysis_plan()


def _flag_plan(flags: Flags) -> AnalysisPlan:
    problems: list[Problem] = []
    metrics = [
        *(_metric(name, MetricKind.RATE, flags) for name in flags.rates),
        *(_metric(name, MetricKind.MEAN, flags) for name in flags.means),
        *(_ratio(written, flags, problems) for written in flags.ratios),
        *(_quantile(written, flags, problems) for written in flags.quantiles),
    ]
    metrics = _with_ranges(metrics, flags, problems)
    names = [metric.name for metric in metrics]
    metrics = _audited(metrics, flags, problems)
    if not metrics:
        problems.append(
            Problem(
                "No metric was named.",
                hint="Add --rate COL, --mean COL, --ratio NUM/DEN or --quantile COL:0.95; several may be.",
            )
        )
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(
            Problem(f"The metric `{name}` was named twice.", hint="A column is one kind of metric.")
        )
    primary = flags.primary or (names[0] if names else "")
    guardrails = [_guardrail(written, names, problems) for written in flags.guardrails]
    for flag, name in [("--primary", primary), *(("--lower", name) for name in flags.lower)]:
        if names and name not in names:
            problems.append(_not_a_metric(flag, name, names))
    guarded = [guardrail.metric for guardrail in guardrails]
    for name in sorted({name for name in guarded if guarded.count(name) > 1}):
        problems.append(Problem(f"--guardrail names `{name}` twice.", hint="A guardrail has one margin."))
    for metric in metrics:
        problems += [
            Problem(
                f"--covariate `{covariate.name}` is what `{metric.name}` measures.",
                hint="A covariate is known before exposure: it cannot be the outcome.",
            )
            for covariate in metric.covariates
            if set(covariate.facts) & {metric.of, metric.over}
        ]
    for written in flags.covariates:
        if not all(part.strip() for part in written.split("/")) or written.count("/") > 1:
            problems.append(
                Problem(
                    f"--covariate {written!r} is no covariate.",
                    hint="Write COL, or NUM/DEN: two column names.",
                )
            )
    if primary in guarded:
        problems.append(Problem(f"The primary `{primary}` cannot be a guardrail too."))
    if flags.alpha is not None and not 0 < flags.alpha < 0.5:
        problems.append(
            Problem(f"--alpha {flags.alpha:g} must lie between 0 and 0.5.", hint="0.05 is usual.")
        )
    weights = _weights(flags.weights, problems) if flags.weights else None
    if problems:
        raise UsageError(problems)
    return AnalysisPlan(
        experiment=Path(flags.file.split("::")[0]).stem,
        control=flags.control or _USUAL_CONTROL,
        weights=weights,
        metrics=tuple(metrics),
        primary=Primary(metric=primary),
        guardrails=tuple(guardrails),
        segments=tuple(SegmentRule(name=name) for name in dict.fromkeys(flags.segments)),
        design=Design() if flags.alpha is None else Design(alpha=flags.alpha),
    )


def _metric(name: str, kind: MetricKind, flags: Flags, *, of: str = "", over: str | None = None) -> Metric:
    return Metric(
        name=name,
        kind=kind,
        of=of or name,
        over=over,
        better=Better.LOWER if name in flags.lower else Better.HIGHER,
        # A blank cell of a table is not known; only an event log knows that nothing happened.
        absent=Absence.MISSING,
        covariates=tuple(_covariate(name) for name in dict.fromkeys(flags.covariates)),
    )


def _with_ranges(metrics: Sequence[Metric], flags: Flags, problems: list[Problem]) -> list[Metric]:
    bounds: dict[str, tuple[float, float]] = {}
    for written in flags.ranges:
        name, _, said = written.partition("=")
        ends = [_number(end) for end in said.split(":")]
        if len(ends) != 2 or any(isinstance(end, str) for end in ends) or not ends[0] < ends[1]:  # type: ignore[operator]
            problems.append(Problem(f"--range {written!r} is no range.", hint="Write METRIC=1:5."))
        elif name not in flags.means:
            problems.append(
                Problem(f"--range names `{name}`, which is not a --mean.", hint="Such as --mean rating.")
            )
        else:
            bounds[name] = (float(ends[0]), float(ends[1]))
    return [metric.model_copy(update={"bounds": bounds.get(metric.name)}) for metric in metrics]


def _audited(metrics: Sequence[Metric], flags: Flags, problems: list[Problem]) -> list[Metric]:
    """The metrics, those with labels told so: their scores are what explains the labels, not covariates."""
    labels: dict[str, str] = {}
    for written in flags.audits:
        name, _, column = (part.strip() for part in written.partition("="))
        if not name or not column or name == column:
            hint = "Write MEAN=LABELS: the column of the judge's scores, and the one of people's labels."
            problems.append(Problem(f"--audit {written!r} names no labels.", hint=hint))
        elif name not in flags.means:
            problems.append(
                Problem(f"--audit names `{name}`, which is not one of the means.", hint=f"Add --mean {name}.")
            )
        labels[name] = column
    return [
        metric.model_copy(update={"audited_by": labels[metric.name], "covariates": ()})
        if metric.name in labels
        else metric
        for metric in metrics
    ]


def _covariate(written: str) -> Covariate:
    of, _, over = written.partition("/")
    return Covariate(of=of.strip(), over=over.strip() or None)


def _ratio(written: str, flags: Flags, problems: list[Problem]) -> Metric:
    numerator, slash, denominator = written.partition("/")
    if not (numerator.strip() and slash and denominator.strip()) or "/" in denominator:
        problems.append(
            Problem(f"--ratio {written!r} is not a ratio.", hint="Write NUM/DEN: two column names.")
        )
    return _metric(written, MetricKind.RATIO, flags, of=numerator.strip(), over=denominator.strip())


def _quantile(written: str, flags: Flags, problems: list[Problem]) -> Metric:
    column, _, said = written.rpartition(":")
    try:
        q = parse_share(_number(said))
    except ValueError:
        q = 0.0
    if not column.strip() or not 0 < q < 1:
        hint = "Write COL:0.95: a column name and a share between 0 and 1."
        problems.append(Problem(f"--quantile {written!r} is not a quantile.", hint=hint))
    metric = _metric(f"{column.strip()}_p{q * 100:g}", MetricKind.QUANTILE, flags, of=column.strip())
    # A covariate explains means; of a quantile it would have to explain the values, row by row.
    return metric.model_copy(update={"q": q, "covariates": ()})


def _guardrail(written: str, names: Sequence[str], problems: list[Problem]) -> Guardrail:
    name, _, value = written.partition("=")
    if name not in names:
        problems.append(_not_a_metric("--guardrail", name, names))
    try:
        margin = Margin.model_validate(_number(value) if value else 0)
    except ValueError:
        hint = "Write METRIC=5 (in the metric's unit) or METRIC=2%."
        problems.append(Problem(f"--guardrail {written!r} has no margin that can be read.", hint=hint))
        margin = Margin(value=0.0)
    return Guardrail(metric=name, margin=margin)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _not_a_metric(flag: str, name: str, names: Sequence[str]) -> Problem:
    hint = did_you_mean(name, names) or f"The metrics are {listed(names)}."
    return Problem(f"{flag} names `{name}`, which is not one of the metrics.", hint=hint)


def _weights(written: str, problems: list[Problem]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in written.split(","):
        name, _, value = part.partition("=")
        if name.strip() in weights:
            problems.append(Problem(f"--weights names `{name.strip()}` twice.", hint="Each variant once."))
            return {}
        try:
            weights[name.strip()] = parse_share(_number(value.strip()))
        except ValueError:
            hint = "Write --weights control=0.5,treatment=0.5."
            problems.append(Problem(f"--weights has {part.strip()!r}, which is not NAME=SHARE.", hint=hint))
            return {}
    if not math.isclose(sum(weights.values()), 1, abs_tol=1e-6):
        problems.append(Problem(f"--weights sum to {sum(weights.values()):g}.", hint="They must sum to 1."))
    return weights


def _with_variants(plan: AnalysisPlan, flags: Flags, found: Sequence[str]) -> AnalysisPlan:
    """The plan with its variants, once the data is known to hold them."""
    where = Location(Path(flags.file.split("::")[0]), field=flags.variant)
    if plan.control not in found:
        suggestion = did_you_mean(plan.control, found)
        hint = (
            f"{suggestion + ' ' if suggestion else ''}The variants are {listed(found)}: say --control NAME."
        )
        raise UsageError(f"No row has the control variant `{plan.control}`.", where=where, hint=hint)
    declared = plan.variants or tuple(plan.weights or ()) or tuple(found)
    problems = [
        Problem(
            f"The data has a variant `{name}` that was not declared.",
            where,
            did_you_mean(name, declared) or f"Declared are {listed(declared)}.",
        )
        for name in found
        if name not in declared
    ]
    if problems:
        raise UsageError(problems)
    absent = [name for name in declared if name not in found]
    if len(found) < 2 or absent:
        missing = f"no rows of {listed(absent)}" if absent else f"one variant, `{found[0]}`"
        raise NotEnoughDataError(
            f"There is nothing to compare: the data has {missing}.",
            where=where,
            hint="Each variant needs units.",
        )
    return plan.model_copy(update={"variants": (plan.control, *(v for v in declared if v != plan.control))})


def _notes(plan: AnalysisPlan, units: UnitCounts) -> list[str]:
    notes = []
    if units.repeated:
        notes.append(
            f"{units.repeated:,} of {units.units:,} units had several rows and were rolled up: a rate is"
            " whether any row has it, a mean is the unit's own mean, a ratio adds up both parts,"
            " a quantile is of all values"
        )
    if plan.preregistered and any(metric.window for metric in plan.metrics):
        notes.append("windows are not applied to a table: its rows are taken as they are")
    return notes


def _refuse_without_primary(readout: Readout) -> None:
    """A verdict without any estimate of the primary would be an answer to nothing."""
    comparisons = readout.metrics[readout.primary].comparisons
    if all(comparison.interval is None for comparison in comparisons.values()):
        note = next((n for comparison in comparisons.values() for n in comparison.notes), "")
        raise NotEnoughDataError(
            f"The primary `{readout.primary}` cannot be estimated: {note}.",
            where=Location(Path(readout.source.split("::")[0])),
            hint="Collect more units, or choose another primary.",
        )
