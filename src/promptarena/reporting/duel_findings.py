"""Sections of a duel's outline beside the gate and the win rates: axes, length, segments, worst cases, its
path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from promptarena.definitions.duel_readout import (
    AxisReadout,
    CaseFinding,
    DuelPlan,
    DuelReadout,
    EarlyStopReadout,
    LengthEffect,
    MinimumEffect,
    SegmentEffect,
)
from promptarena.definitions.readout import Interval
from promptarena.reporting.figures import NOT_KNOWN, Scale, count, number, p_value, percent
from promptarena.reporting.outline import Cell, Column, Depth, Section, Table

__all__ = [
    "axes_section",
    "early_stop_section",
    "effect_words",
    "in_unit",
    "length_section",
    "outcome_words",
    "plan_rows",
    "plan_section",
    "rate_interval",
    "segments_section",
    "worst_section",
]

_RATE: Final = Scale.of_kind("rate")
_LEVEL: Final = Scale()
_TOLD: Final = 5
"""Worst cases of a treatment that the terminal shows."""


def rate_interval(interval: Interval | None) -> str:
    """An interval of a rate, in per cent."""
    return "" if interval is None else f"[{', '.join(_RATE.value(bound, interval) for bound in interval)}]"


def axes_section(duel: DuelReadout) -> Section | None:
    """Means by axis and variant, and paired differences from the control."""
    if not duel.axes:
        return None
    compared = duel.control is not None
    columns = (
        Column("Axis"),
        Column("Mean", numeric=True),
        Column("Cases", numeric=True),
        Column("Unscored", numeric=True),
        *((Column(f"Against {duel.control}", numeric=True), Column("p", numeric=True)) if compared else ()),
    )
    rows = tuple(row for axis in duel.axes for row in _axis_rows(axis, compared=compared))
    notes = [
        "Scales: " + ", ".join(f"{axis.name} {axis.low:g} to {axis.high:g}" for axis in duel.axes) + ".",
        "Differences are paired by case; their intervals are Student's t over independent cases.",
        *_spread_notes(duel),
        *(
            f"{axis.name}, {variant}: {found.note}."
            for axis in duel.axes
            for variant, found in axis.differences.items()
            if found.note
        ),
    ]
    return Section(key="axes", title="Scores by axis", table=Table(columns, rows), notes=tuple(notes))


def _axis_rows(axis: AxisReadout, *, compared: bool) -> Iterator[tuple[Cell, ...]]:
    for variant, mean in axis.means.items():
        apart = axis.differences.get(variant)
        cells: tuple[Cell, ...] = ()
        if compared and apart is None:
            cells = (("",), ("",))
        elif compared and apart is not None:
            shown = NOT_KNOWN
            if apart.difference is not None:
                shown = _LEVEL.difference(apart.difference, apart.interval)
            cells = ((shown, _LEVEL.interval(apart.interval)), (p_value(apart.p_value),))
        yield (
            (axis.name, variant),
            (number(mean.mean, 2),),
            (count(mean.cases),),
            (count(mean.unscored),),
            *cells,
        )


def _spread_notes(duel: DuelReadout) -> Iterator[str]:
    for axis in duel.axes:
        for variant, found in axis.differences.items():
            if found.repeat_variance is not None and found.between_variance is not None:
                yield (
                    f"{axis.name}, {variant}: deviation of the difference between cases "
                    f"{number(found.between_variance**0.5, 2)}, between repeats of a case "
                    f"{number(found.repeat_variance**0.5, 2)}; repeats lessen the second only."
                )


def length_section(duel: DuelReadout) -> Section | None:
    """Whether longer answers win."""
    pairs = [(pair, pair.length) for pair in duel.pairs if pair.length is not None]
    if not pairs:
        return None
    columns = (
        Column("Pair"),
        Column("Win rate", numeric=True),
        Column("At equal lengths", numeric=True),
        Column("Longer wins", numeric=True),
        Column("Characters more", numeric=True),
        Column("p of length", numeric=True),
    )
    rows = tuple(
        (
            (pair.variant, f"against {pair.against}"),
            (_RATE.value(pair.win_rate, pair.interval), rate_interval(pair.interval)),
            (
                _RATE.value(found.controlled, found.controlled_interval),
                rate_interval(found.controlled_interval),
            ),
            (_RATE.value(found.longer_wins, found.longer_interval), rate_interval(found.longer_interval)),
            (number(found.mean_difference, 0, signed=True),),
            (p_value(found.p_value),),
        )
        for pair, found in pairs
    )
    notes = (
        "At equal lengths: the win rate between answers of one length, by logistic regression on the "
        "difference of lengths; its interval holds the uncertainty of that correction.",
        *(
            f"{pair.variant} against {pair.against}: {found.note}."
            for pair, found in pairs
            if found.note is not None
        ),
    )
    lead = next((said for _, found in pairs if (said := _length_lead(found))), "")
    return Section(
        key="length", title="Do longer answers win?", lead=lead, table=Table(columns, rows), notes=notes
    )


def _length_lead(found: LengthEffect) -> str:
    if found.p_value is None or found.effect is None or found.p_value >= 0.05:
        return ""
    kind = "longer" if found.effect > 0 else "shorter"
    return f"The judge prefers {kind} answers: read the win rate at equal lengths."


def segments_section(duel: DuelReadout) -> Section | None:
    """Effects by segment and tag."""
    if not duel.segments:
        return None
    columns = (
        Column("Segment"),
        Column("Measure"),
        Column("Cases", numeric=True),
        Column("Effect", numeric=True),
        Column("p, adjusted", numeric=True),
    )
    rows = tuple(
        (
            (f"{found.dimension}: {found.value}", found.variant),
            (found.measure,),
            (count(found.cases),),
            effect_words(found),
            (p_value(found.p_adjusted),),
        )
        for found in duel.segments
    )
    surely = [found for found in duel.segments if found.p_adjusted is not None and found.p_adjusted < 0.05]
    lead = "No segment differs surely once their number is reckoned with."
    if surely:
        told = "; ".join(
            f"{found.variant} in {found.dimension} {found.value}: {found.measure} {effect_words(found)[0]}"
            for found in surely[:5]
        )
        lead = f"Surely different, with the number of segments reckoned with: {told}."
    return Section(
        key="segments",
        title="By segment",
        lead=lead,
        table=Table(columns, rows),
        notes=(
            "p by Benjamini and Hochberg over all segments and measures of 10 independent cases or more; "
            "intervals are not adjusted.",
        ),
        depth=Depth.PAGE,
    )


def effect_words(found: SegmentEffect) -> Cell:
    """An effect and its interval."""
    if found.measure == "win_rate":
        return _RATE.value(found.effect, found.interval), rate_interval(found.interval)
    return _LEVEL.difference(found.effect, found.interval), _LEVEL.interval(found.interval)


def worst_section(duel: DuelReadout) -> Section | None:
    """The cases to read first."""
    if not duel.worst:
        return None
    columns = (Column("Case"), Column("Outcome"), Column("Axes"), Column("Checks it loses"))
    told: dict[str, int] = {}
    rows = []
    for found in duel.worst:
        told[found.variant] = told.get(found.variant, 0) + 1
        if told[found.variant] <= _TOLD:
            rows.append(_worst_row(found))
    return Section(
        key="worst",
        title="Read these first",
        table=Table(columns, tuple(rows)),
        notes=(
            "Where the treatment did worst against the control; the page shows the answers side by side.",
        ),
    )


def _worst_row(found: CaseFinding) -> tuple[Cell, ...]:
    falls = ", ".join(f"{name} {value:+.2g}" for name, value in found.axes.items() if value)
    return (
        (found.case, found.variant),
        (outcome_words(found.outcome),),
        (falls,),
        (", ".join(found.lost_checks),),
    )


def outcome_words(outcome: float | None) -> str:
    """A case's outcome in a word."""
    if outcome is None:
        return "no outcome"
    words = {0.0: "lost", 0.5: "tie", 1.0: "won"}
    return words.get(outcome, f"{outcome:.2g} of a win")


