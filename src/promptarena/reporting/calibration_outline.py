"""A calibration's outline: may the judge be trusted, with what, and what it and people say together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from promptarena.definitions.calibration_readout import (
    AuditedTask,
    CalibrationReadout,
    Confusion,
    Measure,
    PoweredValue,
    TaskKind,
)
from promptarena.definitions.readout import Interval
from promptarena.reporting.figures import NOT_KNOWN, count, number, p_value, percent
from promptarena.reporting.outline import Cell, Column, Depth, Outline, Section, Table, Tone

__all__ = ["outline_calibration"]

_ENABLE: Final = "enable"
_COEFFICIENTS: Final = ("kappa", "swap kappa", "alpha")
"""Measures that are no shares."""
_MEANINGS: Final = {
    True: "The judge is shown to agree with people as often as is asked, and alike for all variants.",
    False: "The judge is not shown to agree with people as is asked: what rests on it alone decides nothing.",
}
_ACTIONS: Final = {
    True: "Use it in gates. Label some answers again whenever the judge, its model or its prompt changes.",
    False: "Read the answers on which it differs from people, change rubric or model, and label again.",
}


def outline_calibration(found: CalibrationReadout) -> Outline:
    """Everything a calibration found."""
    enabled = found.trust == _ENABLE
    decisive = [task for task in found.tasks if (task.trust == _ENABLE) == enabled]
    return Outline(
        title=found.judge,
        kind="Judge calibration",
        status=found.trust,
        tone=Tone.GOOD if enabled else Tone.WARNING,
        headline=decisive[0].reasons[0],
        meaning=_MEANINGS[enabled],
        action=_ACTIONS[enabled],
        facts=tuple(_about(found)),
        sections=(
            *_why(found, decisive),
            _agreement(found),
            *(section for task in found.tasks for section in _task(task)),
            *([Section(key="notes", title="Notes", bullets=found.notes)] if found.notes else []),
        ),
    )


def _about(found: CalibrationReadout) -> Iterator[tuple[str, str]]:
    yield "Tasks", ", ".join(f"{task.name}: {task.trust}" for task in found.tasks)
    raters = list(dict.fromkeys(rater for task in found.tasks for rater in task.raters))
    yield (
        "People",
        f"{count(len(raters))}: {', '.join(raters)}"
        if 0 < len(raters) < 6
        else (count(len(raters)) if raters else "not named"),
    )
    yield "Intervals", f"{percent(found.confidence, 0)} confidence, clustered by case"
    if found.control is not None:
        yield "Control", found.control
    if found.evaluator_hash is not None:
        yield "Judge's configuration", found.evaluator_hash


def _why(found: CalibrationReadout, decisive: list[AuditedTask]) -> list[Section]:
    said = [*decisive[0].reasons[1:], *(text for task in decisive[1:] for text in task.reasons)]
    said += [text for task in found.tasks if task not in decisive for text in task.reasons]
    return [Section(key="why", title="Why", bullets=tuple(said))] if said else []


def _agreement(found: CalibrationReadout) -> Section:
    columns = (
        Column("Task"),
        Column("Measure"),
        Column("Value", numeric=True),
        Column("Items", numeric=True),
        Column("What it is"),
    )
    rows = tuple(
        ((task.name,), (measure.name,), _value(measure), (count(measure.items),), (measure.text,))
        for task in found.tasks
        for measure in _measures(task)
    )
    return Section(
        key="agreement",
        title="The judge and people",
        table=Table(columns, rows),
        notes=("What people reach among themselves is the most that can be asked of a judge.",),
    )


def _measures(task: AuditedTask) -> Iterator[Measure]:
    yield task.agreement
    if task.swaps is not None:
        yield from (task.swaps.verdicts, task.swaps.both, task.swaps.kappa)
    yield from task.others


def _task(task: AuditedTask) -> Iterator[Section]:
    if task.confusion.labels:
        yield Section(
            key=f"confusion:{task.name}",
            title=f"{task.name}: what people said, and what the judge said",
            table=_confusion(task.confusion),
            notes=("Rows are people's, columns the judge's.",),
            depth=Depth.PAGE,
        )
    if task.bias:
        unit = "" if task.kind is TaskKind.AXIS else ", a win being 1"
        yield Section(
            key=f"bias:{task.name}",
            title=f"{task.name}: judge minus people, by variant",
            table=Table(
                (Column("Variant"), Column(f"Bias{unit}", numeric=True), Column("Items", numeric=True)),
                tuple(
                    (
                        (each.variant,),
                        (number(each.value, 3), _bounds(each.interval, 3)),
                        (count(each.items),),
                    )
                    for each in task.bias
                ),
            ),
            notes=(_same_bias(task.bias_p_value),),
        )
    if task.powered:
        yield Section(
            key=f"powered:{task.name}",
            title=f"{task.name}: what people would say of everything the judge saw",
            table=_powered(task.powered),
            notes=(
                "Prediction-powered: the judge's scores on all, its bias taken off by what people labelled. "
                "Lambda says how far the scores are used; 0 is the labels alone.",
            ),
        )


def _same_bias(p: float | None) -> str:
    if p is None:
        return "That it is the same for all variants could not be tested."
    return (
        f"One bias for all variants: p {p_value(p)}. A bias that all share takes nothing from a comparison; "
        "one that differs decides it."
    )


def _confusion(found: Confusion) -> Table:
    columns = (Column("People"), *(Column(f"judge: {label}", numeric=True) for label in found.labels))
    rows = tuple(
        ((label,), *((count(cell),) for cell in row))
        for label, row in zip(found.labels, found.counts, strict=True)
    )
    return Table(columns, rows)


def _powered(values: tuple[PoweredValue, ...]) -> Table:
    columns = (
        Column("Variant"),
        *(
            Column(title, numeric=True)
            for title in ("Labels and judge", "Labels alone", "Lambda", "Labelled", "Judged alone")
        ),
    )
    rows = tuple(
        (
            (each.variant, f"against {each.against}" if each.against else ""),
            (number(each.value, 3), _bounds(each.interval, 3)),
            (number(each.labels_only, 3), _bounds(each.labels_only_interval, 3)),
            (number(each.tuning, 2),),
            (count(each.labelled),),
            (count(each.judged),),
        )
        for each in values
    )
    return Table(columns, rows)


def _value(measure: Measure) -> Cell:
    if measure.value is None:
        return (NOT_KNOWN,)
    if measure.name in _COEFFICIENTS:
        return number(measure.value, 3), _bounds(measure.interval, 3)
    if measure.interval is None:
        return (percent(measure.value),)
    low, high = measure.interval
    return percent(measure.value), f"[{percent(low)}, {percent(high)}]"


def _bounds(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return ""
    return "[" + ", ".join(NOT_KNOWN if end is None else number(end, digits) for end in interval) + "]"
