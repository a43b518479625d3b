"""The readout of interleaved lists: credit, preference, and evidence against the coin's own distribution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from promptarena.analysis import wording
from promptarena.analysis.cohorts import LATENESS
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.interleaved_lists import ClickedList, InterleavedLists, read_lists
from promptarena.definitions.interleave import InterleaveMethod
from promptarena.definitions.interleaving_readout import InterleavingReadout, Preference, RankerReadout
from promptarena.definitions.readout import EVENT_LOG, Check
from promptarena.stats.balance import BALANCE_ALPHA, sample_ratio_test
from promptarena.stats.interleaved_evidence import PreferenceSequence, preference_sequence
from promptarena.stats.interleaved_preference import (
    InterleavedPreference,
    ListOutcome,
    balanced_outcome,
    interleaved_preference,
    team_draft_outcome,
)
from promptarena.stats.interleaving import Interleaved, Team

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment

__all__ = ["build_interleaving_readout", "read_interleaving"]

_REMEMBERED: Final = 50_000
Items = tuple[int, ...]


def read_interleaving(
    experiment: Experiment,
    tables: EventTables,
    *,
    as_of: datetime,
    lateness: timedelta = LATENESS,
    started: datetime | None = None,
) -> InterleavingReadout:
    """Read an experiment's lists and say which ranker is preferred; it may be read at any time.

    Raises:
        DataError: the engine fails.
        ValueError: the experiment does not interleave.
    """
    credit = experiment.analysis_plan().metric(experiment.primary.metric)
    lists = read_lists(experiment, tables, credit, as_of=as_of, lateness=lateness, started=started)
    return build_interleaving_readout(experiment, lists)


def build_interleaving_readout(experiment: Experiment, lists: InterleavedLists) -> InterleavingReadout:
    """The readout of lists that were read.

    Raises:
        ValueError: the experiment does not interleave.
    """
    rule = experiment.interleave
    if rule is None:
        raise ValueError(f"{experiment.name} does not interleave")
    control, treatment = (variant.name for variant in experiment.variants)
    alpha = experiment.design.alpha
    judged = [(each, _outcome(each, rule.method, control, treatment)) for each in lists.clicked]
    possible = [(each, found) for each, found in judged if not isinstance(found, str)]
    outcomes = [found for _, found in possible]
    clusters = [each.cluster for each, _ in possible]
    once, always = _preference(outcomes, clusters, alpha)
    checks = (_coin(lists, control, treatment), _made(len(judged) - len(possible), len(judged)))
    status = _status(once, always, checks, alpha)
    informative = [each.cluster for each, found in possible if found is not None and found.variance > 0]
    clicks = Counter(owner for each in lists.clicked for owner in _owners(each))
    won = Counter(found.score for found in outcomes if found is not None)
    return InterleavingReadout(
        experiment=experiment.name,
        source=EVENT_LOG,
        control=control,
        treatment=treatment,
        method=rule.method.value,
        credit=experiment.analysis_plan().metric(experiment.primary.metric).of,
        cluster=rule.cluster,
        alpha=alpha,
        status=status,
        reasons=_reasons(status, once, always, checks, (control, treatment), alpha),
        rankers={
            name: RankerReadout(clicks=clicks[name], won=won[score], led=lists.led.get(name, 0))
            for name, score in ((control, 0.0), (treatment, 1.0))
        },
        shown=lists.shown,
        clicked=len(lists.clicked),
        informative=len(informative),
        clusters=len(set(informative)),
        ties=won[0.5],
        share=once.share if once else None,
        expected=once.expected if once else None,
        preference=once.preference if once else None,
        interval=None if always is None or always.low is None else (always.low, always.high),
        p_value=always.p_value if always else None,
        p_value_once=once.p_value if once else None,
        checks=checks,
        notes=tuple(_notes(lists, once, always)),
    )


def _preference(
    outcomes: Sequence[ListOutcome | None], clusters: Sequence[str], alpha: float
) -> tuple[InterleavedPreference | None, PreferenceSequence | None]:
    if not any(outcome is not None and outcome.variance > 0 for outcome in outcomes):
        return None, None
    names = np.array(clusters)
    return (
        interleaved_preference(outcomes, clusters=names, alpha=alpha),
        preference_sequence(outcomes, clusters=names, alpha=alpha),
    )


def _outcome(
    each: ClickedList, method: InterleaveMethod, control: str, treatment: str
) -> ListOutcome | str | None:
    """Who won a list; the reason, where it cannot have been made of its rankings."""
    numbers: dict[str, int] = {}

    def numbered(items: Sequence[str]) -> Items:
        return tuple(numbers.setdefault(item, len(numbers)) for item in items)

    a, b = numbered(each.rankings.get(control, ())), numbered(each.rankings.get(treatment, ()))
    teams = tuple("a" if variant == control else "b" for variant in each.variants)
    clicked = tuple(each.items.index(item) for item in each.clicked)
    try:
        return _judged(method, a, b, numbered(each.items), teams, tuple(sorted(clicked)))
    except ValueError as error:
        return str(error)


@lru_cache(maxsize=_REMEMBERED)
def _judged(
    method: InterleaveMethod, a: Items, b: Items, items: Items, teams: tuple[Team, ...], clicked: Items
) -> ListOutcome | None:
    """By numbers instead of names: many lists overlap in the same way and were clicked at the same places."""
    judge = team_draft_outcome if method is InterleaveMethod.TEAM_DRAFT else balanced_outcome
    return judge(a, b, Interleaved(items, teams, 1.0), clicked)


def _owners(each: ClickedList) -> list[str]:
    slots = dict(zip(each.items, each.variants, strict=True))
    return [slots[item] for item in each.clicked]


def _coin(lists: InterleavedLists, control: str, treatment: str) -> Check:
    led = [lists.led.get(name, 0) for name in (control, treatment)]
    p = sample_ratio_test(led, [0.5, 0.5])
    passed = None if p is None else p >= BALANCE_ALPHA
    text = f"{control} stood first in {led[0]:,} lists and {treatment} in {led[1]:,}"
    if p is not None:
        text += f": {'as' if passed else 'NOT as'} a fair coin would have it ({wording.p_value(p)})"
    return Check(name="coin", passed=passed, text=text, numbers={"p_value": p, "threshold": BALANCE_ALPHA})


def _made(impossible: int, judged: int) -> Check:
    text = f"{impossible:,} of {judged:,} clicked lists cannot have been merged from their rankings"
    return Check(
        name="lists", passed=impossible == 0, text=text, numbers={"impossible": impossible, "clicked": judged}
    )


def _status(
    once: InterleavedPreference | None,
    always: PreferenceSequence | None,
    checks: Sequence[Check],
    alpha: float,
) -> Preference:
    if any(check.passed is False for check in checks):
        return Preference.INVALID
    if once is None or always is None or always.p_value > alpha:
        return Preference.UNDECIDED
    return Preference.PREFERRED if once.preference > 0 else Preference.NOT_PREFERRED


def _reasons(
    status: Preference,
    once: InterleavedPreference | None,
    always: PreferenceSequence | None,
    checks: Sequence[Check],
    names: tuple[str, str],
    alpha: float,
) -> tuple[str, ...]:
    if status is Preference.INVALID:
        return tuple(check.text for check in checks if check.passed is False)
    if once is None or always is None:
        return ("no list was clicked yet where the coin could have changed who won",)
    control, treatment = names
    word = {
        Preference.PREFERRED: f"{treatment} is preferred to {control}",
        Preference.NOT_PREFERRED: f"{control} is preferred to {treatment}",
    }.get(status, f"no preference between {control} and {treatment} is shown")
    reach = (
        ""
        if always.low is None or always.high is None
        else f", always-valid {1 - alpha:.0%} interval {always.low * 100:+.3g} to"
        f" {always.high * 100:+.3g} points"
    )
    return (
        f"{word}: {treatment} wins {once.share:.1%} of {once.lists:,} lists where the coin alone gives"
        f" {once.expected:.1%} ({once.preference * 100:+.3g} points{reach}; always-valid"
        f" {wording.p_value(always.p_value)})",
    )


def _notes(
    lists: InterleavedLists, once: InterleavedPreference | None, always: PreferenceSequence | None
) -> list[str]:
    notes = ["a preference says which ranker, not by how much a metric would move: that is for an A/B test"]
    if once is not None and once.uninformative:
        notes.append(
            f"{once.uninformative:,} clicked lists say nothing: whichever way the coin had fallen, the same"
            " ranker would have won"
        )
    if once is not None and always is not None and always.low is None:
        notes.append("an interval needs 100 clusters; the p-value is exact from the first list on")
    if lists.waiting:
        notes.append(f"{lists.waiting:,} lists were shown too lately: their clicks may still come")
    if lists.unmerged:
        notes.append(f"left out: {lists.unmerged:,} exposures without a merged list")
    return notes
