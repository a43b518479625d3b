"""An off-policy estimate's outline: what is wrong with the weights first, then the numbers."""

from __future__ import annotations

from typing import Final

from promptarena.definitions.off_policy_readout import OffPolicyReadout, OffPolicyRow
from promptarena.definitions.readout import Interval
from promptarena.reporting.figures import NOT_KNOWN, count, decimals_for, number, percent
from promptarena.reporting.outline import Cell, Column, Outline, Section, Table, Tone

__all__ = ["outline_off_policy"]

_METHODS: Final = {
    "logged": "the policy that ran, as it was",
    "ips": "inverse propensity score",
    "snips": "the same, self-normalised",
    "dm": "direct method: the reward model alone",
    "dr": "doubly robust",
    "sndr": "the same, self-normalised",
}


def outline_off_policy(readout: OffPolicyReadout) -> Outline:
    """Everything an off-policy estimate says."""
    ran, *others = readout.estimates
    best = next(row for row in reversed(others) if row.method != "dm")
    return Outline(
        title=readout.source,
        kind="Off-policy estimate",
        status="estimate" if readout.warning is None else "do not act",
        tone=Tone.NEUTRAL if readout.warning is None else Tone.BAD,
        headline=readout.warning or _headline(readout, best, ran),
        meaning="What another policy would have earned on what was logged, had it chosen in place of the one "
        "that ran. It replaces no experiment: it says which policies are worth one.",
        action="Plan an experiment with the policies whose intervals are worth it."
        if readout.warning is None
        else "Give the other policy traffic of its own, or log with propensities closer to its choices.",
        facts=(
            ("Reward", readout.reward),
            ("Other policy", readout.policy),
            ("Rounds", f"{count(readout.rounds)} in {count(readout.units)} units"),
            ("Intervals", f"{percent(1 - readout.alpha, 0)} confidence, looked at once"),
        ),
        sections=tuple(filter(None, (_estimates(readout), _weights(readout), _notes(readout)))),
    )


def _headline(readout: OffPolicyReadout, best: OffPolicyRow, ran: OffPolicyRow) -> str:
    decimals = decimals_for(best.interval)
    low, high = best.interval or (None, None)
    between = f" [{number(low, decimals)}, {number(high, decimals)}]" if best.interval else ""
    return (
        f"{readout.reward} a round of {number(best.value, decimals)}{between} by {best.method}, where the "
        f"policy that ran had {number(ran.value, decimals)}"
    )


def _estimates(readout: OffPolicyReadout) -> Section:
    columns = (
        Column("Method"),
        Column(readout.reward, numeric=True),
        Column("Difference", numeric=True),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            (row.method, _METHODS[row.method]),
            _with_interval(row.value, row.interval, signed=False),
            _with_interval(row.difference, row.difference_interval, signed=True),
        )
        for row in readout.estimates
    ]
    return Section(
        key="estimates",
        title="Estimates",
        table=Table(columns, tuple(rows)),
        notes=(
            "Differences are from the policy that ran, on the same rounds. The reward model's own error is in"
            " no interval.",
        ),
    )


def _with_interval(value: float | None, interval: Interval | None, *, signed: bool) -> Cell:
    if value is None:
        return ("",)
    decimals = decimals_for(interval)
    if interval is None:
        return number(value, decimals, signed=signed), NOT_KNOWN
    bounds = ", ".join(number(bound, decimals, signed=signed) for bound in interval)
    return number(value, decimals, signed=signed), f"[{bounds}]"


def _weights(readout: OffPolicyReadout) -> Section:
    share = readout.effective_rounds / readout.rounds
    return Section(
        key="weights",
        title="What the estimates stand on",
        facts=(
            (
                "Effective rounds",
                f"{number(readout.effective_rounds, 1)} of {count(readout.rounds)} ({share:.1%})",
            ),
            ("Largest weight", f"{percent(readout.largest_share, 2)} of all weight is one round's"),
            ("Mean weight", f"{number(readout.mean_weight, 3)}, where 1 is expected"),
        ),
    )


def _notes(readout: OffPolicyReadout) -> Section | None:
    return Section(key="notes", title="Notes", bullets=readout.notes) if readout.notes else None
