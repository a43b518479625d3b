"""Whether the data may be believed, in sentences: balance, crossovers, units, days."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from promptarena.definitions.readout import EVENT_LOG, Readout
from promptarena.reporting.figures import count, number, p_value, share
from promptarena.reporting.outline import Cell, Column, Depth, Section, Table

__all__ = ["balance_section", "trust_section"]

_BALANCE: Final = {
    "ok": "as allocated",
    "mismatch": "MISMATCH: the variants' units are not what the allocation promised",
    "unknown": "unknown: no weights were given, so the counts have nothing to be held against",
}


def trust_section(readout: Readout) -> Section:
    """Balance, crossovers, units and days, one sentence each."""
    return Section(
        key="trust",
        title="Can the data be trusted?",
        facts=(
            ("Balance", _balance(readout)),
            ("Units", _units(readout)),
            ("Crossovers", _crossovers(readout)),
            ("Days", _days(readout)),
        ),
    )


def balance_section(readout: Readout) -> Section:
    """Units by variant against what was expected."""
    balance = readout.balance
    total = sum(balance.counts.values())
    columns = (
        Column("Variant"),
        Column("Units", numeric=True),
        Column("Share", numeric=True),
        Column("Expected", numeric=True),
        Column("Expected share", numeric=True),
    )
    rows: list[tuple[Cell, ...]] = []
    for variant, units in balance.counts.items():
        expected = None if balance.expected is None else balance.expected.get(variant)
        rows.append(
            (
                (variant,),
                (count(units),),
                (share(units, total),),
                ("unknown" if expected is None else number(round(expected, 1)),),
                ("unknown" if expected is None else share(expected, total),),
            )
        )
    notes: tuple[str, ...] = ()
    if balance.segments:
        listed = ", ".join(f"{name} {p_value(p)}" for name, p in balance.segments.items())
        notes = (f"Balance within segments, p-value of each: {listed}.",)
    return Section(
        key="balance",
        title="Share by variant",
        table=Table(columns, tuple(rows)),
        notes=notes,
        depth=Depth.PAGE,
    )


def _balance(readout: Readout) -> str:
    balance = readout.balance
    counts = ", ".join(f"{variant} {count(units)}" for variant, units in balance.counts.items())
    test = ""
    if balance.p_value is not None:
        kind = "always-valid p" if balance.always_valid else "p"
        at_look = ""
        if balance.look_p_value is not None:
            at_look = f", at the latest look {p_value(balance.look_p_value)}"
        alarm = format(Decimal(f"{balance.threshold:.2g}"), "f")
        test = f"; {kind} {p_value(balance.p_value)}{at_look}, alarm below {alarm}"
    word = _BALANCE.get(balance.status, balance.status)
    return f"{word} ({counts}{test})"


def _units(readout: Readout) -> str:
    units = readout.units
    of = "exposures" if readout.source == EVENT_LOG else "rows"
    text = f"{count(units.units)} units from {count(units.rows)} {of}"
    if units.repeated == 0:
        return text
    return (
        f"{text}; {of} of the same unit ({count(units.repeated)} units) were rolled up, never counted twice"
    )


def _crossovers(readout: Readout) -> str:
    units = readout.units
    if units.crossovers == 0:
        return "none: every unit was seen in one variant only"
    text = (
        f"{count(units.crossovers)} of {count(units.units)} units ({share(units.crossovers, units.units)})"
        " were seen in several variants; they stay in their first"
    )
    if units.crossovers_by_variant:
        listed = ", ".join(f"{variant} {count(n)}" for variant, n in units.crossovers_by_variant.items())
        text += f" ({listed})"
    return text


def _days(readout: Readout) -> str:
    if readout.days is None:
        return "not known: the data has no time column"
    return f"{count(readout.days)} whole day{'' if readout.days == 1 else 's'} of units"
