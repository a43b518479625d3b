"""The outline of interleaved lists: who is preferred, by how much, and what that rests on."""

from __future__ import annotations

from typing import Final

from promptarena.definitions.interleaving_readout import InterleavingReadout, Preference
from promptarena.definitions.readout import Interval
from promptarena.reporting.figures import NOT_KNOWN, count, decimals_for, number, p_value, percent, share
from promptarena.reporting.outline import Column, Outline, Section, Table, Tone

__all__ = ["outline_interleaving"]

_TONES: Final = {
    Preference.INVALID: Tone.BAD,
    Preference.PREFERRED: Tone.GOOD,
    Preference.NOT_PREFERRED: Tone.WARNING,
    Preference.UNDECIDED: Tone.NEUTRAL,
}
_PASSED: Final = {True: "passed", False: "failed", None: "could not be told"}


def outline_interleaving(readout: InterleavingReadout) -> Outline:
    """Everything a readout of interleaved lists says."""
    together = "lists alone" if readout.cluster is None else f"lists of one {readout.cluster} together"
    return Outline(
        title=readout.experiment,
        kind="Interleaving readout",
        status=str(readout.status),
        tone=_TONES[readout.status],
        subject=readout.treatment if readout.status is not Preference.INVALID else "",
        headline=readout.reasons[0],
        meaning=_meaning(readout),
        action=_action(readout),
        facts=(
            ("Data", readout.source),
            ("Merged", f"{readout.control} and {readout.treatment}, by {readout.method}"),
            ("Credit", f"{readout.credit} on an item is one for the ranker whose it is"),
            ("Intervals", f"{percent(1 - readout.alpha, 0)} confidence, always-valid, {together}"),
        ),
        sections=(
            *([Section(key="why", title="Why", bullets=readout.reasons[1:])] if readout.reasons[1:] else []),
            _rankers(readout),
            _preference(readout),
            _trust(readout),
            Section(key="notes", title="Notes", bullets=readout.notes),
        ),
    )


def _meaning(readout: InterleavingReadout) -> str:
    control, treatment = readout.control, readout.treatment
    match readout.status:
        case Preference.INVALID:
            return (
                "The lists are not what the design would have made, so no preference may be read from them."
            )
        case Preference.PREFERRED:
            return f"Where both are in one list, people choose {treatment}'s items over {control}'s."
        case Preference.NOT_PREFERRED:
            return f"Where both are in one list, people choose {control}'s items over {treatment}'s."
        case _:
            return "The clicks fit a coin that decides whose item stands where, and nothing more."


def _action(readout: InterleavingReadout) -> str:
    match readout.status:
        case Preference.INVALID:
            return (
                "Find out what changes lists between `interleave` and the user, or who else writes the log."
            )
        case Preference.PREFERRED:
            return f"Take {readout.treatment} into an A/B test, which says what it does to the metrics."
        case Preference.NOT_PREFERRED:
            return f"Keep {readout.control}."
        case _:
            return "Let it run on; it may be read as often as you like."


def _rankers(readout: InterleavingReadout) -> Section:
    columns = (
        Column("Ranker"),
        Column("Clicks", numeric=True),
        Column("Lists won", numeric=True),
        Column("Stood first", numeric=True),
    )
    first = sum(ranker.led for ranker in readout.rankers.values())
    rows = tuple(
        (
            (name,),
            (count(ranker.clicks),),
            (count(ranker.won),),
            (count(ranker.led), share(ranker.led, first, 1)),
        )
        for name, ranker in readout.rankers.items()
    )
    return Section(
        key="rankers",
        title="Rankers",
        table=Table(columns, rows),
        notes=(
            "A list is won by the ranker whose items have more clicks in it"
            f" ({count(readout.ties)} {'is a tie' if readout.ties == 1 else 'are ties'}).",
        ),
    )


def _preference(readout: InterleavingReadout) -> Section:
    decimals = decimals_for(readout.interval, 100)
    gain = None if readout.preference is None else readout.preference * 100
    return Section(
        key="preference",
        title="Preference",
        facts=(
            ("Lists", _lists(readout)),
            (f"{readout.treatment} wins", percent(readout.share)),
            ("By the coin alone", percent(readout.expected)),
            (
                "Difference",
                f"{number(gain, decimals, signed=True)} points {_bounds(readout.interval)}".strip(),
            ),
            ("p, always-valid", p_value(readout.p_value)),
            ("p, looked at once", p_value(readout.p_value_once)),
        ),
        notes=(
            "What a ranker wins by the coin alone is taken from the design, list by list, at the positions"
            " that were clicked; it is not one half where rankings are short or overlap.",
        ),
    )


def _lists(readout: InterleavingReadout) -> str:
    return (
        f"{count(readout.shown)} shown, {count(readout.clicked)} clicked, {count(readout.informative)} in"
        f" which the coin mattered ({count(readout.clusters)} clusters)"
    )


def _bounds(interval: Interval | None) -> str:
    if interval is None:
        return ""
    decimals = decimals_for(interval, 100)
    low, high = (
        NOT_KNOWN if bound is None else number(bound * 100, decimals, signed=True) for bound in interval
    )
    return f"[{low}, {high}]"


def _trust(readout: InterleavingReadout) -> Section:
    columns = (Column("Check"), Column("Result"), Column("Numbers"))
    rows = tuple(((check.name,), (_PASSED[check.passed],), (check.text,)) for check in readout.checks)
    return Section(key="trust", title="Can the lists be trusted?", table=Table(columns, rows))