def plan_section(duel: DuelReadout) -> Section | None:
    """What the golden set could show, stated without its results."""
    plan = duel.plan
    if plan is None or not plan.effects:
        return None
    return Section(
        key="plan",
        title="What these cases could show",
        table=plan_table(plan),
        notes=plan_notes(plan),
        depth=Depth.PAGE,
    )


def plan_table(plan: DuelPlan) -> Table:
    """The smallest effects that the gate finds."""
    columns = (
        Column("Condition"),
        Column("Asked: above", numeric=True),
        Column("Passes mostly from", numeric=True),
        Column("Spread"),
    )
    return Table(columns, tuple(plan_rows(plan)))


def plan_rows(plan: DuelPlan) -> Iterator[tuple[Cell, ...]]:
    """One row a condition."""
    for effect in plan.effects:
        found = "not even the best" if effect.detectable is None else in_unit(effect, effect.detectable)
        spread = "of the pilot" if effect.from_pilot else "the greatest there can be"
        yield (effect.name,), (in_unit(effect, effect.threshold),), (found,), (spread,)


def plan_notes(plan: DuelPlan) -> tuple[str, ...]:
    """How to read it."""
    return (
        f"A treatment whose true value is at least that passes the condition with {percent(plan.power, 0)} "
        f"probability, at error {plan.alpha:.4g}, on {count(plan.cases)} cases.",
        *(f"{note[0].upper()}{note[1:]}." for note in plan.notes),
    )


def in_unit(effect: MinimumEffect, value: float) -> str:
    """A value of a condition, in its unit."""
    match effect.unit:
        case "share":
            return percent(value)
        case "points":
            return f"{number(value * 100, 1, signed=True)} points"
        case "levels":
            return f"{number(value, 2, signed=True)} levels"
        case _:
            return number(value, 2)


def early_stop_section(found: EarlyStopReadout | None) -> Section | None:
    """How far a duel went that ends when it is decided."""
    if found is None:
        return None
    if found.stopped:
        lead = (
            f"The gate was decided after {count(found.taken)} of {count(found.cases)} cases: "
            f"{percent(1 - found.taken / found.cases, 0)} of the calls were not needed."
        )
    else:
        lead = f"{count(found.taken)} of {count(found.cases)} cases did not settle the gate."
    columns = (
        Column("Condition"),
        Column("Variant"),
        Column("For", numeric=True),
        Column("Against", numeric=True),
    )
    rows = tuple(
        (
            (path.name,),
            (path.variant,),
            (_last(path.evidence_for),),
            (_last(path.evidence_against),),
        )
        for path in found.paths
    )
    notes = (
        "Evidence as a share of what decides: at 100% a condition is settled, whenever one looks. Cases are "
        "taken in an order drawn beforehand from the duel's name and theirs.",
    )
    return Section(
        key="early_stop", title="Where it stopped", lead=lead, table=Table(columns, rows), notes=notes
    )


def _last(evidence: tuple[float | None, ...]) -> str:
    return NOT_KNOWN if not evidence or evidence[-1] is None else percent(max(evidence[-1], 0.0), 0)
