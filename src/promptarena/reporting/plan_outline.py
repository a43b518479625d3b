"""A plan's outline: how many units, when they may be looked at, and what they can find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptarena.definitions.win_rate_plan import WinRatePlan
from promptarena.reporting.figures import NOT_KNOWN, Scale, count, digits, number, percent, written
from promptarena.reporting.outline import Cell, Column, Outline, Section, Table, Tone

if TYPE_CHECKING:  # only described here: whoever has a plan has paid for its import
    from promptarena.analysis.plan import Plan

__all__ = ["outline_plan", "outline_win_rate_plan"]


def outline_plan(plan: Plan) -> Outline:
    """Everything a plan says."""
    each = ", ".join(f"{variant} {count(n)}" for variant, n in plan.per_variant.items())
    time = "" if plan.days is None else f", {count(plan.days)} days"
    sections = [
        _looks(plan),
        _detectable(plan),
        _power_curve(plan),
        _price(plan),
        Section(key="notes", title="Notes", bullets=plan.notes) if plan.notes else None,
    ]
    return Outline(
        title="units and looks",
        kind="Experiment plan",
        status="plan",
        tone=Tone.NEUTRAL if plan.mde is not None else Tone.WARNING,
        headline=f"{count(plan.total)} units in all ({each}){time}",
        meaning=_meaning(plan),
        action=_action(plan),
        sections=tuple(section for section in sections if section is not None),
    )


def outline_win_rate_plan(plan: WinRatePlan) -> Outline:
    """What a golden set can show."""
    ties = f" with {percent(plan.ties, 0)} ties" if plan.ties else ""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        ((percent(point.effect),), (percent(point.power),)) for point in plan.power_curve
    )
    table = Table((Column("True win rate", numeric=True), Column("Power", numeric=True)), rows)
    meaning = "That many cases cannot show any win rate that ties leave room for."
    if plan.win_rate is not None:
        meaning = (
            f"A treatment that wins {percent(plan.win_rate)} of the cases{ties} is shown to be better with a"
            f" probability of {percent(plan.power, 0)}; an even one seems better or worse with one of"
            f" {written(plan.alpha * 100)}%."
        )
    return Outline(
        title="cases of a golden set",
        kind="Duel plan",
        status="plan",
        tone=Tone.NEUTRAL if plan.win_rate is not None else Tone.WARNING,
        headline=f"{count(plan.cases)} independent cases, {count(plan.verdicts)} verdicts of a judge",
        meaning=meaning,
        action="Judge every case in both orders; cases of one document or conversation count less than one.",
        sections=(Section(key="power", title="Power by the true win rate", table=table),) if rows else (),
    )


def _meaning(plan: Plan) -> str:
    if plan.mde is None:
        return "That many units cannot find any effect that the metric has room for."
    scale, base = Scale.of_kind(plan.kind), ""
    if plan.baseline is not None:
        base = f" on a {plan.kind} of {written(plan.baseline * scale.factor)}{scale.unit}"
    size = written(plan.mde * scale.factor) + scale.difference_unit
    chance = percent(plan.power_each, 0)
    if plan.non_inferiority:
        found = f"is shown, with a probability of {chance}, not to be worse by more than {size}{base}"
        return f"With that many units a treatment that truly makes no difference {found}."
    false_alarm = f"a difference is claimed with one of {written(plan.alpha * 100)}%"
    return (
        f"With that many units an effect of {size}{base} is found with a probability of {chance};"
        f" where there is no effect at all, {false_alarm}."
    )


def _action(plan: Plan) -> str:
    time = (
        ""
        if plan.days is None
        else f" Plan for {count(plan.days)} days: whole weeks, so that none is special."
    )
    if len(plan.looks) == 1:
        return f"Look once, when all units are in: each earlier look would raise the false alarms.{time}"
    return f"Look at the {len(plan.looks)} planned looks only, each against its own boundary.{time}"


def _looks(plan: Plan) -> Section:
    with_days = plan.days is not None
    columns = (
        Column("Look"),
        Column("Units", numeric=True),
        Column("Information", numeric=True),
        *((Column("Days", numeric=True),) if with_days else ()),
        Column("|z| asked for", numeric=True),
        *((Column("Gives up at z", numeric=True),) if plan.futility else ()),
        Column("Alpha spent", numeric=True),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            (str(position),),
            (count(look.n),),
            (percent(look.fraction, 0),),
            *(((_days(look.days),),) if with_days else ()),
            (number(look.critical_z, 4),),
            *(((number(look.futility_z, 2, signed=True),),) if plan.futility else ()),
            (number(look.alpha_spent, 5),),
        )
        for position, look in enumerate(plan.looks, 1)
    )
    return Section(
        key="looks",
        title="Looks",
        table=Table(columns, rows),
        notes=(f"Spending: {plan.spending}. Alpha spent is cumulative and of both sides together.",),
    )


def _detectable(plan: Plan) -> Section | None:
    if not plan.mde_table:
        return None
    scale, with_days = Scale.of_kind(plan.kind), plan.days is not None
    columns = (
        Column("Units", numeric=True),
        Column("Smallest margin" if plan.non_inferiority else "Smallest effect found", numeric=True),
        Column("Relative", numeric=True),
        *((Column("Days", numeric=True),) if with_days else ()),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            (f"this plan: {count(row.n)}" if row.n == plan.total else count(row.n),),
            (digits(row.mde * scale.factor, 3) + scale.difference_unit,),
            (percent(row.relative),),
            *(((_days(row.days),),) if with_days else ()),
        )
        for row in plan.mde_table
    )
    return Section(
        key="mde",
        title="What other numbers of units would find",
        table=Table(columns, rows),
        notes=(f"With the same looks, at a power of {percent(plan.power_each)} for the primary.",),
    )


def _power_curve(plan: Plan) -> Section | None:
    if not plan.power_curve:
        return None
    scale = Scale.of_kind(plan.kind)
    columns = (
        Column("True margin" if plan.non_inferiority else "True effect", numeric=True),
        Column("Power", numeric=True),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        ((digits(point.effect * scale.factor, 3) + scale.difference_unit,), (percent(point.power),))
        for point in plan.power_curve
    )
    return Section(
        key="power",
        title="Power, should the truth be another",
        table=Table(columns, rows),
        notes=("Of the primary alone, with this plan's units and looks.",),
    )


def _price(plan: Plan) -> Section | None:
    if len(plan.looks) == 1 and not plan.guardrails:
        return None
    facts = [
        ("Looked at once", f"{count(plan.total_fixed)} units would do"),
        ("Price of looks", f"{percent(plan.inflation - 1)} more units at most"),
    ]
    if plan.expected_n is not None:
        facts += [
            ("Without effect", f"{number(plan.expected_n.null, 0)} units until the stop, on average"),
            ("With the effect", f"{number(plan.expected_n.mde, 0)} units until the stop, on average"),
        ]
    if len(plan.looks) > 1 and plan.looks[0].stops_null is not None:
        null, effect = (
            ", ".join(percent(share, 0) for share in shares)
            for shares in (
                [look.stops_null for look in plan.looks],
                [look.stops_mde for look in plan.looks],
            )
        )
        facts.append(("Ends at looks", f"without effect {null}; with the effect {effect}"))
    for size in plan.guardrail_sizes:
        if size.units is not None:
            facts.append((f"Guardrail {size.metric}", f"{count(size.units)} units by its own variance"))
    if plan.guardrails:
        together = percent(plan.power)
        facts.append(("Guardrails", f"{plan.guardrails}; together with the primary they pass at {together}"))
    return Section(key="price", title="What looking costs and saves", facts=tuple(facts))


def _days(days: int | None) -> str:
    return NOT_KNOWN if days is None else count(days)
