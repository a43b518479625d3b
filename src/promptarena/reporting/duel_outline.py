"""A duel's outline: the gate, who won, and whether the judge can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from promptarena.definitions.duel_readout import (
    CheckDifference,
    CheckReadout,
    DuelReadout,
    GateStatus,
    JudgeReadout,
    PairReadout,
)
from promptarena.definitions.readout import Interval
from promptarena.reporting.duel_findings import (
    axes_section,
    early_stop_section,
    length_section,
    plan_section,
    rate_interval,
    segments_section,
    worst_section,
)
from promptarena.reporting.figures import NOT_KNOWN, Scale, count, number, percent, share
from promptarena.reporting.outline import Cell, Column, Depth, Outline, Section, Table, Tone

__all__ = ["outline_duel"]

_RATE: Final = Scale.of_kind("rate")
_TONES: Final = {
    GateStatus.PASS: Tone.GOOD,
    GateStatus.FAIL: Tone.BAD,
    GateStatus.INCONCLUSIVE: Tone.WARNING,
    GateStatus.INVALID: Tone.BAD,
}
_MEANINGS: Final = {
    GateStatus.PASS: "All that the gate asks is shown, at the declared error: the change may go on.",
    GateStatus.FAIL: "At least one thing that the gate asks is shown not to hold: the change must not go on.",
    GateStatus.INCONCLUSIVE: "The cases do not tell, at the declared error: neither passed nor failed.",
    GateStatus.INVALID: "Nothing may be concluded, neither for nor against the change.",
}
_ACTIONS: Final = {
    GateStatus.PASS: "Go on to the next stage. Cases are not users: watch the first traffic.",
    GateStatus.FAIL: "Keep the control. Read the lost cases, mend the change, and duel again.",
    GateStatus.INCONCLUSIVE: "Add cases, or judge those that are missing. Do not lower the bar to pass it.",
    GateStatus.INVALID: "Mend what is named above (the judge, or what is missing), and duel again.",
}
_NOISE: Final = "so much of the conflicts is chance, not position"
_NO_NOISE: Final = "conflicts may be chance as well as position"
_NOBODY: Final = "No verdicts were given, so nobody won or lost."
_CONFLICTS: Final = {
    "tie": "a tie: half a win each",
    "average": "the mean of its two orders",
    "drop": "nothing: the case is left out",
}


def outline_duel(duel: DuelReadout) -> Outline:
    """Everything a duel found."""
    sections = [
        *_gate(duel),
        early_stop_section(duel.gate.early_stop) if duel.gate is not None else None,
        _pairs(duel),
        axes_section(duel),
        _judge(duel.judge),
        length_section(duel),
        _ranking(duel),
        _checks(duel),
        segments_section(duel),
        worst_section(duel),
        plan_section(duel),
        Section(key="notes", title="Notes", bullets=duel.notes) if duel.notes else None,
    ]
    gate = duel.gate
    return Outline(
        title=duel.duel,
        kind="Duel",
        status="no gate" if gate is None else str(gate.status),
        tone=Tone.NEUTRAL if gate is None else _TONES[gate.status],
        headline=gate.reasons[0] if gate is not None and gate.reasons else _summary(duel),
        meaning="No gate was declared: this describes, and decides nothing."
        if gate is None
        else _MEANINGS[gate.status],
        action="Declare a `gate` in the duel's file if it is to decide."
        if gate is None
        else _ACTIONS[gate.status],
        facts=tuple(_about(duel)),
        sections=tuple(section for section in sections if section is not None),
    )


def _summary(duel: DuelReadout) -> str:
    known = [pair for pair in duel.pairs if pair.win_rate is not None]
    if not known and duel.axes:
        return f"{len(duel.variants)} variants on {count(duel.cases)} cases, scored on {len(duel.axes)} axes."
    if not known:
        return f"{len(duel.variants)} variants on {count(duel.cases)} cases; no verdict tells them apart."
    if duel.ranking is not None and duel.ranking.variants:
        return f"{duel.ranking.variants[0].variant} ranks first of {len(duel.variants)} variants."
    pair = known[0]
    rate = f"{_RATE.value(pair.win_rate, pair.interval)} {rate_interval(pair.interval)}".rstrip()
    return f"{pair.variant} has a win rate of {rate} against {pair.against}."


def _about(duel: DuelReadout) -> Iterator[tuple[str, str]]:
    clusters = "" if duel.clusters is None else f" in {count(duel.clusters)} independent clusters"
    yield "Cases", count(duel.cases) + clusters + (", which count unequally" if duel.weighted else "")
    if duel.holdout_openings is not None:
        yield "Holdout", f"opened {count(duel.holdout_openings)} times, this time included"
    yield "Variants", ", ".join(duel.variants)
    yield "Control", duel.control or "none: every pair is compared"
    yield "Intervals", f"{percent(duel.confidence, 0)} confidence, over cases"
    if duel.gate is not None:
        yield "Gate's error", f"at most {percent(duel.gate.alpha)} that a change without merit passes"


def _gate(duel: DuelReadout) -> list[Section]:
    if duel.gate is None:
        return []
    columns = (Column("Condition"), Column("Variant"), Column("Result"), Column("Numbers"))
    rows = tuple(
        ((condition.name,), (condition.variant,), (str(condition.status),), (condition.text,))
        for condition in duel.gate.conditions
    )
    return [
        *([Section(key="why", title="Why", bullets=duel.gate.reasons[1:])] if duel.gate.reasons[1:] else []),
        Section(key="gate", title="Every condition", table=Table(columns, rows), depth=Depth.FOLDED),
    ]


def _pairs(duel: DuelReadout) -> Section | None:
    if not duel.pairs:
        return None if duel.axes else Section(key="pairs", title="Who won", lead=_NOBODY)
    columns = (
        Column("Pair"),
        *(
            Column(title, numeric=True)
            for title in ("Win rate", "Wins", "Ties", "Losses", "Conflicts", "Unscored", "Shown first wins")
        ),
    )
    rule = _CONFLICTS.get(duel.conflict_rule, duel.conflict_rule)
    return Section(
        key="pairs",
        title="Who won",
        table=Table(columns, tuple(_pair_row(pair) for pair in duel.pairs)),
        notes=(
            "Win rate: a win counts 1, a tie 1/2, a loss 0, over the cases with an outcome.",
            f"A conflict is a case whose two display orders disagree; it counts as {rule}.",
            "Unscored verdicts could not be read; they are neither ties nor losses.",
            *(
                f"{pair.variant} against {pair.against}: {note}."
                for pair in duel.pairs
                for note in pair.notes
            ),
        ),
    )


def _pair_row(pair: PairReadout) -> tuple[Cell, ...]:
    return (
        (pair.variant, f"against {pair.against}"),
        (_RATE.value(pair.win_rate, pair.interval), rate_interval(pair.interval)),
        (count(pair.wins),),
        (count(pair.ties),),
        (count(pair.losses),),
        (count(pair.conflicts),),
        (count(pair.unscored),),
        (
            _RATE.value(pair.first_position_rate, pair.first_position_interval),
            rate_interval(pair.first_position_interval),
        ),
    )


def _judge(judge: JudgeReadout | None) -> Section | None:
    if judge is None:
        return None
    again = f" and {count(judge.repeated)} repeat another" if judge.repeated else ""
    facts = [
        ("Verdicts", f"{count(judge.verdicts)}, of which {count(judge.unscored)} could not be read{again}")
    ]
    if judge.both_orders == 0:
        facts.append(("Order", "no case was judged in both orders, so position bias is unmeasured"))
    else:
        both = count(judge.both_orders)
        facts += [
            (
                "Consistent",
                f"{count(judge.consistent)} of {both} ({share(judge.consistent, judge.both_orders, 1)}) say"
                " the same in both orders",
            ),
            (
                "Conflicts",
                f"{_of_rate(judge.conflict_rate, judge.conflict_interval)}; the first shown won both times in"
                f" {count(judge.first_both)}, the second in {count(judge.second_both)}",
            ),
            (
                "Position",
                f"{_of_rate(judge.first_position_rate, judge.first_position_interval)} of decisive verdicts"
                " went to the answer shown first; 50% is without bias",
            ),
        ]
    if judge.asked_again:
        told = f"{_of_rate(judge.noise_rate, judge.noise_interval)} of {count(judge.asked_again)} answers"
        facts.append(("Noise", f"{told} shown again in the same order were judged otherwise: {_NOISE}"))
    elif judge.both_orders:
        facts.append(("Noise", f"unmeasured: nothing was judged twice in the same order, so {_NO_NOISE}"))
    return Section(key="judge", title="Can the judge be trusted?", facts=tuple(facts))


def _of_rate(rate: float | None, interval: Interval | None) -> str:
    return f"{_RATE.value(rate, interval)} {rate_interval(interval)}".rstrip()


def _ranking(duel: DuelReadout) -> Section | None:
    ranking = duel.ranking
    if ranking is None:
        return None
    if not ranking.variants:
        return Section(key="ranking", title="Ranking", lead=ranking.note or "No ranking could be made.")
    columns = (
        Column("Variant"),
        Column("Rating", numeric=True),
        Column("Average win rate", numeric=True),
        Column("Elo", numeric=True),
        Column("Verdicts", numeric=True),
    )
    rows = tuple(
        (
            (each.variant,),
            (number(each.rating, 2), f"[{number(each.interval[0], 0)}, {number(each.interval[1], 0)}]"),
            (percent(each.average_win_rate),),
            (number(each.elo, 0),),
            (count(each.comparisons),),
        )
        for each in ranking.variants
    )
    notes = (
        f"{ranking.method}. The mean variant has 1000; 400 more is ten to one against it.",
        "Elo goes through the verdicts one by one and moves each variant by at most 4: it depends on the"
        " order of the cases and knows no error. It is told for comparison with other tables; the rating"
        " decides.",
    )
    return Section(key="ranking", title="Ranking", table=Table(columns, rows), notes=notes)


def _checks(duel: DuelReadout) -> Section | None:
    if not duel.checks:
        return None
    compared = duel.control is not None
    columns = (
        Column("Check"),
        Column("Passed", numeric=True),
        Column("Failed", numeric=True),
        Column("Missing", numeric=True),
        Column("Pass rate", numeric=True),
        *((Column(f"Against {duel.control}", numeric=True),) if compared else ()),
    )
    rows = tuple(row for check in duel.checks for row in _check_rows(check, compared=compared))
    return Section(
        key="checks",
        title="Checks",
        table=Table(columns, rows),
        notes=("Missing: no output, or no value to compare with; neither passed nor failed.",),
    )


def _check_rows(check: CheckReadout, *, compared: bool) -> Iterator[tuple[Cell, ...]]:
    for variant, rate in check.rates.items():
        difference = check.differences.get(variant)
        yield (
            (check.name, variant),
            (count(rate.passed),),
            (count(rate.failed),),
            (count(rate.missing),),
            (_RATE.value(rate.pass_rate, rate.interval), rate_interval(rate.interval)),
            *((_check_difference(difference),) if compared else ()),
        )


def _check_difference(found: CheckDifference | None) -> Cell:
    if found is None or found.difference is None:
        return ("" if found is None else NOT_KNOWN,)
    return _RATE.difference(found.difference, found.interval), _RATE.interval(found.interval)
