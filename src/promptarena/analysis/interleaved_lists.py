"""The lists that were shown and clicked, from the log. Lists that nobody clicked are only counted.

Which outcome the coin could have given depends on both rankings and on all positions that were clicked: no
sum over units tells it. So the clicked lists, and they alone, come out of the engine one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import ibis

from promptarena.analysis.cohorts import LATENESS, window_of
from promptarena.analysis.event_tables import EventTables
from promptarena.analysis.placements import exposures_of
from promptarena.storage.warehouse import fetch

if TYPE_CHECKING:
    from promptarena.definitions.experiment import Experiment
    from promptarena.definitions.metric import Metric

__all__ = ["ClickedList", "InterleavedLists", "read_lists"]

_STAGE: Final = "ab"
_EMPTY: Final = ":[]"
"""In the rankings' JSON."""


@dataclass(frozen=True, slots=True)
class ClickedList:
    """One list with a click."""

    items: tuple[str, ...]
    """As shown."""
    variants: tuple[str, ...]
    """Whose each item is."""
    rankings: dict[str, list[str]]
    """The top of each ranking, by variant."""
    clicked: tuple[str, ...]
    """Items, each once."""
    cluster: str


@dataclass(frozen=True, slots=True)
class InterleavedLists:
    """Of the lists whose time for clicks has passed, those in stage `ab`."""

    shown: int
    led: dict[str, int]
    """Lists by the variant whose item stood first, where both rankings had items."""
    clicked: tuple[ClickedList, ...]
    waiting: int
    """Lists shown too lately to count."""
    unmerged: int
    """Exposures without rankings, which nobody can judge."""


def read_lists(
    experiment: Experiment,
    tables: EventTables,
    credit: Metric,
    *,
    as_of: datetime,
    lateness: timedelta = LATENESS,
    started: datetime | None = None,
) -> InterleavedLists:
    """Read the lists of an experiment; each request counts once, as it was first shown.

    Args:
        experiment: the running definition; it interleaves.
        tables: of events, each once.
        credit: the metric whose measurements of items are the clicks.
        as_of: only what was received before counts.
        lateness: how long a click may be on its way.
        started: exposures dated earlier are refused.

    Raises:
        DataError: the engine fails.
    """
    window, known = window_of(credit, experiment.unit), tables.received_before(as_of)
    own = exposures_of(known, experiment, started)
    own = own.filter(own.counts & (own.stage == _STAGE))
    in_order = ibis.row_number().over(group_by=own.unit_id, order_by=[own.ts, own.event_id])
    own = own.mutate(turn=in_order)
    own = own.filter(own.turn == 0).select("unit_id", "ts", "variant", "attributes", "slots", "rankings")
    last = ibis.literal(as_of - window - lateness)
    shown = own.filter((own.ts <= last) & own.rankings.notnull() & own.slots.notnull())
    # Where a ranking is empty no coin says whose item stands first.
    both = ~shown.rankings.contains(_EMPTY)
    counted = shown.group_by("variant").aggregate(n=shown.count(), led=both.sum())
    lines = fetch(counted).to_pylist()
    [ages] = fetch(own.aggregate(n=own.count(), ripe=(own.ts <= last).sum())).to_pylist()
    judged, ready = sum(line["n"] for line in lines), ages["ripe"] or 0
    return InterleavedLists(
        shown=judged,
        led={line["variant"]: line["led"] for line in lines},
        clicked=tuple(_clicked(shown, known, credit, window, experiment)),
        waiting=ages["n"] - ready,
        unmerged=ready - judged,
    )


def _clicked(
    shown: ibis.Table, known: EventTables, credit: Metric, window: timedelta, experiment: Experiment
) -> Iterable[ClickedList]:
    marks = known.measurements
    happened = marks.value.isnull() | (marks.value != 0)
    marks = marks.filter(
        (marks.name == credit.of) & (marks.target_kind == experiment.unit) & marks.item.notnull() & happened
    ).select(target="target", item="item", at="ts")
    joined = marks.join(shown, marks.target == shown.unit_id)
    joined = joined.filter((joined["at"] >= joined.ts) & (joined["at"] < joined.ts + _interval(window)))
    clicks = joined.group_by("unit_id").aggregate(items=joined["item"].collect(distinct=True))
    lists = clicks.join(shown, "unit_id").order_by("unit_id")
    rule = experiment.interleave
    for line in fetch(lists.select("unit_id", "items", "slots", "rankings", "attributes")).to_pylist():
        slots = dict(line["slots"])
        yield ClickedList(
            items=tuple(slots),
            variants=tuple(slots.values()),
            rankings=json.loads(line["rankings"]),
            clicked=tuple(sorted(item for item in line["items"] if item in slots)),
            cluster=_cluster(line, rule.cluster if rule else None),
        )


def _cluster(line: dict[str, Any], attribute: str | None) -> str:
    """The value of the attribute that lists share; a list that has none stands alone."""
    if attribute is None:
        return str(line["unit_id"])
    said = json.loads(line["attributes"] or "{}").get(attribute)
    return f"unit {line['unit_id']}" if said is None else f"{attribute} {said}"


def _interval(window: timedelta) -> Any:
    return ibis.interval(seconds=int(window.total_seconds()))
