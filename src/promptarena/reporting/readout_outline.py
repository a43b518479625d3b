"""A readout's outline: the verdict, what it rests on, and every number with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from promptarena.definitions.readout import (
    NOT_PREREGISTERED,
    Check,
    Comparison,
    Look,
    LookPath,
    MetricReadout,
    Readout,
    SegmentEffect,
)
from promptarena.reporting import wording
from promptarena.reporting.adaptive_outline import adaptive_sections
from promptarena.reporting.figures import NOT_KNOWN, Scale, count, number, p_value, percent, relative
from promptarena.reporting.method_outline import interval_sentences, methods_section
from promptarena.reporting.outline import Cell, Column, Depth, Outline, Section, Table
from promptarena.reporting.trust_outline import balance_section, trust_section

__all__ = ["outline_readout"]

_PASSED: Final = {True: "passed", False: "failed", None: "could not be told"}
_ROLES: Final = {"primary": 0, "guardrail": 1, "secondary": 2}


def outline_readout(readout: Readout) -> Outline:
    """Everything a readout says, in the order in which a person needs it."""
    verdict, primary = readout.verdict, readout.metrics[readout.primary]
    metrics = sorted(readout.metrics.values(), key=lambda metric: _ROLES.get(metric.role, 3))
    others = [metric for metric in metrics if metric is not primary]
    sections = [
        _why(readout),
        trust_section(readout),
        _metrics(readout, metrics),
        *(adaptive_sections(readout, readout.adaptive) if readout.adaptive else ()),
        _guardrails(readout, metrics),
        _segments(readout, primary, Depth.EVERYWHERE),
        _trends(readout),
        *(() if readout.adaptive else _looks(readout)),
        _daily(readout, primary, Depth.PAGE),
        balance_section(readout),
        *(_segments(readout, metric, Depth.FOLDED) for metric in others if metric.segments),
        *(_daily(readout, metric, Depth.FOLDED) for metric in others if metric.daily),
        _checks(verdict.checks),
        methods_section(metrics),
        _notes(readout),
    ]
    return Outline(
        title=readout.experiment,
        kind="Experiment readout",
        status=str(verdict.status),
        tone=wording.TONES[verdict.status],
        subject=verdict.variant or "",
        headline=verdict.reasons[0] if verdict.reasons else wording.meaning(readout),
        meaning=wording.meaning(readout),
        action=wording.action(readout),
        caveats=() if readout.preregistered else (wording.NOT_PREREGISTERED,),
        facts=_about(readout, primary),
        sections=tuple(section for section in sections if section is not None),
    )


def _about(readout: Readout, primary: MetricReadout) -> tuple[tuple[str, str], ...]:
    test = "superiority" if primary.margin is None else "non-inferiority"
    return (
        *readout.declared,
        ("Data", readout.source),
        ("Compared", f"{', '.join(readout.variants[1:])} against {readout.control}"),
        ("Primary", f"{readout.primary} ({test}; {primary.better} is better)"),
        ("Intervals", f"{percent(1 - readout.alpha, 0)} confidence"),
    )


def _why(readout: Readout) -> Section | None:
    verdict = readout.verdict
    each = tuple(verdict.by_variant.items()) if len(verdict.by_variant) > 1 else ()
    # What is said of preregistration stands above everything else already.
    bullets = tuple(reason for reason in verdict.reasons[1:] if reason != NOT_PREREGISTERED)
    if not bullets and not each:
        return None
    return Section(
        key="why",
        title="Why",
        bullets=bullets,
        facts=tuple((f"{variant} alone", str(status)) for variant, status in each),
    )


def _metrics(readout: Readout, metrics: list[MetricReadout]) -> Section:
    many = len(readout.variants) > 2
    treatment = "Treatment" if many else readout.variants[-1]
    columns = (
        Column("Metric"),
        Column(readout.control, numeric=True),
        Column(treatment, numeric=True),
        Column("Difference", numeric=True),
        Column("Relative", numeric=True),
        Column("p, adjusted", numeric=True),
    )
    rows: list[tuple[Cell, ...]] = []
    notes: list[str] = []
    for metric in metrics:
        for variant, comparison in metric.comparisons.items():
            scale = Scale.of(metric)
            second = variant if many else f"{metric.role}, {metric.better} is better"
            rows.append(
                (
                    (metric.name, second),
                    (_value(scale, comparison.control_value, comparison), f"n {count(comparison.n_control)}"),
                    (_value(scale, comparison.variant_value, comparison), f"n {count(comparison.n_variant)}"),
                    _difference(scale, comparison),
                    relative(comparison.relative_difference, comparison.relative_interval),
                    _p_values(comparison),
                )
            )
            place = f"{metric.name}, {variant}" if many else metric.name
            notes.extend(f"{place}: {note}." for note in comparison.notes)
    return Section(
        key="metrics",
        title="Metrics",
        table=Table(columns, tuple(rows)),
        notes=(
            "Differences are treatment less control, their intervals in brackets; n counts observed units.",
            f"Adjusted p-values: {readout.adjustment}.",
            *interval_sentences(readout),
            *notes,
        ),
    )


def _value(scale: Scale, value: float | None, comparison: Comparison) -> str:
    return scale.value(value, comparison.interval)


def _difference(scale: Scale, comparison: Comparison) -> Cell:
    return scale.difference(comparison.difference, comparison.interval), scale.interval(comparison.interval)


def _p_values(comparison: Comparison) -> Cell:
    return p_value(comparison.p_value), "" if comparison.p_adjusted is None else p_value(
        comparison.p_adjusted
    )


def _guardrails(readout: Readout, metrics: list[MetricReadout]) -> Section:
    guarded = [metric for metric in metrics if metric.role == "guardrail"]
    if not guarded:
        return Section(
            key="guardrails",
            title="Guardrails",
            lead="None was declared: nothing but the primary was protected from getting worse.",
        )
    columns = (
        Column("Guardrail"),
        Column("May be worse by", numeric=True),
        Column("Difference", numeric=True),
        Column("Result"),
    )
    rows = tuple(
        (
            (metric.name, variant if len(readout.variants) > 2 else f"{metric.better} is better"),
            (Scale.of(metric).margin(metric.margin),),
            _difference(Scale.of(metric), comparison),
            (_guardrail_result(readout.verdict.checks, metric.name, variant),),
        )
        for metric in guarded
        for variant, comparison in metric.comparisons.items()
    )
    return Section(
        key="guardrails",
        title="Guardrails",
        table=Table(columns, rows),
        notes=("A guardrail passes when it is shown not to be worse than control by more than its margin.",),
    )


def _guardrail_result(checks: Iterable[Check], metric: str, variant: str) -> str:
    found = [
        c for c in checks if c.name == "guardrail" and c.metric == metric and c.variant in (variant, None)
    ]
    return _PASSED[found[0].passed] if found else "not tested"


def _segments(readout: Readout, metric: MetricReadout, depth: Depth) -> Section:
    title, key = f"Segments: {metric.name}", f"segments:{metric.name}"
    if not metric.segments:
        return Section(
            key=key,
            title=title,
            lead="No segments were declared, so no part of the units was looked at alone.",
        )
    many, scale = len(readout.variants) > 2, Scale.of(metric)
    tested = any(effect.harm_p_value is not None for effect in metric.segments)
    columns = (
        Column("Segment"),
        Column("Units", numeric=True),
        Column(readout.control, numeric=True),
        Column("Treatment" if many else readout.variants[-1], numeric=True),
        Column("Difference", numeric=True),
        *((Column("Harm p, adjusted", numeric=True),) if tested else ()),
    )
    rows = tuple(_segment_row(effect, scale, many=many, tested=tested) for effect in metric.segments)
    notes = [
        f"{effect.segment} = {effect.value}: {note}."
        for effect in metric.segments
        for note in effect.comparison.notes
    ]
    if tested:
        notes.insert(
            0,
            f"Harm p: how surprising the data would be if the segment were no worse than {_margins(metric)}"
            " (small = harm); adjusted over all segment values by Benjamini-Hochberg.",
        )
    return Section(
        key=key,
        title=title,
        bullets=metric.findings,
        table=Table(columns, rows),
        notes=tuple(notes),
        depth=depth,
    )


def _margins(metric: MetricReadout) -> str:
    """What segments may be worse by, where something was said."""
    scale = Scale.of(metric)
    said = {each.segment: each.margin for each in metric.segments if each.margin not in (None, "0")}
    if not said:
        return "control"
    listed = ", ".join(f"{segment} {scale.margin(margin)}" for segment, margin in said.items())
    return f"its margin allows ({listed})"


def _segment_row(effect: SegmentEffect, scale: Scale, *, many: bool, tested: bool) -> tuple[Cell, ...]:
    comparison = effect.comparison
    name = f"{effect.segment} = {effect.value}"
    row: tuple[Cell, ...] = (
        (name, effect.variant) if many else (name,),
        (count(comparison.n_control + comparison.n_variant),),
        (_value(scale, comparison.control_value, comparison),),
        (_value(scale, comparison.variant_value, comparison),),
        _difference(scale, comparison),
    )
    if not tested:
        return row
    if effect.harm_p_value is None:
        return (*row, ("not tested",))
    return (*row, (p_value(effect.harm_p_value), p_value(effect.harm_p_adjusted)))


def _trends(readout: Readout) -> Section | None:
    """Whether the effect lasts, what needs a look first."""
    if not readout.trends:
        return None
    flagged = [check for check in readout.trends if check.passed is False]
    others = [check for check in readout.trends if check.passed is not False]
    several = "" if len(flagged) == 1 else "s"
    lead = (
        f"{len(flagged)} thing{several} to look at. The verdict takes no account of them: judge for yourself"
        " whether it still holds."
        if flagged
        else "Nothing here needs a look. None of it decides the verdict."
    )
    return Section(
        key="trends",
        title="Does the effect last?",
        lead=lead,
        facts=tuple(
            (f"{mark}{check.name.capitalize()}", check.text)
            for mark, checks in (("LOOK: ", flagged), ("", others))
            for check in checks
        ),
    )


def _looks(readout: Readout) -> list[Section]:
    if not readout.paths:
        lead = (
            "No sequence of looks was planned: the evidence counts only if this is the one time it is read."
        )
        return [Section(key="looks", title="Looks", lead=lead)]
    scale = Scale.of(readout.metrics[readout.primary])
    return [_path(path, scale, many=len(readout.paths) > 1) for path in readout.paths]


def _path(path: LookPath, scale: Scale, *, many: bool) -> Section:
    bounded = any(look.futility_z is not None for look in path.looks)
    columns = (
        Column("Look"),
        Column("Last day"),
        Column("Units", numeric=True),
        Column("Information", numeric=True),
        Column("z", numeric=True),
        Column("Boundary", numeric=True),
        *((Column("Gives up at", numeric=True),) if bounded else ()),
        Column("Alpha spent", numeric=True),
        Column("Outcome"),
    )
    rows = tuple(
        (
            (str(position),),
            (look.day or NOT_KNOWN,),
            (count(look.n) if look.n else NOT_KNOWN,),
            (percent(look.fraction, 0),),
            (number(look.z, 2, signed=True),),
            (number(look.critical_z, 2),),
            *(((number(look.futility_z, 2, signed=True),),) if bounded else ()),
            (number(look.alpha_spent, 5),),
            (_outcome(look),),
        )
        for position, look in enumerate(path.looks, 1)
    )
    facts: list[tuple[str, str]] = []
    if path.estimate is not None:
        estimate = f"{scale.difference(path.estimate, path.interval)} {scale.interval(path.interval)}".strip()
        facts.append(("After stopping", f"{estimate} (median-unbiased estimate, stage-wise interval)"))
    if path.p_value is not None:
        facts.append(
            ("Sequential p", f"{p_value(path.p_value)}: valid though the data were looked at before")
        )
    if path.power_trend is not None and path.power_planned is not None:
        facts.append(
            (
                "If it goes on",
                f"it crosses the good way with a probability of {percent(path.power_trend, 0)} if the rest is"
                f" like what was seen, of {percent(path.power_planned, 0)} if the effect is as planned",
            )
        )
    return Section(
        key=f"looks:{path.variant}",
        title=f"Looks: {path.variant}" if many else "Looks",
        facts=tuple(facts),
        table=Table(columns, rows),
        notes=("z counts towards the good direction; alpha spent is cumulative and of both sides together.",),
    )


def _outcome(look: Look) -> str:
    if look.z is None:
        return "to come" if look.crossed is None and look.n == 0 else "no z"
    if not look.crossed:
        return "not crossed"
    return "crossed" if look.z > 0 else "crossed (bad)"


def _daily(readout: Readout, metric: MetricReadout, depth: Depth) -> Section:
    title, key = f"Day by day: {metric.name}", f"daily:{metric.name}"
    if not metric.daily:
        lead = (
            "The data has no time column, so the daily effect is not shown."
            if readout.days is None
            else "No day has units of both variants yet, so the daily effect is not shown."
        )
        return Section(key=key, title=title, lead=lead, depth=depth)
    many, scale = len(readout.variants) > 2, Scale.of(metric)
    columns = (
        Column("First seen"),
        Column("Units", numeric=True),
        Column(readout.control, numeric=True),
        Column("Treatment" if many else readout.variants[-1], numeric=True),
        Column("Difference", numeric=True),
    )
    rows = tuple(
        (
            (effect.day, effect.variant if many else ""),
            (count(effect.n_control + effect.n_variant),),
            (scale.value(effect.control_value, effect.interval),),
            (scale.value(effect.variant_value, effect.interval),),
            (scale.difference(effect.difference, effect.interval), scale.interval(effect.interval)),
        )
        for effect in metric.daily
    )
    notes = ("Single days vary by chance: look for a trend, not for a day. Days are in UTC.",)
    return Section(key=key, title=title, table=Table(columns, rows), notes=notes, depth=depth)


def _checks(checks: tuple[Check, ...]) -> Section | None:
    if not checks:
        return None
    columns = (Column("Check"), Column("About"), Column("Result"), Column("Numbers"))
    rows = tuple(
        (
            (check.name,),
            (", ".join(part for part in (check.metric, check.variant) if part),),
            (_PASSED[check.passed],),
            (check.text,),
        )
        for check in checks
    )
    return Section(key="checks", title="Every check", table=Table(columns, rows), depth=Depth.FOLDED)


def _notes(readout: Readout) -> Section | None:
    return Section(key="notes", title="Notes", bullets=readout.notes) if readout.notes else None
